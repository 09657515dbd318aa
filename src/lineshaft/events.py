"""One typed event per transition, one for progress, and those of schedules and limits.

Logs, metrics and users' hooks subscribe. Events are told after the store has committed, in the process that made the
move, best effort. `job.events()` tells the same of one job in any process, read off the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from lineshaft.clock import to_datetime
from lineshaft.errors import ConfigError
from lineshaft.gates import News

_log = logging.getLogger("lineshaft.events")


class Event:
    """Something that happened; `kind` is what `app.on` calls it, `at` is aware UTC."""

    __slots__ = ()
    kind: ClassVar[str]
    at: datetime


@dataclass(frozen=True, slots=True)
class JobEvent(Event):
    """Something that happened to a job; `at` is aware UTC, `attempt` counts from 1 (0: not started yet)."""

    job_id: str
    name: str
    queue: str
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True)
class JobEnqueued(JobEvent):
    """A job was stored by this process."""

    kind = "enqueued"


@dataclass(frozen=True, slots=True)
class JobStarted(JobEvent):
    """A worker claimed the job and is about to run it."""

    kind = "started"


@dataclass(frozen=True, slots=True)
class JobProgressed(JobEvent):
    """The running attempt said how far it is, at `at`, and that is stored; `fraction` is between 0 and 1."""

    kind = "progressed"
    fraction: float
    message: str | None


@dataclass(frozen=True, slots=True)
class JobCompleted(JobEvent):
    """The function returned and the result is stored."""

    kind = "completed"


@dataclass(frozen=True, slots=True)
class JobRetrying(JobEvent):
    """An attempt failed; `error` is its message and another attempt follows."""

    kind = "retrying"
    error: str


@dataclass(frozen=True, slots=True)
class JobSnoozed(JobEvent):
    """The job put itself back for later."""

    kind = "snoozed"


@dataclass(frozen=True, slots=True)
class JobReleased(JobEvent):
    """The worker gave the job back without counting an attempt."""

    kind = "released"


@dataclass(frozen=True, slots=True)
class JobDead(JobEvent):
    """The job became a dead letter; `reason` as in `Job.reason`, `error` the last attempt's message."""

    kind = "dead"
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class JobCancelled(JobEvent):
    """The job was cancelled."""

    kind = "cancelled"


@dataclass(frozen=True, slots=True)
class JobExpired(JobEvent):
    """The job's deadline passed before it started."""

    kind = "expired"


@dataclass(frozen=True, slots=True)
class JobRescued(JobEvent):
    """The job's worker is gone and the job was put back."""

    kind = "rescued"


@dataclass(frozen=True, slots=True)
class ScheduleEvent(Event):
    """Something that happened to a schedule, told by the leader; `at` is aware UTC."""

    schedule: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ScheduleTicked(ScheduleEvent):
    """A tick was worked off; `at` is the tick, `state` as in `Tick.state`, `note` says why it got no job."""

    kind = "ticked"
    state: str
    job_id: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class ScheduleOverdue(ScheduleEvent):
    """By `at` a job of this task should have completed, and none had: a dead man's switch."""

    kind = "overdue"
    task: str


@dataclass(frozen=True, slots=True)
class ScheduleRecovered(ScheduleEvent):
    """A job of a schedule that was overdue since `overdue_at` has completed."""

    kind = "recovered"
    task: str
    overdue_at: datetime


@dataclass(frozen=True, slots=True)
class BreakerEvent(Event):
    """Something that happened to a circuit breaker; `at` is aware UTC, `why` a few words."""

    breaker: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class BreakerOpened(BreakerEvent):
    """Jobs that need what it guards wait from now on, or fail: as it says."""

    kind = "breaker_opened"


@dataclass(frozen=True, slots=True)
class BreakerHalfOpened(BreakerEvent):
    """It has rested, and lets a few jobs through to see."""

    kind = "breaker_half_opened"


@dataclass(frozen=True, slots=True)
class BreakerClosed(BreakerEvent):
    """Jobs run as usual again."""

    kind = "breaker_closed"


@dataclass(frozen=True, slots=True)
class LimitChanged(Event):
    """A limit that learns has moved; `key` says of which arguments, if it has one for each."""

    kind = "limit_changed"
    limit: str
    key: str
    value: int
    why: str
    at: datetime


KINDS: Final[dict[str, type[Event]]] = {
    event.kind: event
    for event in (
        JobEnqueued,
        JobStarted,
        JobProgressed,
        JobCompleted,
        JobRetrying,
        JobSnoozed,
        JobReleased,
        JobDead,
        JobCancelled,
        JobExpired,
        JobRescued,
        ScheduleTicked,
        ScheduleOverdue,
        ScheduleRecovered,
        BreakerOpened,
        BreakerHalfOpened,
        BreakerClosed,
        LimitChanged,
    )
}

_OF_BREAKERS: Final = {event.kind: event for event in (BreakerOpened, BreakerHalfOpened, BreakerClosed)}

Handler = Callable[[Any], Any]


def event_of_news(news: News) -> Event:
    """Return what happened to a gate as an event."""
    at = to_datetime(news.at)
    if news.kind == LimitChanged.kind:
        return LimitChanged(news.rule, news.gate, int(news.value or 0), news.why, at)
    opened: type[BreakerEvent] = _OF_BREAKERS[news.kind]
    return opened(news.rule.removeprefix("breaker:"), at, news.why)


class Subscribers:
    """Who wants to hear of which events. Telling nobody costs one dictionary look-up."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = {}

    def add(self, kinds: tuple[str, ...], handler: Handler) -> None:
        """Have `handler(event)` called for these kinds; raises `ConfigError` for a kind that does not exist."""
        self.check(kinds)
        for kind in kinds:
            self._handlers.setdefault(kind, []).append(handler)

    @staticmethod
    def check(kinds: tuple[str, ...]) -> None:
        """Raise `ConfigError` unless all of these are kinds of events."""
        unknown = sorted(set(kinds) - KINDS.keys())
        if unknown or not kinds:
            msg = f"app.on takes event names out of {', '.join(KINDS)}; got {', '.join(unknown) or 'none'}"
            raise ConfigError(msg)

    def __bool__(self) -> bool:
        """Tell whether anybody listens to anything."""
        return bool(self._handlers)

    def want(self, kind: str) -> bool:
        """Tell whether anybody listens, so that nobody builds an event in vain."""
        return kind in self._handlers

    def tell(self, event: Event) -> None:
        """Call the handlers one after the other; one that raises is logged and harms nobody else."""
        for handler in self._handlers.get(event.kind, ()):
            try:
                handler(event)
            except Exception:  # noqa: BLE001 - a subscriber's code
                _log.exception("a handler of %r events failed: %r", event.kind, handler)
