"""Workers inside the process that uses them: `with`, `async with`, several at once, and their stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from lineshaft import ConfigError, Lineshaft, State, current_job
from lineshaft.store.claim import claim_jobs
from tests.plugins.apps import Gates, StartWorker, eventually


def test_with_block_runs_jobs(app: Lineshaft) -> None:
    """A worker for the length of a block runs jobs, signs off at its end, and leaves none of its threads."""
    app.task(name="one")(lambda: 1)
    app.jobs.count()
    before = set(threading.enumerate())
    with app.worker():
        assert app.enqueue("one").result(10) == 1
        assert len(app.workers.list()) == 1
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name != "lineshaft-waiter"]
    assert [name for name in left if not _ends(name)] == []
    assert app.workers.list() == []


def _ends(name: str) -> bool:
    """Tell whether a thread of this name is about to end, and wait for it."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(5)
            return not thread.is_alive()
    return True


def test_async_with_block(app: Lineshaft) -> None:
    """`async with` runs a worker beside an event loop without blocking it, and its jobs can be awaited there."""
    app.task(name="one")(lambda: 1)

    async def main() -> int:
        async with app.worker({"default": 2}):
            job = await app.aenqueue("one")
            result: int = await job.aresult(10)
            return result

    assert asyncio.run(main()) == 1


def test_worker_can_be_started_again(app: Lineshaft) -> None:
    """One app runs one worker after the other, each a new incarnation with a greater id."""
    app.task(name="one")(lambda: 1)
    ids = []
    for _ in range(2):
        with app.worker() as running:
            ids.append(running.worker.id)
            assert app.enqueue("one").result(10) == 1
    assert ids[0] < ids[1]


def test_two_workers_share_the_work(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Jobs that wait for each other in two workers of one slot each all finish: each worker takes one."""

    @app.task(name="meet")
    def meet(mine: str, other: str) -> None:
        gates.open(mine)
        gates.wait(other)

    start_worker(app, {"default": 1})
    start_worker(app, {"default": 1})
    jobs = [meet.enqueue("a", "b"), meet.enqueue("b", "a")]
    assert {job.wait(15).state for job in jobs} == {State.COMPLETED}


def test_stop_puts_jobs_back(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Jobs that outlast the grace are put back without using up an attempt, and the next worker runs them."""

    @app.task(name="hold")
    def hold() -> str:
        gates.note("started")
        gates.wait("go")
        return "done"

    worker = start_worker(app)
    job = hold.enqueue()
    assert gates.next() == "started"
    worker.stop(grace=0.05)
    assert (job.refresh().state, job.attempt) == (State.QUEUED, 0)
    gates.open("go")
    start_worker(app)
    assert (job.result(10), job.attempt) == ("done", 1)


def test_job_that_ignores_the_stop_is_not_started_twice(
    app: Lineshaft, start_worker: StartWorker, gates: Gates
) -> None:
    """A job that goes on after its worker's block is run by nobody else until its code has ended, and then is."""

    @app.task(name="deaf")
    def deaf() -> int:
        gates.note(current_job().attempt)
        gates.wait_deaf("wake")
        return current_job().attempt or 0

    worker = start_worker(app)
    job = deaf.enqueue()
    assert gates.next() == 1
    worker.stop(grace=0)
    assert worker.worker.ended.is_set()
    heir = start_worker(app)
    assert [one.state for one in app.workers.list()] == ["draining", "running"]
    stopped_at = app.workers.list()[0].heartbeat_at
    eventually(lambda: app.workers.list()[0].heartbeat_at > stopped_at + timedelta(seconds=1))
    assert job.refresh().state is State.RUNNING
    gates.open("wake")
    assert gates.next() == 1
    assert job.result(10) == 1
    eventually(lambda: [one.id for one in app.workers.list()] == [heir.worker.id])


def test_unstarted_jobs_are_released_at_once(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A stopping worker gives back what it claimed and has not started, while it waits for what runs."""

    @app.task(name="hold")
    def hold() -> str:
        gates.note("started")
        gates.wait("go")
        return "done"

    worker = start_worker(app, {"default": 1})
    jobs = hold.enqueue_many([()] * 5)
    assert gates.next() == "started"
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    start_worker(app, {"default": 5})
    assert [gates.next() for _ in range(4)] == ["started"] * 4
    gates.open("go")
    stopping.join(20)
    assert [job.result(10) for job in jobs] == ["done"] * 5
    assert {job.attempt for job in jobs} == {1}


@pytest.mark.parametrize("queues", [{"a": 0}, {"a": True}, [], "a:x", {"a,b": 1}], ids=repr)
def test_wrong_queues_are_refused(app: Lineshaft, queues: object) -> None:
    """Queues that cannot be served are refused before anything starts."""
    with pytest.raises(ConfigError):
        app.worker(queues).start()  # type: ignore[arg-type]
    assert app.workers.list() == []


def test_sign_off_leaves_no_job_behind(
    durable_url: str, make_app: Callable[..., Lineshaft], start_worker: StartWorker
) -> None:
    """What a worker still holds in the store when it signs off, it gives back: no rescue would look for it."""
    app = make_app(durable_url)
    worker = start_worker(app, ["default"]).worker
    job = app.task(name="aside", queue="aside")(lambda: None).enqueue()
    engine = app._store.engine
    # As after a claim whose commit's answer was lost.
    engine.write(lambda tx: claim_jobs(tx, queue="aside", limit=1, worker=worker.id, now=engine.clock.now()))
    assert job.refresh().state is State.RUNNING
    worker.stop()
    assert (job.refresh().state, job.attempt) == (State.QUEUED, 0)
