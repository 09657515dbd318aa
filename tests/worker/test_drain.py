"""A worker that is drained through the store: it finishes what it runs, ends with exit code 0, and stays away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lineshaft import Lineshaft
from tests.plugins.apps import eventually
from tests.worker.conftest import StartCommand, await_start

MakeApp = Callable[..., Lineshaft]
QUICK = {"LINESHAFT_HEARTBEAT": "0.1s", "LINESHAFT_SILENCE": "0.5s"}


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The gate that jobs wait at; creating the file opens it."""
    return tmp_path / "gate"


@pytest.mark.parametrize("processes", ["1", "2"])
def test_drained_processes_end_and_are_not_started_again(
    start_command: StartCommand, durable_url: str, make_app: MakeApp, gate: Path, processes: str
) -> None:
    """Jobs run past the grace of a signal, nothing new is claimed, no process comes back, the exit code is 0."""
    app = make_app(durable_url)
    command = start_command(durable_url, "--processes", processes, "--queues", "default:1", "--grace", "0.2s", **QUICK)
    command.ready(int(processes))
    jobs = [app.enqueue("hold", str(gate)) for _ in range(int(processes))]
    await_start(gate, *jobs)
    ids = [one.id for one in app.workers.list()]
    assert app.workers.drain(ids) == set(ids)
    for _ in ids:
        command.line("was told to drain: it takes no more jobs and ends when those that run have")
    waiting = app.enqueue("hold", str(gate))
    assert {one.state for one in app.workers.list()} == {"draining"}
    gate.touch()
    assert command.end() == 0
    assert {job.refresh().state for job in jobs} == {"completed"}
    assert waiting.refresh().state == "queued"
    assert app.workers.list() == []


def test_one_of_two_processes_is_drained(start_command: StartCommand, sqlite_url: str, make_app: MakeApp) -> None:
    """The supervisor lets the drained process go and goes on with the other, which runs the jobs."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--processes", "2", "--queues", "default:1", **QUICK)
    command.ready(2)
    [gone, stays] = app.workers.list()
    app.workers.drain([gone.id])
    command.line(f"worker process {gone.pid} was drained and is not started again")
    job = app.enqueue("whoami")
    eventually(lambda: job.refresh().state == "completed")
    assert [one.pid for one in app.workers.list()] == [stays.pid]
    assert command.stop() == 0
    assert sum("lineshaft.worker: ready" in line for line in command.lines) == 2


def test_a_signal_ends_the_patience_of_a_drain(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Path
) -> None:
    """SIGTERM on a worker that drains gives its jobs the grace of a signal, and puts them back then."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--grace", "0.3s", **QUICK, LINESHAFT_STOP_PATIENCE="0.3s")
    command.ready()
    job = app.enqueue("hold", str(gate))
    await_start(gate, job)
    app.workers.drain([one.id for one in app.workers.list()])
    command.line("was told to drain")
    command.send(signal.SIGTERM)
    assert command.end() == 0
    assert (job.refresh().state, job.attempt) == ("queued", 0)


def test_a_drained_worker_that_loses_its_lease_stops_its_jobs(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Path
) -> None:
    """Once others may take its jobs, it waits for them no longer."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, **QUICK, LINESHAFT_STOP_PATIENCE="0.3s")
    command.ready()
    job = app.enqueue("hold", str(gate))
    await_start(gate, job)
    [worker] = app.workers.list()
    app.workers.drain([worker.id])
    command.line("was told to drain")
    with app.transaction() as connection:
        connection.execute("delete from lineshaft_worker where id = ?", (worker.id,))
    command.line(f"worker {worker.id} stops its jobs: it was declared dead")
    assert command.end() == 0
    assert os.path.exists(f"{gate}.{job.id}")  # noqa: PTH110 - it had begun
