"""How a worker ends, and how it starts itself anew: signals, grace, hung jobs, being process 1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lineshaft import Lineshaft
from tests.plugins.apps import eventually
from tests.worker.conftest import StartCommand, await_start, is_alive

MakeApp = Callable[..., Lineshaft]
Gate = Path

QUICK = {"LINESHAFT_STOP_PATIENCE": "0.3s", "LINESHAFT_HEARTBEAT": "0.1s", "LINESHAFT_SILENCE": "0.5s"}


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """The gate that jobs wait at; creating the file opens it."""
    return tmp_path / "gate"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_jobs_finish_within_the_grace(
    start_command: StartCommand, durable_url: str, make_app: MakeApp, gate: Gate, number: signal.Signals
) -> None:
    """After the first signal a running job finishes, nothing new is started, and the exit code is 0."""
    app = make_app(durable_url)
    command = start_command(durable_url, "--queues", "default:1")
    running = app.enqueue("hold", str(gate))
    await_start(gate, running)
    command.send(number)
    command.line("stopping: running jobs have 25 s to finish; a second signal stops at once")
    eventually(lambda: app.workers.list()[0].state == "draining")
    waiting = app.enqueue("whoami")
    gate.touch()
    assert command.end() == 0
    assert running.refresh().state == "completed"
    assert waiting.refresh().state == "queued"


def test_a_long_job_is_put_back_without_an_attempt(
    start_command: StartCommand, durable_url: str, make_app: MakeApp, gate: Gate
) -> None:
    """What does not finish within --grace is put back, runs on another worker, and has used up no attempt."""
    app = make_app(durable_url)
    first = start_command(durable_url, "--grace", "0.2s", **QUICK)
    job = app.enqueue("hold", str(gate))
    await_start(gate, job)
    assert first.stop() == 0
    assert job.refresh().state == "queued"
    second = start_command(durable_url, **QUICK)
    gate.touch()
    assert job.result(20) == second.popen.pid
    assert (job.attempt, job.errors) == (1, [])


def test_a_second_signal_stops_at_once(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Gate
) -> None:
    """A second signal ends a grace of an hour, and the running job is put back."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--grace", "1h", **QUICK)
    job = app.enqueue("hold", str(gate))
    await_start(gate, job)
    command.send(signal.SIGTERM)
    command.line("stopping: running jobs have 3600 s to finish")
    command.send(signal.SIGINT)
    command.line("stopping at once")
    assert command.end() == 0
    assert job.refresh().state == "queued"


def test_a_signal_during_the_import_ends_cleanly(
    start_command: StartCommand, sqlite_url: str, tmp_path: Path, gate: Gate
) -> None:
    """SIGTERM while the app is being imported ends the worker with exit code 0 and no traceback."""
    command = start_command(sqlite_url, GATE_AT_IMPORT=str(gate))
    eventually((tmp_path / "gate.reached").exists)
    assert command.stop() == 0
    assert [line.partition(": ")[2] for line in command.lines] == ["stopped before the worker had started"]


def test_a_signal_during_the_start_leaves_lifespans(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, tmp_path: Path
) -> None:
    """SIGTERM while a lifespan starts ends it, signs the worker off, and the exit code is 0."""
    command = start_command(sqlite_url, LIFE_FOLDER=str(tmp_path))
    eventually((tmp_path / "started").exists)
    assert command.stop() == 0
    assert (tmp_path / "ended").exists()
    assert make_app(sqlite_url).workers.list() == []


def test_lifespans_end_with_the_worker(start_command: StartCommand, sqlite_url: str, tmp_path: Path) -> None:
    """A lifespan is left after the last job, before the process ends."""
    (tmp_path / "go-on").touch()
    command = start_command(sqlite_url, LIFE_FOLDER=str(tmp_path))
    command.ready()
    assert not (tmp_path / "ended").exists()
    assert command.stop() == 0
    assert (tmp_path / "ended").exists()


def test_a_hung_job_does_not_keep_the_worker(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, gate: Gate
) -> None:
    """A job that ignores its timeout is not waited for: the worker ends at once, and the job has timed out."""
    app = make_app(sqlite_url)
    command = start_command(sqlite_url, "--grace", "1h", **QUICK)
    job = app.enqueue("hang", str(gate))
    command.line("ignores being stopped (timeout)")
    assert command.stop() == 0
    assert (job.refresh().state, job.reason, len(job.errors)) == ("dead", "timeout", 1)


def test_a_lone_worker_starts_itself_anew(
    start_command: StartCommand, durable_url: str, make_app: MakeApp, gate: Gate
) -> None:
    """When too many jobs hang, the process starts anew under its id; the hung job has used up its attempt."""
    app = make_app(durable_url)
    command = start_command(durable_url, LINESHAFT_MAX_HUNG="1", **QUICK)
    command.ready()
    before = app.workers.list()[0].id
    hung = app.enqueue("hang", str(gate))
    command.line(f"process {command.popen.pid} starts anew")
    command.ready()
    assert app.enqueue("whoami").result(20) == command.popen.pid
    assert app.workers.list()[0].id != before
    assert (hung.refresh().state, hung.reason) == ("dead", "timeout")
    assert command.stop() == 0


def test_starting_anew_waits_for_the_store(start_command: StartCommand, sqlite_url: str) -> None:
    """A worker that starts itself anew waits for a store that is away, and still ends at SIGTERM."""
    command = start_command("postgresql://nobody@127.0.0.1:1/nothing", LINESHAFT_RESTARTED="1")
    command.line("the store does not answer; trying again in 1 s")
    assert command.stop() == 0


needs_namespaces = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, capture_output=True).returncode != 0,
    reason="this system does not let a test make a process 1",
)


@needs_namespaces
def test_it_is_fit_to_be_process_1(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, tmp_path: Path
) -> None:
    """As process 1 a worker runs jobs, reaps the orphans that they leave, and drains at SIGTERM."""
    app = make_app(sqlite_url)
    before = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    command = start_command(sqlite_url, before=before)
    command.ready()
    app.enqueue("leave_orphan", str(tmp_path / "orphan")).result(20)
    [init] = children_of(command.popen.pid)
    orphan = eventually(lambda: (tmp_path / "orphan").exists() and (tmp_path / "orphan").read_text())
    assert int(orphan) > 1
    worker_only = eventually(lambda: len(found := descendants(init)) == 1 and found)
    assert worker_only[0][1] != "Z"
    os.kill(init, signal.SIGTERM)
    assert command.end() == 0
    assert "has stopped" in command.lines[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has child subreapers")
def test_a_subreaper_reaps_orphans(
    start_command: StartCommand, sqlite_url: str, make_app: MakeApp, tmp_path: Path
) -> None:
    """A worker that was made a child subreaper reaps the orphans that the kernel gives to it."""
    script = tmp_path / "subreaper.py"
    script.write_text(
        "import ctypes, os, sys\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\nos.execv(sys.argv[1], sys.argv[1:])"
    )
    command = start_command(sqlite_url, before=(sys.executable, str(script)))
    command.ready()
    make_app(sqlite_url).enqueue("leave_orphan", str(tmp_path / "orphan")).result(20)
    orphan = int(eventually(lambda: (tmp_path / "orphan").exists() and (tmp_path / "orphan").read_text()))
    eventually(lambda: not Path(f"/proc/{orphan}").exists())
    assert [is_alive(pid) for pid, _ in descendants(command.popen.pid)] == [True]
    assert command.stop() == 0


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return every process below one, with its state (`Z`: dead, not reaped)."""
    found = []
    for child in children_of(pid):
        found.append((child, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]))
        found += descendants(child)
    return found
