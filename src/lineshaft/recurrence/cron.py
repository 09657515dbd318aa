"""Cron expressions: read by the package `cronsim`, kept as the values of each field and the days of each month.

Texts are read once a process: ten thousand expressions are made of a few hundred different fields.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from lineshaft.errors import ScheduleError

if TYPE_CHECKING:
    from cronsim import CronSim

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTH_NAMES: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_FIELDS: Final = ("minute", "hour", "day of month", "month", "day of week")
_TAKES: Final = (
    "0-59, ranges 0-30, steps */15, lists 0,30",
    "0-23, ranges 9-17, steps */2, lists 8,12",
    "1-31, ranges 1-15, steps */10, lists 1,15, L (last day), LW (last weekday)",
    "1-12 or JAN-DEC, ranges 1-3, steps */3, lists 1,7",
    "0-7 or SUN-SAT (0 and 7 are Sunday), ranges MON-FRI, lists 1,3, MON#2 (2nd Monday), 5L (last Friday)",
)
_ANY: Final = ("*", "*", "*", "*", "*")
_SOME_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)
_WEEKDAY_NAME_LAST: Final = re.compile(r"(SUN|MON|TUE|WED|THU|FRI|SAT)L")
_NUMBERS: Final = {name: str(number) for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}


@dataclass(frozen=True, slots=True)
class CronFields:
    """A cron expression that was read.

    `is_wild` says that minute or hour begin with a star: such an expression follows the clock through its changes,
    as the manual page of Debian's cron has it; any other one runs once for each time that it names.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    day: str
    weekday: str
    is_wild: bool

    def days_of(self, year: int, month: int) -> tuple[int, ...]:
        """Return the days of a month that the expression names."""
        if month not in self.months:
            return ()
        first_weekday, length = monthrange(year, month)
        return _days(self.day, self.weekday, first_weekday, length)


@lru_cache(16_384)
def read_cron(expression: str) -> CronFields:
    """Read an expression; raises `ScheduleError` that names the field and what is wrong with it."""
    fields = split_cron(expression)
    minute, hour, day, month, weekday = fields
    try:
        return CronFields(
            minutes=_values(0, minute),
            hours=_values(1, hour),
            months=frozenset(_values(3, month)),
            day=day,
            weekday=_checked_weekday(weekday, day),
            is_wild=minute.startswith("*") or hour.startswith("*"),
        )
    except _unreadable() as error:
        raise ScheduleError(_fault(expression, fields)) from error


def split_cron(expression: object) -> tuple[str, ...]:
    """Return the five fields of an expression, in capitals, a nickname such as `@daily` spelt out."""
    text = expression.strip().lower() if isinstance(expression, str) else ""
    if text == "@reboot":
        raise ScheduleError(
            "cron='@reboot' names no time: workers start and stop, a schedule belongs to all of them; "
            "enqueue the job where your program starts instead"
        )
    if text.startswith("@") and text not in NICKNAMES:
        raise ScheduleError(f"cron={expression!r} is no name that is known; give one of {', '.join(NICKNAMES)}")
    fields = tuple(NICKNAMES.get(text, text).upper().split())
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"cron={expression!r} {_wrong_count(len(fields))}")
    return (*fields[:4], _WEEKDAY_NAME_LAST.sub(lambda found: f"{_NUMBERS[found[1]]}L", fields[4]))


def _wrong_count(count: int) -> str:
    if count == len(_FIELDS) + 1:
        return "has six fields; a cron rule has no seconds: give the five fields from the minute on, or every='30s'"
    return f"has {count} fields; give five: minute, hour, day of month, month, day of week, such as '30 6 * * MON-FRI'"


@cache
def _values(place: int, text: str) -> tuple[int, ...]:
    read = _simulator(place, text)
    return tuple(sorted((read.minutes, read.hours, read.days, read.months)[place]))


def _checked_weekday(weekday: str, day: str) -> str:
    _matcher(day, weekday)
    return weekday


@lru_cache(4_096)
def _matcher(day: str, weekday: str) -> CronSim:
    from cronsim import CronSim

    return CronSim(f"0 0 {day} * {weekday}", _SOME_DAY)


@lru_cache(16_384)
def _days(day: str, weekday: str, first_weekday: int, length: int) -> tuple[int, ...]:
    if day == weekday == "*":
        return tuple(range(1, length + 1))
    matches = _matcher(day, weekday).match_day
    year, month = _month_like(first_weekday, length)
    return tuple(number for number in range(1, length + 1) if matches(date(year, month, number)))


@cache
def _month_like(first_weekday: int, length: int) -> tuple[int, int]:
    """Return a month of this shape: which of its days match depends on nothing else."""
    months = ((year, month) for year in range(2000, 2028) for month in range(1, 13))
    return next(one for one in months if monthrange(*one) == (first_weekday, length))


def _simulator(place: int, text: str) -> CronSim:
    from cronsim import CronSim

    return CronSim(" ".join((*_ANY[:place], text, *_ANY[place + 1 :])), _SOME_DAY)


def _unreadable() -> tuple[type[Exception], ...]:
    # Some malformed terms, such as "L/2-3", trip the parser itself.
    from cronsim import CronSimError

    return CronSimError, AssertionError, TypeError, ValueError


def _fault(expression: str, fields: tuple[str, ...]) -> str:
    for place, field in enumerate(fields):
        for term in field.split(","):
            try:
                _simulator(place, term)
            except _unreadable():
                where = f"{term!r} of {field!r}" if term != field else f"{field!r}"
                return f"cron={expression!r}: the {_FIELDS[place]} {where} is wrong; it takes {_TAKES[place]}"
    return f"cron={expression!r} cannot be read as a whole; each field can by itself"
