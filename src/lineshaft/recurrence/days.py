"""Days in words: `"every monday"`, `"1st and 15th of the month"`, `"last business day of the quarter"`."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final

from lineshaft.errors import ScheduleError
from lineshaft.recurrence.calendar import Calendar
from lineshaft.recurrence.zones import ONE_DAY

DAY_NAMES: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
BUSINESS_DAY: Final = "business day"
WEEKDAY: Final = "weekday"
# Intervals of days and weeks are counted from here where no start is given.
FIRST_MONDAY: Final = date(2000, 1, 3)
FORMS: Final = (
    "'every day', 'every weekday', 'every business day', 'every 3rd day', 'every monday and friday', "
    "'every 2nd tuesday', 'every 3rd business day of the month', '15th of the month', '2nd tuesday of the month', "
    "'last business day of the quarter', '2nd last day of the year', '1st monday of september', or a list of them"
)

_FRIDAY: Final = 4
_WORDS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "other": 2}
_ALIASES: Final = {"working day": BUSINESS_DAY, "workday": BUSINESS_DAY, "daily": "every day"}
_SHORT: Final = {"tues": "tuesday", "thur": "thursday", "thurs": "thursday", **{name[:3]: name for name in DAY_NAMES}}
_NUMBER: Final = r"\d{1,3}(?:st|nd|rd|th)|first|second|third|fourth|fifth"
_PLACE: Final = rf"(?P<number>{_NUMBER})?(?P<last> ?(?:to )?last)?"
_KIND: Final = rf"(?P<kind>day|{WEEKDAY}|{BUSINESS_DAY}|{'|'.join(DAY_NAMES)})"
_MONTHLY: Final = rf"(?:(?<={BUSINESS_DAY}) of (?:each |every )?month)?"
_EVERY: Final = re.compile(rf"every (?:(?P<step>{_NUMBER}|other) )?{_KIND}{_MONTHLY}")
_NTH: Final = re.compile(
    rf"{_PLACE}(?: {_KIND})?(?P<tail> of (?:each |every )?(?P<period>month|quarter|year|{'|'.join(MONTHS)}))?"
)
_PARTS: Final = re.compile(r" ?, ?(?:and )?| and ")


@dataclass(frozen=True, slots=True)
class EveryNth:
    """Each day of a kind, or each n-th: business days are counted anew each month, days and weeks from an anchor."""

    step: int
    kind: str

    def days_of(self, month: MonthView) -> Iterator[int]:
        """Return its days in a month."""
        days = month.of_kind(self.kind, range(1, month.length + 1))
        if self.kind == BUSINESS_DAY:
            return islice(days, self.step - 1, None, self.step)
        if self.kind == "day":
            return (day for day in days if (month.day(day) - month.anchor).days % self.step == 0)
        monday = month.anchor - timedelta(days=month.anchor.weekday())
        return (day for day in days if (month.day(day) - monday).days // 7 % self.step == 0)


@dataclass(frozen=True, slots=True)
class NthOf:
    """The n-th day of a kind in each month, quarter or year, or in a month of its own; from the end if negative."""

    place: int
    kind: str
    period: str

    def days_of(self, month: MonthView) -> Iterator[int]:
        """Return its days in a month: one or none."""
        first, last = self._span(month.month)
        if not first <= month.month <= last:
            return
        found = month.known(self, first, last)
        if found is not None and found.month == month.month:
            yield found.day

    def find(self, month: MonthView, first: int, last: int) -> date | None:
        """Return the day from one month to another of a year, if they have so many of its kind."""
        days = month.dates(first, last, from_end=self.place < 0)
        return next(islice((day for day in days if month.is_of_kind(self.kind, day)), abs(self.place) - 1, None), None)

    def _span(self, month: int) -> tuple[int, int]:
        match self.period:
            case "month":
                return month, month
            case "quarter":
                return (month - 1) // 3 * 3 + 1, (month - 1) // 3 * 3 + 3
            case "year":
                return 1, 12
            case name:
                return MONTHS.index(name) + 1, MONTHS.index(name) + 1


Term = EveryNth | NthOf
Found = dict[NthOf, tuple[tuple[int, int, int], date | None]]
"""The period (year, first and last month) that a term was looked up in last, and its day there."""


@dataclass(frozen=True, slots=True)
class MonthView:
    """A month as terms look at it: what its days are, by which calendar, and from where intervals are counted."""

    year: int
    month: int
    calendar: Calendar | None
    anchor: date
    found: Found

    @property
    def length(self) -> int:
        """How many days it has."""
        return monthrange(self.year, self.month)[1]

    def day(self, number: int) -> date:
        """Return one of its days."""
        return date(self.year, self.month, number)

    def of_kind(self, kind: str, numbers: Iterable[int]) -> Iterator[int]:
        """Return those of its days that are of a kind."""
        return (number for number in numbers if self.is_of_kind(kind, self.day(number)))

    def is_of_kind(self, kind: str, day: date) -> bool:
        """Tell whether a day is of a kind."""
        if kind == "day":
            return True
        if kind == BUSINESS_DAY and self.calendar is not None:
            return self.calendar.is_open(day)
        return day.weekday() <= _FRIDAY if kind in (WEEKDAY, BUSINESS_DAY) else DAY_NAMES[day.weekday()] == kind

    def known(self, term: NthOf, first: int, last: int) -> date | None:
        """Return the day of a term from one month to another, looked for once for all months of the period."""
        period = (self.year, first, last)
        held = self.found.get(term)
        if held is None or held[0] != period:
            held = self.found[term] = (period, term.find(self, first, last))
        return held[1]

    def dates(self, first: int, last: int, *, from_end: bool) -> Iterator[date]:
        """Return the days from one month to another of its year, or from the end back."""
        begin, end = date(self.year, first, 1), date(self.year, last, monthrange(self.year, last)[1])
        day, step = (end, -ONE_DAY) if from_end else (begin, ONE_DAY)
        while begin <= day <= end:
            yield day
            day += step


class WordedDays:
    """The days that a text names, month by month."""

    def __init__(self, terms: tuple[Term, ...], calendar: Calendar | None, anchor: date) -> None:
        self._terms = terms
        self._calendar = calendar
        self._anchor = anchor
        self._found: Found = {}

    def days_of(self, year: int, month: int) -> tuple[int, ...]:
        """Return the days of a month, in order."""
        view = MonthView(year, month, self._calendar, self._anchor, self._found)
        return tuple(sorted({day for term in self._terms for day in term.days_of(view)}))


@lru_cache(4_096)
def read_days(text: str) -> tuple[Term, ...]:
    """Read days in words; raises `ScheduleError` that shows the part that is not known, and the forms that are."""
    terms: list[Term] = []
    waiting: list[tuple[int, str | None]] = []  # "1st and" before "3rd monday of the month"
    step: int | None = None  # of "every", which "and friday" goes on with
    for part in _PARTS.split(_plain(text)):
        every = _EVERY.fullmatch(part)
        # "Every 2nd tuesday of the month" is the 2nd Tuesday of each, as if "every" were not there.
        nth = _NTH.fullmatch(part.removeprefix("every ") if " of " in part else part)
        if every is not None and not waiting:
            step = _number(every["step"])
            terms.append(_every(text, part, step, every["kind"]))
        elif step is not None and part in DAY_NAMES:
            terms.append(EveryNth(step, part))
        elif nth is not None and (nth["number"] or nth["last"]) and _number(nth["number"]) > 0:
            waiting.append((_number(nth["number"]) * (-1 if nth["last"] else 1), nth["kind"]))
            step = None
            if nth["tail"]:
                terms.extend(NthOf(place, kind or nth["kind"] or "day", nth["period"]) for place, kind in waiting)
                waiting.clear()
        else:
            raise _unknown(text, part)
    if waiting:
        raise ScheduleError(f"days={text!r} says of what only in part; end it with 'of the month', quarter or year")
    return tuple(dict.fromkeys(terms))


def _plain(text: object) -> str:
    words = text.lower().replace("-", " ").replace(",", ", ").split() if isinstance(text, str) else []
    plain = " ".join(
        _SHORT.get(word.removesuffix(","), word.removesuffix(",")) + "," * word.endswith(",")
        for word in words
        if word not in ("the", "on")
    )
    for alias, meant in _ALIASES.items():
        plain = re.sub(rf"\b{alias}\b", meant, plain)
    return plain


def _every(text: str, part: str, step: int, kind: str) -> EveryNth:
    # "Every 1st monday" may mean each Monday or that of each month: neither is guessed at.
    if step < 1 or (kind == WEEKDAY and step > 1) or (step == 1 and not part.startswith(f"every {kind}")):
        raise _unknown(text, part)
    return EveryNth(step, kind)


def _number(text: str | None) -> int:
    if text is None:
        return 1
    return _WORDS.get(text) or int(text[:-2])


def _unknown(text: str, part: str) -> ScheduleError:
    where = f": {part!r}" if part != _plain(text) else ""
    return ScheduleError(f"days={text!r} cannot be read{where}; it takes {FORMS}")
