"""Ticks that come again after a time, by the clock.

Ticks are whole intervals away from an anchor, in real time:

- `start`, if one is given;
- else, for an interval that divides a day evenly, the first moment of each local day, so that `"6h"` ticks at 00:00,
  06:00, 12:00 and 18:00 all year; on the day of a clock change the last interval is longer or shorter, and a whole
  day is that day, of whatever length;
- else midnight of Monday, 3 January 2000, in the schedule's zone.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from lineshaft.clock import DAY
from lineshaft.recurrence.calendar import Calendar
from lineshaft.recurrence.dates import first_that_lands, landing_of
from lineshaft.recurrence.days import FIRST_MONDAY
from lineshaft.recurrence.opening import Opening, minute_of
from lineshaft.recurrence.rules import OnClosed
from lineshaft.recurrence.zones import ONE_DAY, first_instant, instant_of, wall_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# An interval that met closed hours so often in a row never meets open ones, and looking further would take time.
_MOST_CLOSED: Final = 1_000
_FURTHEST: Final = 11 * 366 * DAY


class Aligned:
    """Instants that are whole intervals away from an anchor, or from the beginning of each local day."""

    def __init__(self, zone: ZoneInfo, interval: int, anchor: int | None) -> None:
        self._zone = zone
        self._interval = interval
        self._anchor = anchor if anchor is not None or DAY % interval == 0 else first_instant(zone, FIRST_MONDAY)

    def after(self, instant: int) -> int:
        """Return the first of them strictly after an instant."""
        if self._anchor is not None:
            return self._next(self._anchor, instant)
        begin, end = self._day_around(instant)
        # A day of 25 hours is one day: its last hour has no tick of its own.
        return end if self._interval == DAY else min(self._next(begin, instant), end)

    def _next(self, anchor: int, instant: int) -> int:
        return anchor + ((instant - anchor) // self._interval + 1) * self._interval

    def _day_around(self, instant: int) -> tuple[int, int]:
        """Return when the local day began in which an instant lies, and when the next one begins."""
        day = wall_of(self._zone, instant).date()
        begin = self._begin(day, -1)
        # A clock that is set back over midnight shows the old day again; the new one has begun all the same.
        while (end := self._begin(day + ONE_DAY, 1)) <= instant:
            begin, day = end, day + ONE_DAY
        return begin, end

    def _begin(self, day: date, step: int) -> int:
        while (found := first_instant(self._zone, day)) is None:  # a day that the zone left out
            day += step * ONE_DAY
        return found


class IntervalWalk:
    """Aligned instants that the calendar lets through."""

    def __init__(self, aligned: Aligned, opening: Opening | None) -> None:
        self._aligned = aligned
        self._opening = opening

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant."""
        tick = self._aligned.after(instant)
        if self._opening is None:
            return tick
        for _ in range(_MOST_CLOSED):
            opens = self._opening.opens(tick)
            if opens is None or opens == tick:
                return opens
            tick = self._aligned.after(opens - 1)
        return None


class MovedWalk:
    """Aligned instants whose closed days are moved, at the same time of day, to another day."""

    def __init__(self, zone: ZoneInfo, aligned: Aligned, calendar: Calendar, on_closed: OnClosed) -> None:
        self._zone = zone
        self._aligned = aligned
        self._calendar = calendar
        self._on_closed: OnClosed = on_closed
        self._landing = landing_of(calendar, on_closed)

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant."""
        day = first_that_lands(self._calendar, self._on_closed, wall_of(self._zone, instant).date())
        raw = instant - DAY if (begin := first_instant(self._zone, day)) is None else min(begin, instant) - 1
        found: int | None = None
        while (raw := self._aligned.after(raw)) - instant < _FURTHEST:
            wall = wall_of(self._zone, raw)
            landed = self._landing(wall.date())
            if landed is None or not self._calendar.is_within_hours(minute_of(wall)):
                continue
            if found is not None and landed > wall_of(self._zone, found).date() + ONE_DAY:
                break
            tick = raw if landed == wall.date() else instant_of(self._zone, datetime.combine(landed, wall.time()))
            if tick is not None and tick > instant and (found is None or tick < found):
                found = tick
        return found
