"""The days and hours of a calendar as spans of real time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from lineshaft.recurrence.calendar import LONGEST_CLOSED, Calendar
from lineshaft.recurrence.zones import ONE_DAY, naive_instant, steady_until, wall_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


class Opening:
    """When ticks are let through."""

    def __init__(self, zone: ZoneInfo, calendar: Calendar, *, closes_days: bool) -> None:
        self._zone = zone
        self._calendar = calendar
        self._closes_days = closes_days
        start = 0 if calendar.window is None else calendar.window[0]
        # Nothing opens at another time: at midnight a day does that was closed before.
        self._beginnings = sorted({time(), time(start // 60, start % 60)})

    def opens(self, since: int) -> int | None:
        """Return the first instant from one on that is let through, which may be itself; None within a year."""
        for _ in range(LONGEST_CLOSED):
            until = steady_until(self._zone, since)
            wall = wall_of(self._zone, since)
            for moment in self._moments(wall, wall + timedelta(microseconds=until - since)):
                if self._shows_open(moment):
                    return since + naive_instant(moment) - naive_instant(wall)
            since = until
        return None

    def _moments(self, since: datetime, until: datetime) -> list[datetime]:
        """Return the times in `[since, until)`, of a clock that runs evenly, at which it may open."""
        days: tuple[date, ...] = (since.date(), since.date() + ONE_DAY)
        beginnings = (datetime.combine(day, begin) for day in days for begin in self._beginnings)
        return [since, *(moment for moment in beginnings if since < moment < until)]

    def _shows_open(self, wall: datetime) -> bool:
        is_day_open = not self._closes_days or self._calendar.is_open(wall.date())
        return is_day_open and self._calendar.is_within_hours(minute_of(wall))


def minute_of(wall: datetime) -> float:
    """Return the time of day in minutes."""
    return wall.hour * 60 + wall.minute + (wall.second + wall.microsecond / 1_000_000) / 60
