"""The days on which a rule fires, after its calendar has skipped or moved those that are closed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import MAXYEAR, date
from typing import Final, Protocol

from lineshaft.recurrence.calendar import LONGEST_CLOSED, Calendar
from lineshaft.recurrence.rules import OnClosed
from lineshaft.recurrence.zones import ONE_DAY

# A rule that names no day for so long never fires: the rarest, 29 February on a given weekday across 2100, takes 40.
YEARS_AHEAD: Final = 50
# With a calendar each day costs a look at it, and no law fixes holidays further ahead.
_YEARS_AHEAD_IN_CALENDARS: Final = 20


class Month(Protocol):
    """What names the days of a month."""

    def days_of(self, year: int, month: int) -> Sequence[int]:
        """Return the days, in order."""
        ...


class Dates:
    """The days of a rule, in order."""

    def __init__(self, months: Month, calendar: Calendar | None, on_closed: OnClosed) -> None:
        self._months = months
        self._calendar = calendar if on_closed != "run" else None
        self._on_closed: OnClosed = on_closed
        self._years_ahead = YEARS_AHEAD if calendar is None else _YEARS_AHEAD_IN_CALENDARS

    def first(self, day: date) -> date | None:
        """Return the first day from this one on, None when there is none for decades."""
        if self._calendar is None:
            return self._named(day, day.year + self._years_ahead)
        last_year = day.year + self._years_ahead
        target, landing = day, landing_of(self._calendar, self._on_closed)
        source = self._named(first_that_lands(self._calendar, self._on_closed, day), last_year)
        while source is not None:
            landed = landing(source)
            if landed is not None and landed >= target:
                return landed
            source = self._named(source + ONE_DAY, last_year)
        return None

    def _named(self, day: date, last_year: int) -> date | None:
        """Return the first day that the rule itself names."""
        year, month, number = day.year, day.month, day.day
        while year <= min(last_year, MAXYEAR - 1):
            days = self._months.days_of(year, month)
            place = bisect_left(days, number)
            if place < len(days):
                return date(year, month, days[place])
            year, month, number = (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)  # noqa: PLR2004 - December
        return None


def landing_of(calendar: Calendar, on_closed: OnClosed) -> Callable[[date], date | None]:
    """Return the function that says on which day a tick of a day falls, None for none."""
    match on_closed:
        case "run":
            return lambda day: day
        case "skip":
            return lambda day: day if calendar.is_open(day) else None
        case "next":
            return lambda day: calendar.open_day(day, 1)
        case "previous":
            return lambda day: calendar.open_day(day, -1)


def first_that_lands(calendar: Calendar, on_closed: OnClosed, day: date) -> date:
    """Return the first day whose ticks may fall on this day or later: closed ones before it may be moved to it."""
    if on_closed != "next":
        return day
    before = calendar.open_day(day - ONE_DAY, -1)
    return day - LONGEST_CLOSED * ONE_DAY if before is None else before + ONE_DAY
