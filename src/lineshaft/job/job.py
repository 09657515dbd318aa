"""A job as its users see it: a snapshot with the calls that act on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from lineshaft.clock import Duration
from lineshaft.errors import (
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobNotRun,
    JobTimeout,
    ResultGone,
)
from lineshaft.explaining import Explanation
from lineshaft.job.row import JobRow
from lineshaft.job.snapshot import Snapshot
from lineshaft.transitions import Reason, State

if TYPE_CHECKING:
    from lineshaft.events import JobEvent

R_co = TypeVar("R_co", covariant=True)


class JobDoor(Protocol):
    """What a job's calls go through: the app that it belongs to."""

    def fetch(self, job_id: str) -> JobRow: ...
    def await_final(self, job: Job[Any], timeout: Duration | None, call: str) -> None: ...
    async def aawait_final(self, job: Job[Any], timeout: Duration | None, call: str) -> None: ...
    def events(self, job: Job[Any]) -> Generator[JobEvent]: ...
    def aevents(self, job: Job[Any]) -> AsyncGenerator[JobEvent]: ...
    def cancel_one(self, job_id: str) -> None: ...
    def revive(self, job_id: str) -> None: ...
    def reschedule(self, job_id: str, run_at: datetime | None, delay: Duration | None) -> None: ...
    def delete_one(self, job_id: str) -> None: ...
    def logs(self, job_id: str) -> list[dict[str, Any]]: ...
    def why(self, job_id: str) -> Explanation: ...
    def load_result(self, name: str, text: str) -> Any: ...
    async def in_thread(self, call: Any, /, *args: Any) -> Any: ...


class Job(Snapshot, Generic[R_co]):
    """A job, as it was when it was last read; `refresh()` reads it again.

    `result` and `wait` read it again by themselves. The calls that touch the store have async twins with the prefix
    `a`; they raise `JobNotFound` once the job is gone and `StoreUnavailableError` while the store cannot be reached.
    """

    def __init__(self, door: JobDoor, row: JobRow, *, existing: bool = False) -> None:
        super().__init__(row)
        self._door = door
        self.existing = existing

    def __repr__(self) -> str:
        """Show what and where."""
        return f"<Job {self.id} {self.name} {self.state.value}>"

    def __eq__(self, other: object) -> bool:
        """Jobs are the same when their ids are."""
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        """Hash by id."""
        return hash(self.id)

    @property
    def value(self) -> R_co:
        """The stored result of a completed job, without waiting; raises as `result` does."""
        self._raise_unless_completed()
        if self._row.result is None:
            msg = f"job {self.id} completed, but its result was not kept (keep_result)"
            raise ResultGone(msg)
        return cast(R_co, self._door.load_result(self.name, self._row.result))

    def refresh(self) -> Job[R_co]:
        """Read the job again and return it."""
        self.take(self._door.fetch(self.id))
        return self

    def wait(self, timeout: Duration | None = None) -> Job[R_co]:
        """Wait until the job is final and return it.

        Raises `ResultTimeout` when `timeout` (seconds, or text such as `"30s"`) passes first, `WouldDeadlock` inside a
        job or on an event loop's thread.
        """
        self._door.await_final(self, timeout, "wait")
        return self

    def result(self, timeout: Duration | None = None) -> R_co:
        """Wait until the job is final and return what the function returned.

        Raises `JobFailed` (or `JobTimeout`) when it is dead, `JobCancelled`, `JobNotRun` when it expired or was
        skipped, `ResultGone` when the result or the whole job is no longer kept, and what `wait` raises.
        """
        try:
            self._door.await_final(self, timeout, "result")
        except JobNotFound:
            raise no_longer_stored(self) from None
        return self.value

    def events(self) -> Generator[JobEvent]:
        """Iterate over what happens to the job, from its enqueue to its end; each event renews this snapshot.

        First comes what has happened already, as far as the store keeps it: the enqueue, the failed attempts, the last
        start, the last progress. Then comes what happens, until the job is final. Of what happens faster than it is
        looked at, only the last word is told; failed attempts are all told.
        The events are those of `app.on` (`lineshaft.events`), and matched by class or `kind`. Raises `JobNotFound` once
        the job is deleted, and `WouldDeadlock` as `wait` does.
        """
        return self._door.events(self)

    def cancel(self) -> None:
        """Cancel the job: at once when it waits; a running one is asked to stop."""
        self._door.cancel_one(self.id)

    def retry(self) -> None:
        """Have a dead, cancelled or expired job tried again, with a fresh budget; attempt numbers go on."""
        self._door.revive(self.id)

    def reschedule(self, *, run_at: datetime | None = None, delay: Duration | None = None) -> None:
        """Give a waiting job another time: `run_at` (aware) or `delay` from now."""
        self._door.reschedule(self.id, run_at, delay)

    def delete(self) -> None:
        """Delete the job and its logs; a running one has to be cancelled first."""
        self._door.delete_one(self.id)

    def logs(self) -> list[dict[str, Any]]:
        """Return what the job logged: `attempt`, `at`, `level`, `logger`, `message`, in order."""
        return self._door.logs(self.id)

    def why(self) -> Explanation:
        """Return what holds the job now, the most decisive reason first, or how it ended; reads the job again.

        `for hold in job.why()` gives each `hold.kind`, `.text`, `.until`, `.cure` and `.facts`.
        """
        return self._door.why(self.id)

    async def arefresh(self) -> Job[R_co]:
        """As `refresh`."""
        self.take(await self._door.in_thread(self._door.fetch, self.id))
        return self

    async def await_(self, timeout: Duration | None = None) -> Job[R_co]:
        """As `wait`; the underscore is there because `await` is a word of Python."""
        await self._door.aawait_final(self, timeout, "await_")
        return self

    async def aresult(self, timeout: Duration | None = None) -> R_co:
        """As `result`."""
        try:
            await self._door.aawait_final(self, timeout, "aresult")
        except JobNotFound:
            raise no_longer_stored(self) from None
        return self.value

    def aevents(self) -> AsyncGenerator[JobEvent]:
        """As `events`, for `async for`."""
        return self._door.aevents(self)

    async def acancel(self) -> None:
        """As `cancel`."""
        await self._door.in_thread(self._door.cancel_one, self.id)

    async def aretry(self) -> None:
        """As `retry`."""
        await self._door.in_thread(self._door.revive, self.id)

    async def areschedule(self, *, run_at: datetime | None = None, delay: Duration | None = None) -> None:
        """As `reschedule`."""
        await self._door.in_thread(self._door.reschedule, self.id, run_at, delay)

    async def adelete(self) -> None:
        """As `delete`."""
        await self._door.in_thread(self._door.delete_one, self.id)

    async def alogs(self) -> list[dict[str, Any]]:
        """As `logs`."""
        logs: list[dict[str, Any]] = await self._door.in_thread(self._door.logs, self.id)
        return logs

    async def awhy(self) -> Explanation:
        """As `why`."""
        explanation: Explanation = await self._door.in_thread(self._door.why, self.id)
        return explanation

    def _raise_unless_completed(self) -> None:
        match self.state:
            case State.COMPLETED:
                return
            case State.DEAD:
                last = self.errors[-1] if self.errors else {"type": "", "message": "no error was kept"}
                kind = JobTimeout if self.reason is Reason.TIMEOUT else JobFailed
                msg = f"job {self.id} ({self.name}) is dead ({self.reason}): {last['type']}: {last['message']}"
                raise kind(msg, self)
            case State.CANCELLED:
                raise JobCancelled(f"job {self.id} ({self.name}) was cancelled")
            case State.SKIPPED | State.EXPIRED as state:
                raise JobNotRun(f"job {self.id} ({self.name}) did not run: it is {state.value}")
            case state:
                raise ResultGone(f"job {self.id} ({self.name}) has no result yet: it is {state.value}")


def no_such_job(job_id: str) -> JobNotFound:
    """Return the error of who asks for a job that there is not, or no more."""
    return JobNotFound(f"no job has the id {job_id}: it was deleted, or its history has been pruned")


def no_longer_stored(job: Job[Any]) -> ResultGone:
    """Return the error of who wants the result of a job that is gone."""
    msg = f"job {job.id} ({job.name}) is not stored any more: it was deleted, or kept for its time (retention)"
    return ResultGone(msg)
