"""Wake-ups that are lost, doubled or late; clocks that jump; herds of jobs that fall due at once; starving ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from lineshaft import Lineshaft, State
from lineshaft import clock as clocks
from lineshaft.clock import HOUR, SECOND
from lineshaft.worker.worker import Worker
from tests.chaos.conftest import Chaos
from tests.chaos.history import Bounds
from tests.plugins.apps import Gates, StartWorker, eventually

POLL_SECONDS: Final = 1.0
"""An idle worker looks by itself once a second."""
LENIENCE: Final = 2.0
CHAOS: Final = pytest.mark.chaos
Hear = Callable[[Worker, set[str]], None]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Hear, Worker, set[str]], None]], None]]:
    """Puts a fault between the listener and the worker: `heard(fault)`, called as `fault(hear, worker, messages)`."""
    original = Worker._heard

    def put(fault: Callable[[Hear, Worker, set[str]], None]) -> None:
        monkeypatch.setattr(Worker, "_heard", lambda worker, messages: fault(original, worker, messages))

    yield put
    monkeypatch.undo()


def test_lost_wake_ups_delay_a_job_by_the_poll(durable_app: Lineshaft, start_worker: StartWorker, heard: Any) -> None:
    """With every wake-up lost, a job still starts within the worker's own look of once a second."""
    dropped: list[set[str]] = []
    heard(lambda _hear, _worker, messages: dropped.append(messages))
    durable_app.task(name="quick")(lambda: None)
    start_worker(durable_app)
    for _ in range(3):
        before = time.monotonic()
        durable_app.enqueue("quick").result(20)
        assert time.monotonic() - before < POLL_SECONDS + LENIENCE
    assert dropped


@pytest.mark.parametrize("fault", ["doubled", "delayed"])
def test_doubled_and_delayed_wake_ups_run_nothing_twice(
    fault: str, durable_app: Lineshaft, start_worker: StartWorker, heard: Any, gates: Gates
) -> None:
    """Wake-ups that come twice, or long after their job has run, run nothing again and break nothing."""
    late: list[threading.Timer] = []

    def distort(hear: Hear, worker: Worker, messages: set[str]) -> None:
        if fault == "doubled":
            hear(worker, messages)
            hear(worker, messages)
        else:
            late.append(threading.Timer(0.3, hear, (worker, messages)))
            late[-1].start()

    heard(distort)
    durable_app.task(name="note")(lambda what: gates.note(what))
    start_worker(durable_app)
    for number in range(20):
        durable_app.enqueue("note", number).result(20)
    for one in late:
        one.join()
    assert [gates.next() for _ in range(20)] == list(range(20))
    assert gates.notes.empty()


def test_worker_whose_clock_jumps(
    durable_app: Lineshaft, start_worker: StartWorker, gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that jumps an hour forward and back makes no worker dead, loses no job and runs none twice."""
    app = durable_app
    app.task(name="note")(lambda what: gates.note(what))

    @app.task(name="held")
    def held() -> str:
        gates.note("start held")
        gates.wait("held")
        return "held"

    start_worker(app)
    start_worker(app)
    job = app.enqueue("held")
    assert gates.next() == "start held"
    offsets = [0]
    original = clocks.wall_clock
    monkeypatch.setattr(clocks, "wall_clock", lambda: original() + offsets[0])
    for number, jump in enumerate((HOUR, -HOUR, 0)):
        offsets[0] = jump
        beats = {one.id: one.heartbeat_at for one in app.workers.list()}
        eventually(lambda beats=beats: all(one.heartbeat_at != beats.get(one.id) for one in app.workers.list()))
        app.enqueue("note", number).result(20)
        assert gates.next() == number
    assert len(app.workers.list()) == 2
    assert job.refresh().state is State.RUNNING
    gates.open("held")
    assert job.result(20) == "held"
    assert gates.notes.empty()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=CHAOS), pytest.param(100_000, marks=CHAOS)])
def test_herd_of_jobs_due_at_once(chaos: Chaos, count: int, record_property: Callable[[str, object], None]) -> None:
    """Jobs that all fall due in the same instant all run, once each and not before it, and no worker falls over."""
    chaos.make_effects()
    due = datetime.now(UTC) + timedelta(seconds=1 + count / 4_000)
    keys = [f"job{number}" for number in range(count)]
    for start in range(0, count, 5_000):
        chaos.enqueue_many("plain", keys[start : start + 5_000], run_at=due)
    workers = [chaos.worker() for _ in range(2)]
    limit = 20 + count / 250
    eventually(lambda: chaos.app.jobs.count(state="completed") == count, limit)
    record_property("seconds", round((datetime.now(UTC) - due).total_seconds(), 1))
    chaos.assert_in_order(Bounds(late=round(limit * SECOND)))
    assert [worker._popen.poll() for worker in workers] == [None, None]


def test_starving_priority(durable_app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Priority is strict: as long as higher jobs come, a lower one waits; it is not lost, and equals run in order."""
    app, higher, most = durable_app, 30, 120

    @app.task(name="high", priority=10)
    def high(number: int) -> None:
        gates.note(number)
        gates.wait(str(number))
        if number + higher < most:
            app.enqueue("high", number + higher)

    app.task(name="low", priority=-10)(lambda: gates.note("low"))
    low = app.enqueue("low")
    app.enqueue_many([high.new(number) for number in range(higher)])
    start_worker(app, {"default": 1})
    for number in range(most):
        assert gates.next() == number
        is_starving = number < most - higher
        assert not is_starving or low.refresh().attempt == 0
        gates.open(str(number))
    assert gates.next() == "low"
    low.result(20)
