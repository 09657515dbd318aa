"""Following one job: what `events()` tells, in which order, and how soon."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from lineshaft import Lineshaft, Retry, Snooze, current_job
from lineshaft.events import JobDead, JobEvent, JobProgressed, JobRetrying
from lineshaft.retry import Fixed
from tests.plugins.apps import LIMIT, Gates, StartWorker


def test_story_is_told_as_it_happens(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Each start, word of progress, failure and end comes in order, the job renewed with each, until it is final."""

    @app.task(name="work", retry=Retry(max_attempts=2, backoff=Fixed(0)))
    def work() -> str:
        attempt = current_job().attempt
        current_job().progress(attempt / 2, f"turn {attempt}")
        gates.wait(f"turn {attempt}")
        if attempt == 1:
            raise ValueError("the first one fails")
        return "done"

    job = work.enqueue()
    told: list[tuple[str, int]] = []
    events: list[JobEvent] = []
    for event in job.events():
        told.append((event.kind, event.attempt))
        events.append(event)
        if event.kind == "enqueued":
            start_worker(app)
        elif isinstance(event, JobProgressed):
            assert job.progress is not None
            assert (event.fraction, event.message) == (job.progress.fraction, job.progress.message)
            gates.open(event.message or "")
    assert told == [
        ("enqueued", 0), ("started", 1), ("progressed", 1), ("retrying", 1), ("started", 2), ("progressed", 2),
        ("completed", 2),
    ]  # fmt: skip
    assert job.value == "done"
    assert {(event.job_id, event.name, event.queue) for event in events} == {(job.id, "work", "default")}
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert app._waiter._follower._waits == {}


def test_final_job_tells_its_story(app: Lineshaft, start_worker: StartWorker) -> None:
    """Of a job that has ended, every failed attempt and the end are told, with their errors, without waiting."""

    @app.task(name="fail", retry=Retry(max_attempts=3, backoff=Fixed(0)))
    def fail() -> None:
        raise ValueError(f"error {current_job().attempt}")

    start_worker(app)
    job = fail.enqueue().wait(LIMIT)
    enqueued, *failures, started, dead = job.events()
    assert (enqueued.kind, started.kind, started.attempt) == ("enqueued", "started", 3)
    assert [(one.error, one.attempt) for one in failures if isinstance(one, JobRetrying)] == [
        ("error 1", 1),
        ("error 2", 2),
    ]
    assert isinstance(dead, JobDead)
    assert (dead.reason, dead.error, dead.at) == ("error", "error 3", job.finished_at)


def test_snooze_release_and_cancel_are_told(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job that comes back without a failure is told as snoozed or released, with the attempt that it gave back."""

    @app.task(name="turns")
    def turns(snoozed: list[int] = []) -> None:  # noqa: B006 - remembers the snooze
        gates.wait("follow")
        if not snoozed:
            snoozed.append(1)
            raise Snooze("1.5s")
        gates.wait("never")

    first, told = start_worker(app), list[tuple[str, int]]()
    job = turns.enqueue()
    for event in job.events():
        told.append((event.kind, event.attempt))
        if told == [("enqueued", 0), ("started", 1)]:
            gates.open("follow")
        elif told[-2:] == [("snoozed", 1), ("started", 1)]:
            first.stop(grace=0)
        elif event.kind == "released":
            job.cancel()
    assert told == [
        ("enqueued", 0), ("started", 1), ("snoozed", 1), ("started", 1), ("released", 1), ("cancelled", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_twin(app: Lineshaft, start_worker: StartWorker, backend: str) -> None:
    """`aevents` tells the same story on asyncio and on trio, also of many jobs at once."""

    @app.task(name="good")
    async def good() -> None:
        await anyio.lowlevel.checkpoint()

    stories: list[list[str]] = []

    async def follow(job: Any) -> None:
        stories.append([event.kind async for event in job.aevents()])

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(follow, await good.aenqueue())
            start_worker(app)

    with anyio.from_thread.start_blocking_portal(backend) as portal:
        portal.call(main)
    assert stories == [["enqueued", "started", "completed"]] * 20


def test_followers_in_another_process_hear_at_once(
    durable_url: str, make_app: Callable[..., Lineshaft], start_worker: StartWorker, gates: Gates
) -> None:
    """Whoever follows a job through another app hears of start, progress and end by wake-up, not by looking."""
    app, other = make_app(durable_url), make_app(durable_url)

    @app.task(name="hold")
    def hold() -> None:
        current_job().progress(0.5)
        gates.wait("go")

    other._store.engine.idle_poll = 1_000.0
    start_worker(app)
    job = other.enqueue("hold")
    told = []

    def follow() -> None:
        for event in job.events():
            told.append(event.kind)
            if event.kind == "progressed":
                gates.open("go")

    with ThreadPoolExecutor(1) as thread:
        thread.submit(follow).result(LIMIT)
    assert told == ["enqueued", "started", "progressed", "completed"]


def test_progress_is_an_event_of_the_worker_too(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """`@app.on("progressed")` is told of progress once it is stored."""

    @app.task(name="talk")
    def talk() -> None:
        current_job().progress(0.25, "a quarter")
        gates.wait("go")

    app.on("progressed")(gates.note)
    start_worker(app)
    job = talk.enqueue()
    event = gates.next()
    assert (event.job_id, event.attempt, event.fraction, event.message) == (job.id, 1, 0.25, "a quarter")
    assert job.refresh().progress is not None
    gates.open("go")
    job.wait(LIMIT)
