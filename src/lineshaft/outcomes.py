"""How an attempt ended: what a job raises to steer itself, and the frozen value that a lane hands over.

A lane never touches the store. It hands an outcome to the finisher; `transitions.py` decides what it means.
"""

from __future__ import annotations

import traceback
from typing import Final, Literal, NamedTuple

import msgspec

from lineshaft.clock import Duration, to_datetime, to_micros
from lineshaft.errors import LineshaftError

Cause = Literal["cancel", "timeout", "shutdown"]

# One traceback must not outgrow the job it belongs to; the end of it names the error.
_TRACEBACK_LIMIT: Final = 16_384
_MESSAGE_LIMIT: Final = 4_096


class Steer(LineshaftError):  # noqa: N818 - what a job wants, not an error
    """The base of what a job raises to steer itself."""


class RetryLater(Steer):
    """Raise it in a job to be tried again after `delay`; counts as an attempt."""

    def __init__(self, delay: Duration = 0, message: str = "the job asked to be tried again later") -> None:
        super().__init__(message)
        self.delay = to_micros(delay, "delay")


class Snooze(Steer):
    """Raise it in a job to be put back for `delay`; does not count as an attempt."""

    def __init__(self, delay: Duration) -> None:
        super().__init__(f"snoozed for {delay}")
        self.delay = to_micros(delay, "delay")


class GiveUp(Steer):
    """Raise it in a job to end as a dead letter at once, whatever its retry policy says."""

    def __init__(self, message: str = "the job gave up") -> None:
        super().__init__(message)


class Cancelled(BaseException):
    """Raised inside a running job that has to stop; `.cause` is `cancel`, `timeout` or `shutdown`.

    A `BaseException`, so that `except Exception` in a job does not swallow it.
    """

    def __init__(self, cause: Cause = "cancel") -> None:
        super().__init__(f"the job was told to stop: {cause}")
        self.cause: Cause = cause


WORKER_LOST: Final = "lineshaft.WorkerLost"
"""The type of the error of an attempt whose worker was gone."""


class JobError(msgspec.Struct, frozen=True):
    """One attempt's error as it is stored, one JSON object a line."""

    attempt: int
    type: str
    message: str
    traceback: str | None
    at: int
    """Microseconds since the epoch."""

    def public(self) -> dict[str, object]:
        """Return it as `Job.errors` shows it: attempt, type, message, traceback, at (aware UTC)."""
        return {
            "attempt": self.attempt,
            "type": self.type,
            "message": self.message,
            "traceback": self.traceback,
            "at": to_datetime(self.at),
        }


def describe(error: BaseException, attempt: int, now: int, *, skip_frames: int = 0) -> JobError:
    """Return an exception as a `JobError`, its traceback without the first `skip_frames` frames (Lineshaft's own)."""
    frames = error.__traceback__
    for _ in range(skip_frames):
        frames = frames.tb_next if frames and frames.tb_next else frames
    text = "".join(traceback.format_exception(type(error), error, frames))
    return JobError(attempt, _type_name(error), _storable(str(error))[:_MESSAGE_LIMIT], _tail(_storable(text)), now)


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _storable(text: str) -> str:
    """Return text without what a store cannot keep: lone surrogates (from odd file names) and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _tail(text: str) -> str:
    return text if len(text) <= _TRACEBACK_LIMIT else "… earlier lines cut …\n" + text[-_TRACEBACK_LIMIT:]


class Done(NamedTuple):
    """The function returned; `result` is JSON text, or None when it is not kept."""

    result: str | None


class Settled(NamedTuple):
    """The job's own transaction has committed its completion; there is nothing left to write."""


class Failed(NamedTuple):
    """The function raised. `retry_in` is in microseconds, None when the policy refuses another attempt."""

    error: JobError
    retry_in: int | None
    max_attempts: int


class Rejected(NamedTuple):
    """The job could not be run, or its result not be stored; trying again cannot help."""

    error: JobError


class TimedOut(NamedTuple):
    """The attempt ran longer than its timeout and was stopped."""

    error: JobError
    retry_in: int | None
    max_attempts: int


class Stopped(NamedTuple):
    """The attempt was cancelled on request."""


class Snoozed(NamedTuple):
    """The job put itself back for `delay` microseconds."""

    delay: int


class Interrupted(NamedTuple):
    """The worker stopped, or never started the job, and gives it back untouched."""


class Unknown(NamedTuple):
    """No task of this name is known here; a newer worker may know it."""

    error: JobError


class Unready(NamedTuple):
    """No child process could be started for the job; that may pass, or another worker may have more luck."""

    error: JobError


class Lost(NamedTuple):
    """The child process died under the job; `max_losses` such ends make it a dead letter."""

    error: JobError
    retry_in: int
    max_losses: int


Outcome = Done | Settled | Failed | Rejected | TimedOut | Stopped | Snoozed | Interrupted | Unknown | Unready | Lost
