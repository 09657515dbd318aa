"""Stopping jobs in threads: what it reaches, what it must never reach, and what ignores it."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import pytest

from lineshaft import Cancelled, InvalidTransition, JobCancelled, JobTimeout, Lineshaft, Retry, State, current_job
from lineshaft.retry import Fixed
from tests.plugins.apps import Gates, StartWorker, eventually

ONCE_MORE = Retry(max_attempts=2, backoff=Fixed(0))


def test_timeout_stops_a_thread(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A plain function that runs longer than its timeout is stopped at its next line and its job dies of `timeout`."""

    @app.task(name="slow", timeout=0.05, retry=None)
    def slow() -> None:
        try:
            gates.wait("never")
        except Cancelled as stop:
            gates.note(stop.cause)
            raise

    start_worker(app)
    job = slow.enqueue()
    with pytest.raises(JobTimeout, match=r"longer than its timeout of 0\.05 s"):
        job.result(10)
    assert gates.next() == "cancel"  # the exception is raised as a class; the job's own cause is what is stored
    assert job.reason == "timeout"
    assert [error["type"] for error in job.errors] == ["TimeoutError"]
    assert "gates.wait" in str(job.errors[0]["traceback"])


def test_timeouts_use_up_attempts(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A timed-out attempt is tried again as the policy says, and the last one's end is `dead: timeout`."""

    @app.task(name="slow", timeout=0.05, retry=ONCE_MORE)
    def slow() -> None:
        gates.note(current_job().attempt)
        gates.wait("never")

    start_worker(app)
    job = slow.enqueue()
    with pytest.raises(JobTimeout):
        job.result(10)
    assert [gates.next(), gates.next()] == [1, 2]
    assert [error["attempt"] for error in job.errors] == [1, 2]


def test_cancel_reaches_a_running_thread(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """`cancel` of a running job raises `Cancelled` in it, `except Exception` does not swallow it, and it ends so."""

    @app.task(name="endless")
    def endless() -> None:
        gates.note("started")
        try:
            gates.wait("never")
        except Exception:  # noqa: BLE001 - the point
            gates.note("swallowed")
        finally:
            gates.note(current_job().cancelled)

    start_worker(app)
    job = endless.enqueue()
    assert gates.next() == "started"
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(10)
    assert gates.next() is True
    assert job.errors == []


def test_stop_that_python_swallows_is_sent_again(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A stop that strikes inside a destructor, where Python drops exceptions, still ends the job."""

    class Trap:
        def __del__(self) -> None:
            gates.wait("never")

    @app.task(name="trapped", timeout=0.05, retry=None)
    def trapped() -> None:
        Trap()
        gates.note("out of the trap")
        gates.wait("never")

    start_worker(app)
    job = trapped.enqueue()
    assert gates.next() == "out of the trap"
    with pytest.raises(JobTimeout):
        job.result(10)


def test_stop_never_hits_the_next_job(app: Lineshaft, start_worker: StartWorker) -> None:
    """Stops that race with the ends of short jobs in one thread end those jobs or nothing, never the one after."""
    strays: list[str] = []

    @app.task(name="victim", timeout=0.002, retry=None)
    def victim(micros: int) -> None:
        until = time.perf_counter_ns() + micros * 1_000
        while time.perf_counter_ns() < until:
            pass

    @app.task(name="bystander", retry=None)
    def bystander() -> int:
        try:
            return sum(range(2_000))
        except BaseException as error:
            strays.append(repr(error))
            raise

    order = [victim.new(random.randrange(1_800, 2_200)) for _ in range(150)]  # noqa: S311 - spreads the race
    mixed = [one for pair in zip(order, (bystander.new() for _ in order), strict=True) for one in pair]
    jobs = app.enqueue_many(mixed)
    start_worker(app, {"default": 1})
    for job in jobs:
        job.wait(20)
    states = [job.state for job in jobs]
    assert strays == []
    assert set(states[1::2]) == {State.COMPLETED}, "a bystander was stopped"
    assert set(states[0::2]) <= {State.COMPLETED, State.DEAD}
    assert app.workers.list()[0].running == 0


def test_cancel_races_with_the_end(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A cancel that races with a job's end leaves it completed or cancelled, and the next job unharmed."""

    @app.task(name="short")
    def short(gate: str) -> None:
        gates.note(gate)
        gates.wait(gate)

    @app.task(name="after")
    def after() -> str:
        return "unharmed"

    start_worker(app, {"default": 1})
    for number in range(15):
        job, following = short.enqueue(f"g{number}"), after.enqueue()
        assert gates.next() == f"g{number}"
        opener = threading.Thread(target=gates.open, args=(f"g{number}",))
        opener.start()
        with suppress(InvalidTransition):  # it has ended already
            job.cancel()
        opener.join()
        assert job.wait(10).state in {State.COMPLETED, State.CANCELLED}
        assert following.result(10) == "unharmed"


def test_deaf_thread_keeps_its_job_and_loses_its_slot(
    app: Lineshaft, start_worker: StartWorker, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that ignores its timeout is reported with its stack, its slot goes to others, its job stays running."""

    @app.task(name="deaf", timeout=0.05, retry=ONCE_MORE)
    def deaf() -> None:
        gates.note(current_job().attempt)
        gates.wait_deaf("wake")

    @app.task(name="other")
    def other() -> str:
        return "ran"

    start_worker(app, {"default": 1})
    job = deaf.enqueue()
    assert gates.next() == 1
    assert other.enqueue().result(10) == "ran"
    assert job.refresh().state is State.RUNNING
    report = next(record.getMessage() for record in caplog.records if "ignores being stopped" in record.getMessage())
    assert job.id in report
    assert "wait_deaf" in report
    assert gates.notes.empty(), "the next attempt started beside the one that hangs"
    gates.open("wake")
    assert job.result(10) is None
    assert gates.next() == 2
    assert [error["attempt"] for error in job.errors] == [1]


def test_too_many_deaf_threads_end_the_worker(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A worker that carries `max_hung` jobs that ignore being stopped takes no more jobs and ends by itself."""

    @app.task(name="deaf", timeout=0.05, retry=None)
    def deaf() -> None:
        gates.wait_deaf("wake")

    running = start_worker(app, {"default": 8})
    deaf.enqueue_many([()] * app.settings.max_hung)
    assert running.worker.ended.wait(15)
    assert running.worker.is_hung
    late = deaf.enqueue()
    assert late.refresh().state is State.QUEUED
    gates.open("wake")
    eventually(lambda: app.workers.list() == [])
