"""`app.gather` and `app.as_completed`: waiting for many jobs at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing, closing
from typing import Any, Literal, TypeVar, overload

from lineshaft.app.wait import Ended
from lineshaft.app.waiter import Waiter
from lineshaft.clock import Duration
from lineshaft.job import Job

R = TypeVar("R")


class Gathering:
    """The calls of an app that wait for many jobs: one listener and a look at all of them, however many there are."""

    _waiter: Waiter

    @overload
    def gather(
        self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None, return_exceptions: Literal[False] = False
    ) -> list[R]: ...
    @overload
    def gather(
        self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None, return_exceptions: bool
    ) -> list[R | Exception]: ...
    def gather(
        self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None, return_exceptions: bool = False
    ) -> list[Any]:
        """Wait until all jobs are final and return their results, in the order of the jobs.

        As soon as one job is known to have no result, its error is raised, as `result` would raise it: a job's first
        failure, not the last one. The other jobs go on. With `return_exceptions` errors stand in the list in place of
        results. A job that is given twice has its result there twice. `timeout` (seconds, or text such as `"30s"`) is
        for all of them together; `ResultTimeout` says how many are left. Raises `WouldDeadlock` as `result` does.
        """
        given = list(jobs)
        with closing(self._waiter.ended(given, timeout, "gather")) as ended:
            results = {one.job.id: _result(one, keeps_error=return_exceptions) for one in ended}
        return [results[job.id] for job in given]

    @overload
    async def agather(
        self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None, return_exceptions: Literal[False] = False
    ) -> list[R]: ...
    @overload
    async def agather(
        self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None, return_exceptions: bool
    ) -> list[R | Exception]: ...
    async def agather(
        self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None, return_exceptions: bool = False
    ) -> list[Any]:
        """As `gather`."""
        given = list(jobs)
        async with aclosing(self._waiter.aended(given, timeout, "agather")) as ended:
            results = {one.job.id: _result(one, keeps_error=return_exceptions) async for one in ended}
        return [results[job.id] for job in given]

    def as_completed(self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None) -> Generator[Job[R]]:
        """Iterate over jobs as they end, each renewed and final; `job.result()` then answers at once.

        Those that are final already come first. A job that is given twice comes once. One that was deleted meanwhile
        comes too, as it was last read: its `result()` raises `ResultGone`. `timeout` counts from this call;
        `ResultTimeout` says how many jobs are left. Raises `WouldDeadlock` as `result` does.
        """
        return _jobs(self._waiter.ended(jobs, timeout, "as_completed"))

    def aas_completed(self, jobs: Iterable[Job[R]], *, timeout: Duration | None = None) -> AsyncGenerator[Job[R]]:
        """As `as_completed`, for `async for`."""
        return _ajobs(self._waiter.aended(jobs, timeout, "aas_completed"))


def _jobs(ended: Generator[Ended[R]]) -> Generator[Job[R]]:
    with closing(ended):
        for one in ended:
            yield one.job


async def _ajobs(ended: AsyncGenerator[Ended[R]]) -> AsyncGenerator[Job[R]]:
    async with aclosing(ended):
        async for one in ended:
            yield one.job


def _result(ended: Ended[Any], *, keeps_error: bool) -> Any:
    try:
        return ended.value()
    except Exception as error:
        if not keeps_error:
            raise
        return error
