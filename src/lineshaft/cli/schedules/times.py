"""Times of a schedule as a person reads them: in its own zone, and how long until then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lineshaft.cli.output import ago, is_terminal
from lineshaft.clock import DAY, HOUR, MINUTE, SECOND, to_datetime, to_instant, to_text, wall_clock
from lineshaft.errors import ScheduleError
from lineshaft.recurrence.zones import zone_of

if TYPE_CHECKING:
    from lineshaft.app.schedules import Schedule

_SOON_DAYS: Final = 6
_LATER_DAYS: Final = 300
_PATIENCE: Final = 10 * SECOND


def full(when: datetime | None, zone: str) -> str:
    """Return a time with its day, its second and its zone: `Tue 2026-11-24 06:00:00 CET`; ISO 8601 in a pipe."""
    if when is None:
        return ""
    local = _local(when, zone)
    return f"{local:%a %Y-%m-%d %H:%M:%S %Z}" if is_terminal() else local.isoformat(timespec="seconds")


def short(when: datetime | None, zone: str, *, with_seconds: bool = False) -> str:
    """Return a time in as few words as tell it now: `06:00 CET`, `Tue 06:00 CET`, `24 Dec 18:00 CET`.

    Seconds are told where there are some, or `with_seconds`. In a pipe it is ISO 8601.
    """
    if when is None or not is_terminal():
        return full(when, zone)
    local = _local(when, zone)
    days = abs((local.date() - _local(to_datetime(wall_clock()), zone).date()).days)
    if days > _LATER_DAYS:
        return f"{local:%Y-%m-%d %Z}"
    clock = f"{local:%H:%M:%S %Z}" if local.second or with_seconds else f"{local:%H:%M %Z}"
    day = f"{local:%d %b} " if days > _SOON_DAYS else f"{local:%a} "
    return day + clock if days else clock


def both(when: datetime | None, zone: str) -> str:
    """Return a time in full and how far off it is."""
    if when is None:
        return ""
    return f"{full(when, zone)} ({ago(when)})" if is_terminal() else full(when, zone)


def how_long(when: datetime) -> str:
    """Return how long it is until a time, in its two largest units: `in 14h23m`, `3m ago`."""
    micros = to_instant(when) - wall_clock()
    text = to_text(_rounded(abs(micros)))
    if abs(micros) < SECOND:
        return "now"
    return f"in {text}" if micros > 0 else f"{text} ago"


def _local(when: datetime, zone: str) -> datetime:
    try:
        return when.astimezone(zone_of(zone))
    except ScheduleError:  # stored by a machine that knows more zones than this one
        return when.astimezone(UTC)


def _rounded(micros: int) -> int:
    unit = HOUR if micros >= DAY else MINUTE if micros >= HOUR else SECOND
    return micros // unit * unit


def is_past(when: datetime | None) -> bool:
    """Tell whether a time went by long enough ago that somebody should have acted on it."""
    return when is not None and wall_clock() - to_instant(when) > _PATIENCE


def coming(schedule: Schedule) -> str:
    """Return how a schedule stands, as the end of a sentence about it."""
    if schedule.state == "active" and schedule.next_at is not None:
        if to_instant(schedule.next_at) <= wall_clock():
            return "ticks now"
        return f"ticks {how_long(schedule.next_at)}, at {full(schedule.next_at, schedule.timezone)}"
    said = {"active": "will not tick again", "waiting": "ticks when its job has ended"}
    return said.get(schedule.state) or f"is {schedule.state}"
