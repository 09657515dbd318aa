"""Waiting for jobs, and following them: who may, and how it goes on until they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import aclosing, closing
from typing import Any, Final, TypeVar

from lineshaft.app.crossing import in_store_thread
from lineshaft.app.follow import Follow
from lineshaft.app.store import Store
from lineshaft.app.wait import Deadline, Ended, Wait
from lineshaft.app.watcher import Follower, NobodyWorks, Watcher, Watches
from lineshaft.clock import Duration
from lineshaft.current import running
from lineshaft.errors import WouldDeadlock
from lineshaft.events import JobEvent
from lineshaft.job import Job, no_such_job

R = TypeVar("R")

_TWINS: Final = {
    "wait": "await job.await_()",
    "result": "await job.aresult()",
    "events": "async for event in job.aevents()",
    "gather": "await app.agather(jobs)",
    "as_completed": "async for job in app.aas_completed(jobs)",
}
"""What awaits in place of each call that blocks."""


class Waiter:
    """Lets callers of an app wait for its jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watcher, self._follower = Watcher(store), Follower(store)
        self.stand_in: Callable[[Sequence[str]], None] | None = None
        """In tests: called in place of waiting, in which nothing would happen."""

    def wait(self, job: Job[Any], timeout: Duration | None, call: str) -> None:
        """Wait until a job is final, and renew it; a snapshot that is final already is left as it is.

        Raises `ResultTimeout`, `JobNotFound`, and `WouldDeadlock` inside a job or on an event loop's thread.
        """
        with closing(self.ended([job], timeout, call)) as ended:
            for one in ended:
                _refuse_gone(one)

    async def await_(self, job: Job[Any], timeout: Duration | None, call: str) -> None:
        """As `wait`, on any event loop."""
        async with aclosing(self.aended([job], timeout, call)) as ended:
            async for one in ended:
                _refuse_gone(one)

    def ended(self, jobs: Iterable[Job[R]], timeout: Duration | None, call: str) -> Generator[Ended[R]]:
        """Iterate over jobs as they end, each one once, whatever became of it; the time counts from this call.

        Raises `ResultTimeout` when it is over first, and `WouldDeadlock` at once unless every job is known to be final.
        """
        wait = self._wait_for(jobs, timeout)
        if wait.must_rest:
            _refuse_in_job(call)
            _refuse_on_loop(call)
        return _each(wait)

    def aended(self, jobs: Iterable[Job[R]], timeout: Duration | None, call: str) -> AsyncGenerator[Ended[R]]:
        """As `ended`, on any event loop."""
        wait = self._wait_for(jobs, timeout)
        if wait.must_rest:
            _refuse_in_job(call)
        return _aeach(wait)

    def events(self, job: Job[Any]) -> Generator[JobEvent]:
        """Iterate over what happens to a job until it is final; `WouldDeadlock` is raised at once."""
        _refuse_in_job("events")
        _refuse_on_loop("events")
        return _told(self._follow(job))

    def aevents(self, job: Job[Any]) -> AsyncGenerator[JobEvent]:
        """As `events`, on any event loop."""
        _refuse_in_job("aevents")
        return _atold(self._follow(job))

    def close(self) -> None:
        """Stop listening; who waits in another thread is told so."""
        self._watcher.close()
        self._follower.close()

    def _wait_for(self, jobs: Iterable[Job[R]], timeout: Duration | None) -> Wait[R]:
        return Wait(self._instead_of(self._watcher), self._store, jobs, Deadline(self._store, timeout))

    def _follow(self, job: Job[Any]) -> Follow:
        return Follow(self._instead_of(self._follower), self._store, job)

    def _instead_of(self, watches: Watches) -> Watches:
        return watches if self.stand_in is None else NobodyWorks(self.stand_in)


def _each(wait: Wait[R]) -> Generator[Ended[R]]:
    try:
        wait.begin()
        while not wait.is_over:
            if ended := wait.ended():
                yield from ended
            else:
                wait.rest()
    finally:
        wait.end()


async def _aeach(wait: Wait[R]) -> AsyncGenerator[Ended[R]]:
    try:
        await in_store_thread(wait.begin)
        while not wait.is_over:
            ended = await in_store_thread(wait.ended)
            for one in ended:
                yield one
            if not ended:
                await wait.arest()
    finally:
        wait.end()


def _told(follow: Follow) -> Generator[JobEvent]:
    try:
        follow.begin()
        while not follow.is_over:
            if told := follow.told():
                yield from told
            else:
                follow.rest()
    finally:
        follow.end()


async def _atold(follow: Follow) -> AsyncGenerator[JobEvent]:
    try:
        await in_store_thread(follow.begin)
        while not follow.is_over:
            told = await in_store_thread(follow.told)
            for event in told:
                yield event
            if not told:
                await follow.arest()
    finally:
        follow.end()


def _refuse_gone(ended: Ended[Any]) -> None:
    if ended.is_gone:
        raise no_such_job(ended.job.id)


def _refuse_in_job(call: str) -> None:
    job_id = running.get().id
    if job_id is not None:
        msg = f"job {job_id} calls {call}() and would hold its slot while it waits; enqueue what comes next instead"
        raise WouldDeadlock(msg)


def _refuse_on_loop(call: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    msg = f"{call}() would block the event loop of this thread; use '{_TWINS[call]}'"
    raise WouldDeadlock(msg)
