"""What has happened to a job, told from what is read of it again and again."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from lineshaft.clock import to_datetime
from lineshaft.events import (
    JobCancelled,
    JobCompleted,
    JobDead,
    JobEnqueued,
    JobEvent,
    JobExpired,
    JobProgressed,
    JobReleased,
    JobRescued,
    JobRetrying,
    JobSnoozed,
    JobStarted,
)
from lineshaft.job import JobRow
from lineshaft.outcomes import WORKER_LOST, JobError
from lineshaft.transitions import Stage

_decode: Final = msgspec.json.Decoder().decode
_decode_error: Final = msgspec.json.Decoder(JobError).decode
_ENDS: Final[dict[int, type[JobEvent]]] = {
    Stage.COMPLETED: JobCompleted,
    Stage.CANCELLED: JobCancelled,
    Stage.EXPIRED: JobExpired,
}


class Story:
    """Turns each row that is read of a job into the events since the row before.

    A failed attempt and the end are always told, with their times. What came and went between two looks is not: a start
    that another start followed, a progress that was overtaken, a snooze that is over.
    """

    def __init__(self) -> None:
        self._seen: JobRow | None = None

    def tell(self, row: JobRow, now: int) -> list[JobEvent]:
        """Return what has happened since the last row; the first one tells all that the store keeps."""
        seen, self._seen = self._seen, row
        return list(_Chapter(seen, row, now).events())

    @property
    def is_over(self) -> bool:
        """Whether the job was final when it was last read."""
        return self._seen is not None and self._seen.stage >= Stage.COMPLETED


class _Chapter:
    """What lies between two rows of a job, or before the first one."""

    def __init__(self, seen: JobRow | None, row: JobRow, now: int) -> None:
        self._seen, self._row, self._now = seen, row, now
        lines = (row.errors or "").splitlines()
        self._errors = [_decode_error(line) for line in lines[_error_count(seen) :]]
        self._is_held = row.stage == Stage.READY and row.worker is not None
        # One that a gate refused was claimed and never started.
        never = row.stage in (Stage.EXPIRED, Stage.PARKED) or row.started_at is None
        self._is_started = row.claim > (seen.claim if seen else 0) and not never

    def events(self) -> list[JobEvent]:
        told = [] if self._seen else [self._event(JobEnqueued, 0, self._row.created_at)]
        started_at = self._row.started_at or 0
        failed = self._errors[:-1] if self._row.stage == Stage.DEAD else self._errors
        told += [self._failure(one) for one in failed if self._is_started and one.at < started_at]
        told += self._start()
        told += self._progress()
        told += [self._failure(one) for one in failed if not self._is_started or one.at >= started_at]
        return told + self._put_back() + self._end()

    def _start(self) -> list[JobEvent]:
        if not self._is_started:
            return []
        return [self._event(JobStarted, self._latest_attempt(), self._row.started_at or self._now)]

    def _progress(self) -> list[JobEvent]:
        text = self._row.progress
        if not text or (not self._is_started and self._seen and self._seen.progress == text):
            return []
        fraction, message, at = _decode(text)
        return [self._event(JobProgressed, self._latest_attempt(), at, fraction=fraction, message=message)]

    def _put_back(self) -> list[JobEvent]:
        """Tell of a job that came back without an error: from the second row on, for the store keeps no time of it."""
        was_held = self._seen is not None and self._seen.stage == Stage.READY and self._seen.worker is not None
        came_back = self._seen is not None and (self._is_started or was_held)
        if not came_back or self._is_held or self._errors or self._row.stage > Stage.RETRYING:
            return []
        kind = JobSnoozed if self._row.stage == Stage.SCHEDULED else JobReleased
        return [self._event(kind, self._latest_attempt(), self._now)]

    def _end(self) -> list[JobEvent]:
        row = self._row
        at = row.finished_at or self._now
        if row.stage == Stage.DEAD:
            error = self._errors[-1].message if self._errors else ""
            return [self._event(JobDead, row.attempt, at, reason=row.reason or "", error=error)]
        return [self._event(_ENDS[row.stage], row.attempt, at)] if row.stage in _ENDS else []

    def _latest_attempt(self) -> int:
        """Return the number of the last attempt that began, though it may have been given back."""
        if self._is_held or self._row.stage >= Stage.COMPLETED:
            return self._row.attempt
        return self._errors[-1].attempt if self._errors else self._row.attempt + 1

    def _failure(self, error: JobError) -> JobEvent:
        if error.type == WORKER_LOST:
            return self._event(JobRescued, error.attempt, error.at)
        return self._event(JobRetrying, error.attempt, error.at, error=error.message)

    def _event(self, kind: type[JobEvent], attempt: int, at: int, **more: Any) -> JobEvent:
        row = self._row
        when: datetime = to_datetime(at)
        return kind(job_id=row.id, name=row.name, queue=row.queue, attempt=attempt, at=when, **more)


def _error_count(row: JobRow | None) -> int:
    return len((row.errors or "").splitlines()) if row else 0
