"""From days and times of day to instants, across clock changes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from lineshaft.clock import DAY
from lineshaft.recurrence.calendar import Calendar
from lineshaft.recurrence.dates import Dates, landing_of
from lineshaft.recurrence.opening import minute_of
from lineshaft.recurrence.rules import OnClosed
from lineshaft.recurrence.zones import ONE_DAY, instant_of, naive_instant, steady_until, wall_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_A_MINUTE: Final = timedelta(minutes=1)


class Walk(Protocol):
    """What finds the next instant of a rule."""

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant, None when there is none any more."""
        ...


class FixedWalk:
    """Each time of each day once: right after the change if clocks skip it, the first time if they show it twice."""

    def __init__(self, zone: ZoneInfo, dates: Dates, minutes: Sequence[int]) -> None:
        self._zone = zone
        self._dates = dates
        self._minutes = minutes

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant."""
        wall = wall_of(self._zone, instant)
        # What the clocks showed already, this day, is over: for times are taken when they are shown first.
        place = bisect_right(self._minutes, wall.hour * 60 + wall.minute)
        for day in self._days(wall.date()):
            for minute in self._minutes[place if day == wall.date() else 0 :]:
                tick = instant_of(self._zone, datetime.combine(day, _time(minute)))
                if tick is not None and tick > instant:
                    return tick
        return None

    def _days(self, day: date) -> Iterator[date]:
        found = self._dates.first(day)
        while found is not None:
            yield found
            found = self._dates.first(found + ONE_DAY)


class WildWalk:
    """Whenever clocks show one of the times: never in an hour that they skip, twice in one that they repeat."""

    def __init__(self, zone: ZoneInfo, dates: Dates, minutes: Sequence[int]) -> None:
        self._zone = zone
        self._dates = dates
        self._minutes = minutes

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant."""
        since = instant + 1
        while (day := self._dates.first(wall_of(self._zone, since).date())) is not None:
            # No zone is a day ahead of UTC.
            since = max(since, naive_instant(datetime.combine(day, time())) - DAY)
            until = steady_until(self._zone, since)
            wall = wall_of(self._zone, since)
            offset = naive_instant(wall) - since
            shown = self._shown(wall, wall + timedelta(microseconds=until - since))
            if shown is not None:
                return naive_instant(shown) - offset
            since = until
        return None

    def _shown(self, since: datetime, until: datetime) -> datetime | None:
        """Return the first time in `[since, until)` of a clock that runs evenly."""
        wall = since.replace(second=0, microsecond=0)
        wall += _A_MINUTE if wall < since else timedelta()
        day = self._dates.first(wall.date())
        while day is not None and day <= until.date():
            place = bisect_left(self._minutes, wall.hour * 60 + wall.minute) if day == wall.date() else 0
            if place < len(self._minutes):
                shown = datetime.combine(day, _time(self._minutes[place]))
                return shown if shown < until else None
            day = self._dates.first(day + ONE_DAY)
        return None


class OnceWalk:
    """A list of instants."""

    def __init__(self, instants: Sequence[int]) -> None:
        self._instants = instants

    def after(self, instant: int) -> int | None:
        """Return the first tick strictly after an instant."""
        place = bisect_right(self._instants, instant)
        return self._instants[place] if place < len(self._instants) else None


def moved_instants(
    zone: ZoneInfo, instants: Sequence[int], calendar: Calendar | None, on_closed: OnClosed
) -> list[int]:
    """Return the instants that a calendar leaves, those on closed days moved at the same time of day, in order."""
    if calendar is None:
        return sorted(set(instants))
    landing = landing_of(calendar, on_closed)
    moved: set[int | None] = set()
    for instant in instants:
        wall = wall_of(zone, instant)
        if calendar.is_within_hours(minute_of(wall)) and (day := landing(wall.date())) is not None:
            moved.add(instant if day == wall.date() else instant_of(zone, datetime.combine(day, wall.time())))
    return sorted(one for one in moved if one is not None)


def _time(minute: int) -> time:
    return time(minute // 60, minute % 60)
