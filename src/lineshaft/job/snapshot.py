"""What was read of a job: everything that a row says, as people and programs take it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, cast

import msgspec

from lineshaft.clock import to_datetime
from lineshaft.job.row import JobRow
from lineshaft.outcomes import JobError
from lineshaft.transitions import Reason, State, state_of

_decode: Final = msgspec.json.Decoder().decode
_decode_error: Final = msgspec.json.Decoder(JobError).decode


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: `fraction` between 0 and 1, a message, and when it said so (aware UTC)."""

    fraction: float
    message: str | None
    at: datetime


class Snapshot:
    """A job as it was when it was read."""

    def __init__(self, row: JobRow) -> None:
        self._row = row

    @property
    def id(self) -> str:
        """The job's id, a UUIDv7."""
        return self._row.id

    @property
    def name(self) -> str:
        """The task's name."""
        return self._row.name

    @property
    def state(self) -> State:
        """What the job was doing."""
        row = self._row
        return state_of(row.stage, is_held=row.worker is not None, is_cancel_requested=bool(row.cancel_requested))

    @property
    def reason(self) -> Reason | None:
        """Why a dead job is dead."""
        return Reason(self._row.reason) if self._row.reason else None

    @property
    def queue(self) -> str:
        """The queue."""
        return self._row.queue

    @property
    def priority(self) -> int:
        """The priority, -100 to 100; higher runs sooner."""
        return -self._row.rank

    @property
    def attempt(self) -> int:
        """The number of the present or last attempt; 0 before the first."""
        return self._row.attempt

    @property
    def max_attempts(self) -> int:
        """The number of the last attempt that the job may have."""
        return self._row.max_attempts

    @property
    def args(self) -> tuple[list[Any], dict[str, Any]]:
        """The positional and keyword arguments, as plain JSON values."""
        positional, keyword = _decode(self._row.args)
        return positional, keyword

    @property
    def progress(self) -> Progress | None:
        """What the running attempt last said of its progress."""
        if not self._row.progress:
            return None
        fraction, message, at = _decode(self._row.progress)
        return Progress(fraction, message, to_datetime(at))

    @cached_property
    def errors(self) -> list[dict[str, Any]]:
        """Every failed attempt: `attempt`, `type`, `message`, `traceback`, `at`."""
        return [_decode_error(line).public() for line in (self._row.errors or "").splitlines()]

    @property
    def created_at(self) -> datetime:
        """When it was enqueued."""
        return to_datetime(self._row.created_at)

    @property
    def run_at(self) -> datetime:
        """When it may, or might, run."""
        return to_datetime(self._row.run_at)

    @property
    def started_at(self) -> datetime | None:
        """When its last attempt was claimed."""
        return _optional(self._row.started_at)

    @property
    def finished_at(self) -> datetime | None:
        """When it reached its final state."""
        return _optional(self._row.finished_at)

    @property
    def deadline(self) -> datetime | None:
        """The time by which it has to start."""
        return _optional(self._row.deadline)

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return cast(list[str], _decode(self._row.tags)) if self._row.tags else []

    @property
    def meta(self) -> dict[str, Any]:
        """Whatever was noted about it at enqueue."""
        return cast(dict[str, Any], _decode(self._row.meta)) if self._row.meta else {}

    @property
    def tenant(self) -> str | None:
        """Its owner."""
        return self._row.tenant

    @property
    def result_json(self) -> str | None:
        """The stored result as JSON text; None while there is none, or when it is not kept."""
        return self._row.result

    def take(self, row: JobRow) -> None:
        """Become what a row says; for the app, which has read it."""
        self._row = row
        self.__dict__.pop("errors", None)


def _optional(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)
