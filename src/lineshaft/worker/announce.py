"""What is told of a transition: one event each."""

from __future__ import annotations

from typing import Any, Protocol

from lineshaft.clock import to_datetime
from lineshaft.events import (
    JobCancelled,
    JobCompleted,
    JobDead,
    JobEvent,
    JobExpired,
    JobReleased,
    JobRetrying,
    JobSnoozed,
)
from lineshaft.transitions import Close, Complete, Held, PutBack, Stage, Transition


class HeldJob(Protocol):
    """A job that a worker held, as its events name it."""

    @property
    def held(self) -> Held:
        """The claim."""

    @property
    def name(self) -> str:
        """The task's name."""

    @property
    def queue(self) -> str:
        """The queue's name."""


def event_of(job: HeldJob, one: Transition, now: int) -> JobEvent | None:
    """Return the event of a transition; None for one that is not told of."""
    held = job.held
    common: dict[str, Any] = {
        "job_id": held.id,
        "name": job.name,
        "queue": job.queue,
        "attempt": held.attempt,
        "at": to_datetime(now),
    }
    match one:
        case Complete():
            return JobCompleted(**common)
        case Close(stage=Stage.DEAD, reason=reason, error=error):
            return JobDead(**common, reason=str(reason), error=error.message if error else "")
        case Close(stage=Stage.CANCELLED):
            return JobCancelled(**common)
        case Close(stage=Stage.EXPIRED):
            return JobExpired(**common)
        case PutBack(error=None, stage=Stage.SCHEDULED, unknown_since=None):
            return JobSnoozed(**common)
        case PutBack(error=None):
            return JobReleased(**common)
        case PutBack(error=error):
            return JobRetrying(**common, error=error.message if error else "")
        case _:
            return None
