"""Coroutine jobs: timeouts, cancels, and what they leave to the jobs beside them."""

from __future__ import annotations

import asyncio
import random

import pytest

from lineshaft import InvalidTransition, JobCancelled, JobTimeout, Lineshaft, Retry, State, current_job
from lineshaft.retry import Fixed
from tests.plugins.apps import Gates, StartWorker


def test_timeout_cancels_the_task(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A coroutine that runs longer than its timeout is cancelled, attempt after attempt, and dies of `timeout`."""

    @app.task(name="slow", timeout=0.05, retry=Retry(max_attempts=2, backoff=Fixed(0)))
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gates.note(current_job().cancelled)
            raise

    start_worker(app)
    job = slow.enqueue()
    with pytest.raises(JobTimeout):
        job.result(10)
    assert [gates.next(), gates.next()] == [True, True]
    assert [error["attempt"] for error in job.errors] == [1, 2]


def test_cancel_reaches_the_task(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """`cancel` of a running coroutine raises `asyncio.CancelledError` in it and ends the job as cancelled."""

    @app.task(name="endless")
    async def endless() -> None:
        gates.note("started")
        await asyncio.Event().wait()

    start_worker(app)
    job = endless.enqueue()
    assert gates.next() == "started"
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(10)
    assert job.errors == []


def test_own_cancellation_is_an_error(app: Lineshaft, start_worker: StartWorker) -> None:
    """A coroutine that raises `CancelledError` by itself has failed: nobody asked the job to stop."""

    @app.task(name="odd", retry=None)
    async def odd() -> None:
        raise asyncio.CancelledError

    start_worker(app)
    assert odd.enqueue().wait(10).state is State.DEAD


def test_stop_never_hits_another_job(app: Lineshaft, start_worker: StartWorker) -> None:
    """Timeouts and cancels that race with the ends of short coroutines hit those or nothing and leave no slot taken."""
    strays: list[str] = []

    @app.task(name="victim", timeout=0.003, retry=None)
    async def victim(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @app.task(name="bystander", retry=None)
    async def bystander() -> None:
        try:
            for _ in range(3):
                await asyncio.sleep(0)
        except BaseException as error:
            strays.append(repr(error))
            raise

    mixed = []
    for _ in range(150):
        mixed += [victim.new(random.uniform(0.002, 0.004)), bystander.new()]  # noqa: S311 - spreads the race
    jobs = app.enqueue_many(mixed)
    start_worker(app, {"default": 2})
    for number, job in enumerate(jobs):
        if number % 10 == 0:
            try:
                job.cancel()
            except InvalidTransition:
                assert job.refresh().state.is_final
    for job in jobs:
        job.wait(20)
    assert strays == []
    assert {job.state for job in jobs[1::2]} == {State.COMPLETED}
    assert app.workers.list()[0].running == 0


def test_task_that_refuses_to_stop_loses_its_slot(
    app: Lineshaft, start_worker: StartWorker, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """A coroutine that swallows its cancellation is reported, another job takes its slot, no attempt runs beside it."""

    @app.task(name="stubborn", timeout=0.05, retry=Retry(max_attempts=2, backoff=Fixed(0)))
    async def stubborn() -> int:
        gates.note(current_job().attempt)
        while not gates.is_open("give in"):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        return current_job().attempt

    @app.task(name="other")
    async def other() -> str:
        return "ran"

    start_worker(app, {"default": 1})
    job = stubborn.enqueue()
    assert gates.next() == 1
    assert other.enqueue().result(10) == "ran"
    assert "ignores being stopped" in caplog.text
    assert job.refresh().state is State.RUNNING
    assert gates.notes.empty()
    gates.open("give in")
    assert job.result(10) == 1, "what it returned after all counts: it was this attempt's"


def test_jobs_share_the_loop(app: Lineshaft, start_worker: StartWorker) -> None:
    """Coroutine jobs of one worker run on one event loop, at once, up to the queue's concurrency."""
    waiting: list[int] = []
    loops: set[int] = set()

    @app.task(name="meet")
    async def meet() -> int:
        loops.add(id(asyncio.get_running_loop()))
        waiting.append(1)
        while len(waiting) < 20:  # noqa: ASYNC110 - the turns of the loop are the point
            await asyncio.sleep(0.001)
        return len(waiting)

    start_worker(app, {"default": 20})
    assert [job.result(10) for job in meet.enqueue_many([()] * 20)] == [20] * 20
    assert len(loops) == 1
