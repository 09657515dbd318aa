"""Wall clocks: what a zone's clocks show at an instant, and at which instant they show a time.

A wall time is a naive `datetime`; an instant is microseconds since the epoch.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Final

from lineshaft.clock import DAY, HOUR, SECOND
from lineshaft.errors import ScheduleError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

ONE_DAY: Final = timedelta(days=1)
# cron(8): "Clock changes of more than 3 hours are considered to be corrections to the clock". In zones these are moves
# across the date line.
LONGEST_CHANGE: Final = 3 * HOUR

# Files beside the zones: some mean another zone on each machine, some count leap seconds.
_NOT_IANA: Final = ("localtime", "posixrules", "posix/", "right/", "Factory")
_LONGEST_NAME: Final = 40
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall time is naive
_MICROSECOND: Final = timedelta(microseconds=1)


@cache
def zone_of(name: str) -> ZoneInfo:
    """Return the zone of this IANA name; raises `ScheduleError` when this machine knows none."""
    from zoneinfo import ZoneInfo

    if str(name).startswith(_NOT_IANA):
        raise ScheduleError(_unknown_zone(name))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        raise ScheduleError(_unknown_zone(name)) from None


def _unknown_zone(name: str) -> str:
    from zoneinfo import available_timezones

    said = str(getattr(name, "key", name)).strip()[:_LONGEST_NAME].casefold()
    known = {zone.casefold(): zone for zone in sorted(available_timezones()) if not zone.startswith(_NOT_IANA)}
    # Between short names one letter is half the world: "PST" is not "MST", nor "UTC+2" "UTC".
    near = [said] if said in known else get_close_matches(said, [zone for zone in known if "/" in zone], n=1)
    hint = f"did you mean {known[near[0]]!r}?" if near else "give an IANA name such as 'Europe/Berlin'"
    return f"timezone={name!r} is no time zone that this machine knows; {hint}"


def wall_of(zone: ZoneInfo, instant: int) -> datetime:
    """Return what the zone's clocks show at an instant."""
    utc = _EPOCH + timedelta(microseconds=instant)
    return zone.fromutc(utc.replace(tzinfo=zone)).replace(tzinfo=None)


def naive_instant(wall: datetime) -> int:
    """Return the instant at which a clock of UTC shows this."""
    return (wall - _EPOCH) // _MICROSECOND


def offset_at(zone: ZoneInfo, instant: int) -> int:
    """Return by how many microseconds the zone's clocks are ahead of UTC at an instant."""
    return naive_instant(wall_of(zone, instant)) - instant


def instant_of(zone: ZoneInfo, wall: datetime) -> int | None:
    """Return when clocks show this: the first of two times, or right after the change if they skip it.

    None when they skip more than three hours, as they do where a country moves across the date line.
    """
    local = wall.replace(tzinfo=zone, fold=0)
    before = _micros(local.utcoffset())
    after = _micros(local.replace(fold=1).utcoffset())
    naive = naive_instant(wall)
    if after <= before:
        return naive - before
    if after - before > LONGEST_CHANGE:
        return None
    return change_within(zone, naive - after, naive - before)


def change_within(zone: ZoneInfo, since: int, until: int) -> int:
    """Return the instant of the clock change that lies in `(since, until]`; both are whole seconds."""
    known = offset_at(zone, since)
    low, high = since // SECOND, until // SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, middle * SECOND) == known:
            low = middle
        else:
            high = middle
    return high * SECOND


def steady_until(zone: ZoneInfo, since: int) -> int:
    """Return an instant, at most a day after `since`, up to which the zone's clocks run evenly.

    No zone has changed its clocks twice within five days since 1990.
    """
    until = since // SECOND * SECOND + DAY
    if offset_at(zone, since) == offset_at(zone, until):
        return until
    return change_within(zone, since // SECOND * SECOND, until)


def first_instant(zone: ZoneInfo, day: date) -> int | None:
    """Return when a local day begins; None for one that a zone left out."""
    return instant_of(zone, datetime.combine(day, time()))


def _micros(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // _MICROSECOND
