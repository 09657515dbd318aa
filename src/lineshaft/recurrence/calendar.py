"""Working days: weekends, public holidays, a list of one's own, and the hours of a day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cached_property
from os import PathLike
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import force_setattr

from lineshaft.errors import ScheduleError
from lineshaft.recurrence.holiday import Holidays, holidays_of
from lineshaft.recurrence.zones import ONE_DAY

# A longer stretch of closed days in a row is a mistake, and looking for its end would take time.
LONGEST_CLOSED: Final = 366
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WEEKEND: Final = ("sat", "sun")
_WEEKDAY: Final = re.compile(
    r"mon(day)?|tue(s|sday)?|wed(nesday)?|thu(r|rs|rsday)?|fri(day)?|sat(urday)?|sun(day)?", re.IGNORECASE
)
_HOURS: Final = re.compile(r"((?:[01]?\d|2[0-3]):[0-5]\d) *[-–] *((?:[01]?\d|2[0-3]):[0-5]\d|24:00)")


class Calendar(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, dict=True):
    """Says which days and hours are worked.

    `country` is a code such as `"DE"`, or a list of them: a holiday of one is a day off. `subdivision` is a part of
    a single country (`"BY"`); in a list write `"DE-BY"`. `weekend` names the days that are free each week, in three
    letters. `closed` and `open` are days of your own (`date` or `"2026-12-24"`); `open` beats everything else.
    `hours`, such as `"09:00-17:30"`, both ends included, keeps ticks outside of them away; `"22:00-06:00"` goes over
    midnight.

    A calendar holds its data itself: it needs no file where it is evaluated. Raises `ScheduleError` when a value
    cannot be read.
    """

    country: str | Sequence[str] | None = None
    subdivision: str | None = None
    weekend: Sequence[str] = _WEEKEND
    closed: Sequence[date] = ()
    open: Sequence[date] = ()
    hours: str | None = None

    def __post_init__(self) -> None:
        if self.country is not None and not isinstance(self.country, str):
            force_setattr(self, "country", _listed("country", self.country) or None)
        force_setattr(self, "weekend", _weekend(self.weekend))
        force_setattr(self, "closed", _days("closed", self.closed))
        force_setattr(self, "open", _days("open", self.open))
        self.window  # noqa: B018 - checks it
        if both := sorted(self._open & self._closed):
            raise ScheduleError(f"calendar: {both[0]} stands in closed= and in open=; leave it in one of them")

    @classmethod
    def from_ics(
        cls,
        path: str | PathLike[str],
        *,
        years: int = 5,
        timezone: str | None = None,
        country: str | Sequence[str] | None = None,
        subdivision: str | None = None,
        weekend: Sequence[str] = _WEEKEND,
        closed: Sequence[date] = (),
        open: Sequence[date] = (),  # noqa: A002 - the name of the field
        hours: str | None = None,
    ) -> Calendar:
        """Make a calendar whose closed days are the days that the events of an iCalendar file touch.

        The file is read now and never again. Repeated events are followed for so many `years` after this one; times
        with a zone are taken as written, or as the clocks of `timezone` show them. The other arguments are those of
        `Calendar`; days of `closed` come on top. Raises `ScheduleError` when the file cannot be understood.
        """
        from lineshaft.recurrence.ics import closed_days

        days = (*closed_days(path, years, timezone), *_days("closed", closed))
        return cls(country, subdivision, weekend, days, open, hours)

    @cached_property
    def window(self) -> tuple[int, int] | None:
        """The working hours as minutes of the day, both included; None for all of them."""
        if self.hours is None:
            return None
        found = _HOURS.fullmatch(str(self.hours).strip())
        if found is None:
            raise ScheduleError(f"calendar: hours={self.hours!r} is no span of a day; give it as '09:00-17:30'")
        start, end = minutes_of(found[1]), minutes_of(found[2])
        if start == end:
            raise ScheduleError(f"calendar: hours={self.hours!r} begin where they end; leave hours= away for all day")
        return start, end

    @cached_property
    def holidays(self) -> tuple[Holidays, ...]:
        """The holidays of each country; raises `ScheduleError` for one that is not known."""
        if self.country is None:
            if self.subdivision is not None:
                raise ScheduleError(f"calendar: subdivision={self.subdivision!r} needs a country=")
            return ()
        if isinstance(self.country, str):
            return (holidays_of(self.country, self.subdivision),)
        if self.subdivision is not None:
            raise ScheduleError("calendar: subdivision= belongs to a single country; in a list write 'DE-BY'")
        return tuple(holidays_of(one, None) for one in self.country)

    def is_open(self, day: date) -> bool:
        """Tell whether a day is worked."""
        if day in self._open:
            return True
        if day.weekday() in self._free or day in self._closed:
            return False
        for holidays in self.holidays:  # noqa: SIM110 - all() costs half as much again, and a search asks thousands of times
            if day in holidays:
                return False
        return True

    def open_day(self, day: date, step: int) -> date | None:
        """Return the nearest working day from a day on, looking forward (`step` 1) or back (-1); None within a year."""
        if len(self._free) == len(WEEKDAYS):
            return self._listed_day(day, step)
        for _ in range(LONGEST_CLOSED):
            if self.is_open(day):
                return day
            day += step * ONE_DAY
        return None

    def _listed_day(self, day: date, step: int) -> date | None:
        """Return the same where only the days of `open` are worked: they need no search."""
        days = [one for one in self.open if (one >= day if step > 0 else one <= day)]
        found = None if not days else days[0] if step > 0 else days[-1]
        return found if found is not None and abs(found - day) < LONGEST_CLOSED * ONE_DAY else None

    def is_within_hours(self, minute: float) -> bool:
        """Tell whether a minute of the day lies within the working hours."""
        if self.window is None:
            return True
        start, end = self.window
        return start <= minute <= end if start < end else minute >= start or minute <= end

    @cached_property
    def _free(self) -> frozenset[int]:
        return frozenset(WEEKDAYS.index(name) for name in self.weekend)

    @cached_property
    def _closed(self) -> frozenset[date]:
        return frozenset(self.closed)

    @cached_property
    def _open(self) -> frozenset[date]:
        return frozenset(self.open)


def minutes_of(text: str) -> int:
    """Return `"HH:MM"` as minutes since midnight."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _weekend(names: Iterable[str]) -> tuple[str, ...]:
    given = tuple(names.split(",")) if isinstance(names, str) else _listed("weekend", names)
    days = {str(name).strip().lower()[:3] for name in given}
    if wrong := [name for name in given if not _WEEKDAY.fullmatch(str(name).strip())]:
        raise ScheduleError(f"calendar: weekend={wrong[0]!r} is no day of the week; give names such as ('sat', 'sun')")
    ordered = tuple(day for day in WEEKDAYS if day in days)
    return _WEEKEND if ordered == _WEEKEND else ordered


def _days(name: str, days: Iterable[date | str]) -> tuple[date, ...]:
    if isinstance(days, str):
        raise ScheduleError(f"calendar: {name}={days!r} must be a list of days")
    return tuple(sorted({_day(name, one) for one in _listed(name, days)}))


def _listed(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    try:
        return tuple(values)
    except TypeError:
        raise ScheduleError(f"calendar: {name}={values!r} must be a list") from None


def _day(name: str, value: date | str) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ScheduleError(f"calendar: {value!r} of {name}= is no day; give a date or '2026-12-24'") from None
