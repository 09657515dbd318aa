"""One call that waits for jobs: for which of them still, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from lineshaft.app.store import Store
from lineshaft.app.watch import Watch
from lineshaft.app.watcher import Watches
from lineshaft.clock import SECOND, Duration, to_micros
from lineshaft.errors import ResultTimeout
from lineshaft.job import Job, JobRow, no_longer_stored
from lineshaft.store.inspect import get_jobs
from lineshaft.transitions import Stage

R = TypeVar("R")

_NEVER: Final = 2**63


class Ended(NamedTuple, Generic[R]):
    """A job that is waited for no more: it is final, or it is not stored any more."""

    job: Job[R]
    is_gone: bool = False

    def value(self) -> R:
        """Return what the job's function returned; raises as `Job.result` does."""
        if self.is_gone:
            raise no_longer_stored(self.job)
        return self.job.value


class Deadline:
    """When a wait is over."""

    def __init__(self, store: Store, timeout: Duration | None) -> None:
        self.timeout = timeout
        seconds = None if timeout is None else to_micros(timeout, "timeout") / SECOND
        self._clock = store.bare_engine.clock
        self._at = None if seconds is None else self._clock.monotonic() + seconds

    def seconds_left(self) -> float | None:
        """Return how long is left, None for ever."""
        return None if self._at is None else max(0.0, self._at - self._clock.monotonic())


class Wait(Generic[R]):
    """Waits for jobs to end. Each job object is renewed as its job ends; one job may be given as several objects."""

    def __init__(self, watches: Watches, store: Store, jobs: Iterable[Job[R]], deadline: Deadline) -> None:
        self._watches, self._store, self._deadline = watches, store, deadline
        self._jobs: dict[str, list[Job[R]]] = {}
        for job in jobs:
            _refuse_other(job)
            self._jobs.setdefault(job.id, []).append(job)
        self._count = len(self._jobs)
        self._known = [those[0] for those in self._jobs.values() if all(one.state.is_final for one in those)]
        for job in self._known:
            del self._jobs[job.id]
        self._watch = Watch(self._jobs)

    @property
    def is_over(self) -> bool:
        """Whether no job is left."""
        return not self._jobs and not self._known

    @property
    def must_rest(self) -> bool:
        """Whether jobs are left that were not final when they were last read."""
        return bool(self._jobs)

    def begin(self) -> None:
        """Hear of the jobs from now on; followed by `end` in any case."""
        if self._jobs:
            self._watches.begin(self._watch)

    def end(self) -> None:
        """Hear of nothing any more."""
        self._watches.end(self._watch)

    def ended(self) -> list[Ended[R]]:
        """Read the jobs that there is news of, all at once, and return those that have ended, in that order.

        Raises `ResultTimeout` when none has and none ever will.
        """
        known, self._known = sorted(self._known, key=lambda job: job.finished_at or job.created_at), []
        ended = [*map(Ended, known), *self._read(self._watch.take())]
        if not ended:
            self._watches.check(self._watch)
        return ended

    def _read(self, job_ids: list[str]) -> list[Ended[R]]:
        if not job_ids:
            return []
        rows = self._store.read(lambda tx: get_jobs(tx, job_ids))
        again = [job_id for job_id, row in rows.items() if row.stage < Stage.COMPLETED]
        over = sorted(set(job_ids).difference(again), key=lambda job_id: _finished_at(rows.get(job_id)))
        self._watches.drop(self._watch, over)
        if again:  # somebody has had them tried again, and the mark went with their end
            self._watches.mark(self._watch, again)
        return [self._end_one(job_id, rows.get(job_id)) for job_id in over]

    def _end_one(self, job_id: str, row: JobRow | None) -> Ended[R]:
        jobs = self._jobs.pop(job_id)
        if row is not None:
            for job in jobs:
                job.take(row)
        return Ended(jobs[0], is_gone=row is None)

    def rest(self) -> None:
        """Wait until there is news; raises `ResultTimeout` when the time is over."""
        try:
            self._watch.rest(self._deadline.seconds_left())
        except TimeoutError:
            raise self._timed_out() from None

    async def arest(self) -> None:
        """As `rest`."""
        try:
            await self._watch.arest(self._deadline.seconds_left())
        except TimeoutError:
            raise self._timed_out() from None

    def _timed_out(self) -> ResultTimeout:
        what = f"{len(self._jobs)} of {self._count} jobs are" if self._count > 1 else f"job {next(iter(self._jobs))} is"
        return ResultTimeout(f"{what} not finished after {self._deadline.timeout}; the wait is over, the work goes on")


def _refuse_other(job: object) -> None:
    if not isinstance(job, Job):
        msg = f"{job!r} is not a job that could be waited for; give what enqueue() or app.jobs.get() returned"
        raise TypeError(msg)


def _finished_at(row: JobRow | None) -> int:
    return _NEVER if row is None or row.finished_at is None else row.finished_at
