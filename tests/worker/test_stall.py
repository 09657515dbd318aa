"""Lanes that start nothing: what blocks the event loop is reported, and jobs that wait in vain are given back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from lineshaft import Lineshaft
from lineshaft.worker.lanes.async_ import LoopThread
from lineshaft.worker.stall import LoopWatch
from tests.plugins.apps import Gates, StartWorker, eventually


def test_a_job_that_blocks_the_loop_is_reported_once(
    app: Lineshaft, start_worker: StartWorker, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """A coroutine that blocks the event loop for over a second is reported once, with its task and its stack."""

    @app.task(name="blocker")
    async def blocker() -> None:
        gates.note("blocking")
        gates.wait_deaf("open")

    worker = start_worker(app, {"default": 2})
    job = blocker.enqueue()
    assert gates.next() == "blocking"
    eventually(lambda: reports(caplog))
    for _ in range(5):
        worker.worker.liveness._look_for_stalls(app.runtime().engine.clock.monotonic())
    gates.open("open")
    job.result(20)
    [report] = reports(caplog)
    assert f"job {job.id} (blocker) blocks the event loop for 1." in report
    assert "wait_deaf" in report


def reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged about a blocked loop."""
    return [message for message in caplog.messages if "blocks the event loop" in message]


def test_a_blocked_loop_keeps_its_lease_and_takes_no_more(
    app: Lineshaft, start_worker: StartWorker, gates: Gates
) -> None:
    """While a job blocks the loop it is not rescued, others of its queue are not claimed, and run when it is over."""

    @app.task(name="blocker")
    async def blocker() -> int:
        gates.note("blocking")
        gates.wait_deaf("open")
        return 1

    @app.task(name="other")
    async def other() -> int:
        return 2

    worker = start_worker(app, {"default": 4}).worker
    job = blocker.enqueue()
    assert gates.next() == "blocking"
    others = other.enqueue_many([()] * 2)
    eventually(lambda: app.jobs.count(state="running") == 1 and worker.claimer.queues["default"].is_blocked)
    more = other.enqueue()
    beaten = app.workers.list()[0].heartbeat_at
    eventually(lambda: app.workers.list()[0].heartbeat_at > beaten)
    assert {one.refresh().state for one in (*others, more)} == {"queued"}
    assert job.refresh().state == "running"
    gates.open("open")
    assert job.result(20) == 1
    assert [one.result(20) for one in (*others, more)] == [2, 2, 2]
    assert job.refresh().attempt == 1


def test_jobs_that_wait_in_vain_are_given_back(durable_app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Jobs taken ahead by a worker whose slots stay busy are put back within seconds, and another worker runs them."""

    @durable_app.task(name="quick")
    def quick() -> None:
        return

    @durable_app.task(name="slow")
    def slow(number: int) -> int:
        gates.wait(f"slow {number}")
        return number

    durable_app.enqueue_many([*[quick.new() for _ in range(2000)], *[slow.new(number) for number in range(20)]])
    first = start_worker(durable_app, {"default": 1}).worker
    eventually(lambda: first.claimer.busy > 1 and durable_app.jobs.count(name="quick", state="queued") == 0)
    eventually(lambda: durable_app.jobs.count(state="running") == 1)
    for number in range(1, 20):
        gates.open(f"slow {number}")
    start_worker(durable_app, {"default": 1})
    eventually(lambda: durable_app.jobs.count(name="slow", state="completed") == 19)
    assert durable_app.jobs.count(name="slow", state="running") == 1
    assert first.claimer.busy == 1


def test_a_loop_that_answers_is_not_blocked() -> None:
    """A loop that runs its callbacks is asked again and again, and is never called blocked."""
    loop = LoopThread()
    loop.start()
    watch = LoopWatch(loop)
    for second in range(1, 4):
        assert not watch.is_blocked(float(second))
        turned = threading.Event()
        loop.loop.call_soon_threadsafe(turned.set)
        assert turned.wait(10)
    loop.close()
    loop.thread.join(10)


def test_what_is_no_job_is_reported_too(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that blocks the loop is reported although no job's task runs."""
    loop = LoopThread()
    loop.start()
    gate = threading.Event()
    reached = threading.Event()

    def block() -> Any:
        reached.set()
        gate.wait(20)

    loop.loop.call_soon_threadsafe(block)
    assert reached.wait(10)
    watch = LoopWatch(loop)
    assert [watch.is_blocked(at) for at in (10.0, 10.9, 11.0, 12.0)] == [False, False, True, True]
    assert len(reports(caplog)) == 1
    assert "something blocks the event loop for 1.0 s" in reports(caplog)[0]
    gate.set()
    loop.close()
    loop.thread.join(10)
