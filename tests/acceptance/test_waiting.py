"""Waiting for many jobs at once: order, errors, time, refusals, and what goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from lineshaft import (
    Job,
    JobCancelled,
    JobFailed,
    JobNotFound,
    Lineshaft,
    ResultGone,
    ResultTimeout,
    State,
    WouldDeadlock,
)
from lineshaft.app.wait import Wait
from lineshaft.app.watch import Watch
from tests.plugins.apps import LIMIT, Gates, StartWorker, eventually
from tools.temporary_postgres import TemporaryPostgres


def add_tasks(app: Lineshaft, gates: Gates) -> None:
    """Give the app a task that waits at a gate, one that fails and one that answers."""

    def hold(name: str) -> str:
        gates.wait(name)
        return name

    def fail(text: str) -> None:
        raise ValueError(text)

    app.task(name="hold")(hold)
    app.task(name="fail", retry=None)(fail)
    app.task(name="double")(lambda number: 2 * number)


def holds(app: Lineshaft, *names: str) -> list[Job[Any]]:
    """Enqueue jobs that wait at gates of these names."""
    return [app.enqueue("hold", name) for name in names]


def waited_for(app: Lineshaft) -> set[str]:
    """Return the jobs that somebody waits for."""
    return set(app._waiter._watcher._waits)


# --- results ----------------------------------------------------------------------------------------------------------


def test_gather_keeps_the_order(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """`gather` gives the results in the order of the jobs, however they end, and twice for a job given twice."""
    add_tasks(app, gates)
    start_worker(app)
    first, second = holds(app, "a", "b")
    gates.open("b")
    second.wait(LIMIT)
    gates.open("a")
    assert app.gather([first, second, app.jobs.get(first.id)], timeout=LIMIT) == ["a", "b", "a"]
    assert app.gather([]) == []
    for call in (app.gather, app.as_completed):
        with pytest.raises(TypeError, match="is not a job that could be waited for"):
            call([app.find("double").new(1)])  # type: ignore[list-item]
    assert waited_for(app) == set()


def test_gather_raises_the_first_error_at_once(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """One failed job ends `gather` with its error while the others run on, and nobody waits for those any more."""
    add_tasks(app, gates)
    start_worker(app)
    held = holds(app, "a")[0]
    with pytest.raises(JobFailed, match="broken"):
        app.gather([held, app.enqueue("fail", "broken")], timeout=LIMIT)
    assert waited_for(app) == set()
    gates.open("a")
    assert held.result(LIMIT) == "a"


def test_gather_can_return_errors(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """With `return_exceptions` every job has its place: its result, or what `result` would raise."""
    add_tasks(app, gates)
    start_worker(app)
    cancelled = app.jobs.get(app.enqueue_new(app.find("double").options(delay="1h").new(1)).id)
    cancelled.cancel()
    jobs = [app.enqueue("fail", "x"), app.enqueue("double", 2), cancelled]
    failed, number, stopped = app.gather(jobs, timeout=LIMIT, return_exceptions=True)
    assert (type(failed), number, type(stopped)) == (JobFailed, 4, JobCancelled)


def test_as_completed_follows_the_ends(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Jobs come as they end, each renewed, final and once; those that had ended come first."""
    add_tasks(app, gates)
    start_worker(app, {"default": 3})
    jobs = dict(zip("abc", holds(app, "a", "b", "c"), strict=True))
    gates.open("b")
    app.jobs.get(jobs["b"].id).wait(LIMIT)
    came = []
    for job in app.as_completed([*jobs.values(), jobs["a"]], timeout=LIMIT):
        assert job.state is State.COMPLETED
        came.append(job.value)
        gates.open({"b": "c", "c": "a", "a": "a"}[job.value])
    assert came == ["b", "c", "a"]


def test_time_is_over(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """When the time passes first, `ResultTimeout` says how many jobs are left, after those that have ended came."""
    add_tasks(app, gates)
    start_worker(app)
    done = app.enqueue("double", 1)
    done.wait(LIMIT)
    held = holds(app, "a", "b")
    came: list[Job[Any]] = []
    with pytest.raises(ResultTimeout, match="2 of 3 jobs are not finished after 50ms"):
        came.extend(app.as_completed([*held, app.jobs.get(done.id)], timeout="50ms"))
    with pytest.raises(ResultTimeout, match="2 of 3 jobs"):
        app.gather([*held, done], timeout=0)
    assert came == [done]
    assert waited_for(app) == set()


def test_deleted_jobs_end_the_wait(app: Lineshaft) -> None:
    """A job that is deleted or purged while it is waited for ends the wait at once; `as_completed` keeps the others."""
    jobs = [app.enqueue("nobody.runs.this", number) for number in range(3)]
    with ThreadPoolExecutor(5) as threads:
        wait = threads.submit(app.jobs.get(jobs[0].id).wait, LIMIT)
        result = threads.submit(app.jobs.get(jobs[0].id).result, LIMIT)
        gather = threads.submit(app.gather, jobs[:1], timeout=LIMIT)
        rest = threads.submit(lambda: [job.id for job in app.as_completed(jobs[1:], timeout=LIMIT)])
        events = threads.submit(lambda: list(app.jobs.get(jobs[0].id).events()))
        eventually(lambda: len(waited_for(app)) == 3 and app._waiter._follower._waits)
        app.jobs.get(jobs[0].id).delete()
        with pytest.raises(JobNotFound):
            wait.result(LIMIT)
        with pytest.raises(JobNotFound):
            events.result(LIMIT)
        for one in (result, gather):
            with pytest.raises(ResultGone, match="not stored any more"):
                one.result(LIMIT)
        app.queues.purge("default")
        assert sorted(rest.result(LIMIT)) == sorted(job.id for job in jobs[1:])
    with pytest.raises(ResultGone):
        jobs[0].result(LIMIT)


def test_revived_jobs_are_waited_for_again(
    app: Lineshaft, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is tried again between its end and the look at it is waited for until its next end."""
    app.task(name="late")(lambda: "at last")
    job = app.enqueue("late")
    app.jobs.get(job.id).cancel()
    read, revived = Wait._read, list[int]()

    def revive_and_read(wait: Wait[Any], job_ids: list[str]) -> list[Any]:
        if job_ids and not revived:
            revived.append(app.jobs.retry(state="cancelled"))
            assert read(wait, job_ids) == []
            start_worker(app)
            return []
        return read(wait, job_ids)

    monkeypatch.setattr(Wait, "_read", revive_and_read)
    assert job.result(LIMIT) == "at last"
    assert revived == [1]


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_each_call_names_its_twin(app: Lineshaft) -> None:
    """On an event loop's thread each call raises `WouldDeadlock` at once and names what awaits in its place."""
    job = app.enqueue("nothing")
    calls: dict[str, Callable[[], object]] = {
        "await job.await_()": job.wait,
        "await job.aresult()": job.result,
        "job.aevents()": job.events,
        "await app.agather(jobs)": lambda: app.gather([job]),
        "app.aas_completed(jobs)": lambda: app.as_completed([job]),
    }

    async def main() -> None:
        for twin, call in calls.items():
            with pytest.raises(WouldDeadlock) as caught:
                call()
            assert twin in str(caught.value)

    asyncio.run(main())
    assert waited_for(app) == set()


def test_waiting_in_a_job_is_refused(app: Lineshaft, start_worker: StartWorker) -> None:
    """Inside a job every wait, also one that awaits, is refused; jobs known to be final need no wait and are given."""
    tried: list[str] = []
    final = app.enqueue("nothing")
    final.cancel()
    final.refresh()

    async def try_all() -> None:
        job = await app.aenqueue("nothing")
        calls: list[Callable[[], object]] = [
            lambda: app.gather([job]), lambda: app.as_completed([job]), job.events, job.aevents,
            lambda: app.aas_completed([job]),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(WouldDeadlock, match="hold its slot"):
                call()
            tried.append("refused")
        with pytest.raises(WouldDeadlock, match="hold its slot"):
            await app.agather([job])
        assert [type(one) for one in await app.agather([final], return_exceptions=True)] == [JobCancelled]

    app.task(name="try", retry=None)(try_all)
    start_worker(app, {"default": 1})
    app.enqueue("try").result(LIMIT)
    assert len(tried) == 5


# --- async ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_twins(app: Lineshaft, start_worker: StartWorker, gates: Gates, backend: str) -> None:
    """`agather` and `aas_completed` answer, fail and time out as their twins do, on asyncio and on trio."""
    add_tasks(app, gates)
    start_worker(app)

    async def main() -> None:
        jobs = await app.aenqueue_many([app._intake.by_name("double", (number,), {}) for number in range(50)])
        assert await app.agather(jobs, timeout=LIMIT) == [2 * number for number in range(50)]
        held = await app.aenqueue("hold", "a")
        with pytest.raises(JobFailed):
            await app.agather([held, await app.aenqueue("fail", "x")], timeout=LIMIT)
        with pytest.raises(ResultTimeout, match=held.id):
            await app.agather([held], timeout="20ms")
        quick = await app.aenqueue("double", 4)
        came = []
        async for job in app.aas_completed([held, quick], timeout=LIMIT):
            came.append(job.value)
            gates.open("a")
        assert came == [8, "a"]

    anyio.run(main, backend=backend)
    assert waited_for(app) == set()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_abandoned_iterators_leave_nothing(app: Lineshaft, backend: str) -> None:
    """An iterator that is closed, cancelled or forgotten is not waited for any more, and no thread of it is left."""
    jobs = [app.enqueue("nobody.runs.this") for _ in range(2)]
    jobs[0].cancel()
    app.gather([jobs[0].refresh()], return_exceptions=True)

    async def main() -> None:
        async with aclosing(app.aas_completed([app.jobs.get(one.id) for one in jobs])) as ended:
            async for job in ended:
                assert job == jobs[0]
                break
        with anyio.move_on_after(0.05):
            await app.agather(jobs[1:])
        with anyio.move_on_after(0.05):
            async for _ in jobs[1].aevents():
                pass

    anyio.run(main, backend=backend)
    iterator = app.as_completed([app.jobs.get(one.id) for one in jobs])
    assert next(iterator) == jobs[0]
    assert waited_for(app) == {jobs[1].id}
    del iterator
    gc.collect()
    assert waited_for(app) == set()
    assert app._waiter._follower._waits == {}


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["result", "gather", "as_completed", "events"])
def test_ctrl_c_ends_a_wait(app: Lineshaft, call: str) -> None:
    """`KeyboardInterrupt` ends a wait at once and leaves nothing that waits."""
    job = app.enqueue("nobody.runs.this")
    calls: dict[str, Callable[[], object]] = {
        "result": job.result,
        "gather": lambda: app.gather([job]),
        "as_completed": lambda: list(app.as_completed([job])),
        "events": lambda: list(job.events()),
    }
    waits = app._waiter._follower if call == "events" else app._waiter._watcher

    def interrupt() -> None:
        eventually(lambda: waits._waits)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        calls[call]()
    thread.join(LIMIT)
    assert waits._waits == {}


def test_closing_the_app_ends_every_wait(
    durable_app: Lineshaft, start_worker: StartWorker, gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits while another thread closes the app is told so; afterwards the app opens, and waits, anew."""
    app = durable_app
    add_tasks(app, gates)
    job = holds(app, "a")[0]
    rest = Watch.rest
    monkeypatch.setattr(Watch, "rest", lambda watch, seconds: (gates.note("rests"), rest(watch, seconds))[1])
    with ThreadPoolExecutor(2) as threads:
        gather = threads.submit(app.gather, [app.jobs.get(job.id)])
        events = threads.submit(lambda: list(app.jobs.get(job.id).events()))
        gates.next()
        gates.next()
        app.close()
        for one in (gather, events):
            with pytest.raises(ResultTimeout, match="the app was closed while job"):
                one.result(LIMIT)
    start_worker(app)
    gates.open("a")
    assert app.gather([job], timeout=LIMIT) == ["a"]


def test_waits_outlast_a_restart_of_the_server(
    own_postgres_server: Callable[..., TemporaryPostgres],
    make_app: Callable[..., Lineshaft],
    start_worker: StartWorker,
    gates: Gates,
) -> None:
    """A wait goes on while the store is away, and hears of what ended after it came back."""
    server = own_postgres_server()
    app, other = make_app(server.url), make_app(server.url)
    add_tasks(app, gates)
    start_worker(app)
    job, more = holds(app, "a", "b")
    with ThreadPoolExecutor(2) as threads:
        gather = threads.submit(other.gather, [other.jobs.get(one.id) for one in (job, more)], timeout=3 * LIMIT)
        events = threads.submit(lambda: [event.kind for event in other.jobs.get(job.id).events()])
        eventually(lambda: len(waited_for(other)) == 2 and other._waiter._follower._waits)
        server.stop("fast")
        gates.open("a")
        server.start()
        gates.open("b")
        assert gather.result(3 * LIMIT) == ["a", "b"]
        assert events.result(3 * LIMIT)[-1] == "completed"


@pytest.mark.parametrize("mode", ["inline", "manual"])
def test_in_a_testing_block(app: Lineshaft, gates: Gates, mode: Any) -> None:
    """Inside `app.testing` final jobs are given at once, and a job that nothing runs is refused, saying what to do."""
    add_tasks(app, gates)
    with app.testing(mode) as t:
        jobs = [app.enqueue("double", number) for number in (1, 2)]
        if mode == "manual":
            ended, told = app.as_completed(jobs), jobs[0].events()
            for call in (lambda: app.gather(jobs), lambda: next(ended), lambda: list(told)):
                with pytest.raises(ResultTimeout, match=r"t\.drain\(\)"):
                    call()
            t.drain()
        assert app.gather(jobs) == [2, 4]
        assert [job.value for job in app.as_completed(jobs)] == [2, 4]
        assert [event.kind for event in jobs[1].events()] == ["enqueued", "started", "completed"]
        assert asyncio.run(app.agather(jobs)) == [2, 4]
