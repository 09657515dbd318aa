"""Vixie cron's rules for clock changes, minute by minute: an oracle that shares nothing with what it judges.

From cron(8) of Debian: "Special considerations exist when the clock is changed by less than 3 hours, for example at
the beginning and end of daylight savings time. If the time has moved forwards, those jobs which would have run in the
time that was skipped will be run soon after the change. Conversely, if the time has moved backwards by less than 3
hours, those jobs that fall into the repeated time will not be re-run. Only jobs that run at a particular time (not
specified as @hourly, nor with '*' in the hour or minute specifier) are affected. Jobs which are specified with
wildcards are run based on the new time immediately. Clock changes of more than 3 hours are considered to be
corrections to the clock, and the new time is used immediately."
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)
AN_HOUR = timedelta(hours=1)
THREE_HOURS = timedelta(hours=3)


@dataclass(frozen=True)
class Line:
    """A crontab line, said a second time in Python."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    is_wild: bool
    is_day: Callable[[date], bool] = lambda _: True

    def matches(self, wall: datetime) -> bool:
        """Tell whether cron would start it when the clock shows this."""
        return wall.minute in self.minutes and wall.hour in self.hours and self.is_day(wall)


def line(
    text: str, minutes: range | set[int], hours: range | set[int], *, wild: bool = False, **day: Callable[[date], bool]
) -> Line:
    """Return a line."""
    return Line(text, frozenset(minutes), frozenset(hours), wild, **day)


def runs(one: Line, shown: list[tuple[datetime, datetime]]) -> list[datetime]:
    """Return the minutes (UTC) at which cron runs a line, given what the clock shows at each minute."""
    if one.is_wild:
        return [utc for utc, wall in shown if one.matches(wall)]
    return list(_at_particular_times(one, shown))


def _at_particular_times(one: Line, shown: list[tuple[datetime, datetime]]) -> Iterator[datetime]:
    reached = shown[0][1] - A_MINUTE  # cron's own time, which waits while the clock repeats itself
    for utc, wall in shown:
        moved = wall - reached
        if moved > THREE_HOURS + A_MINUTE or moved < -THREE_HOURS:
            reached = wall - A_MINUTE
        due = False
        while reached < wall:
            reached += A_MINUTE
            due = due or one.matches(reached)
        if due:
            yield utc


def what_clocks_show(zone: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Return each whole minute (UTC) in `[since, until]` with what the zone's clocks show then."""
    info = ZoneInfo(zone)
    shown = []
    utc = since
    while utc <= until:
        shown.append((utc, utc.astimezone(info).replace(tzinfo=None)))
        utc += A_MINUTE
    return shown


@cache
def changes(zone: str, first_year: int = 1990, last_year: int = 2040) -> tuple[datetime, ...]:
    """Return the first minute (UTC) after each clock change of a zone, found by looking at every day."""
    info = ZoneInfo(zone)
    found = []
    utc, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    while utc < end:
        later = utc + 24 * AN_HOUR
        if later.astimezone(info).utcoffset() != utc.astimezone(info).utcoffset():
            found.append(_minute_of_change(info, utc))
        utc = later
    return tuple(found)


def _minute_of_change(info: ZoneInfo, utc: datetime) -> datetime:
    before = utc.astimezone(info).utcoffset()
    for step in (AN_HOUR, A_MINUTE):
        while (utc + step).astimezone(info).utcoffset() == before:
            utc += step
    return utc + A_MINUTE


def micros(when: datetime) -> int:
    """Return an aware time as microseconds since the epoch."""
    return (when - EPOCH) // timedelta(microseconds=1)
