"""Recurrences in words: `"every weekday at 06:00 Berlin time"`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from lineshaft.clock import DAY
from lineshaft.recurrence.calendar import Calendar, minutes_of
from lineshaft.recurrence.cron_words import cron_in_words
from lineshaft.recurrence.days import BUSINESS_DAY, DAY_NAMES, MONTHS, NthOf, Term, read_days
from lineshaft.recurrence.phrases import at_times, clock_time, every, listed, moment, ordinal, span, zone_time
from lineshaft.recurrence.rules import Cron, Days, Every, Once
from lineshaft.recurrence.zones import wall_of, zone_of

if TYPE_CHECKING:
    from lineshaft.recurrence.recurrence import Recurrence

_MOST_TIMES: Final = 4
_WEEKEND: Final = ("sat", "sun")
_IN_ANY_ZONE: Final = re.compile(r"every (\S+ )?(seconds?|minutes?)|every hour( at minute \d+)?|.* last job")
_EVERYWHERE: Final = re.compile(rf"{_IN_ANY_ZONE.pattern}|every \S+ (hours|days)( at minute \d+)?")
_TIME_AT_THE_END: Final = re.compile(r":\d\d$")
_NAMES_RUN_TOGETHER: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WITH_ARTICLE: Final = ("United ", "Netherlands", "Philippines", "Bahamas", "Gambia", "Maldives", "Seychelles")


def in_words(recurrence: Recurrence) -> str:
    """Return what a person would say."""
    said = _rule(recurrence)
    # How often it ticks is the same everywhere; when it does is not.
    is_bare = (_EVERYWHERE if recurrence.timezone == "UTC" else _IN_ANY_ZONE).fullmatch(said) is not None
    parts = [said if is_bare else _zoned(recurrence, said)]
    if recurrence.calendar is not None:
        parts.extend(_calendar(recurrence, recurrence.calendar, is_bare=is_bare))
    parts.extend(_bounds(recurrence))
    return ", ".join(parts)


def _rule(recurrence: Recurrence) -> str:
    match recurrence.rule:
        case Cron(expression):
            return cron_in_words(expression)
        case Days(days, times):
            return f"{_terms(read_days(days))} {at_times(sorted(minutes_of(time) for time in times))}"
        case Every(interval, "finish"):
            return f"{span(interval)} after the end of the last job"
        case Every(interval, _) if interval == DAY and recurrence.start is None:
            return "every day at 00:00"
        case Every(interval, _):
            return every(interval)
        case Once(times):
            return _once(recurrence, times)


def _once(recurrence: Recurrence, times: Sequence[int]) -> str:
    moments = [_moment(recurrence, time) for time in times]
    if len(moments) <= _MOST_TIMES:
        return f"at {listed(moments)}"
    return f"{len(moments)} times from {moments[0]} to {moments[-1]}"


def _moment(recurrence: Recurrence, instant: int) -> str:
    return moment(wall_of(zone_of(recurrence.timezone), instant))


def _zoned(recurrence: Recurrence, said: str) -> str:
    # Right behind a time it reads as part of it: "at 06:00 Berlin time".
    return f"{said}{' ' if _TIME_AT_THE_END.search(said) else ', '}{zone_time(recurrence.timezone)}"


def _terms(terms: Sequence[Term]) -> str:
    return listed(_alike(list(group)) for _, group in groupby(terms, _likeness))


def _likeness(term: Term) -> tuple[object, ...]:
    if isinstance(term, NthOf):
        return term.kind, term.period, term.place > 0 or term.kind != "day"
    return ("every", term.step) if term.kind in DAY_NAMES else ("every", term.step, term.kind)


def _alike(terms: Sequence[Term]) -> str:
    """Return terms that differ in one thing only: `"every Monday and Friday"`, `"on the 1st and 3rd Monday of …"`."""
    first = terms[0]
    if isinstance(first, NthOf):
        places = [ordinal(term.place) for term in terms if isinstance(term, NthOf)]
        is_date = first.kind == "day" and first.place > 0
        kind = "" if is_date and first.period not in {"quarter", "year"} else f" {_kind(first.kind)}"
        period = first.period.capitalize() if first.period in MONTHS else f"the {first.period}"
        return f"on the {listed(places)}{kind} of {period}"
    kinds = listed(_kind(term.kind) for term in terms)
    step = "" if first.step == 1 else f"{ordinal(first.step)} "
    return f"every {step}{kinds}{' of the month' if first.kind == BUSINESS_DAY and first.step > 1 else ''}"


def _kind(kind: str) -> str:
    return kind.capitalize() if kind in DAY_NAMES else kind


def _calendar(recurrence: Recurrence, calendar: Calendar, *, is_bare: bool) -> Iterator[str]:
    days = _closed_days(recurrence, calendar)
    hours = "" if calendar.window is None else "–".join(clock_time(minute) for minute in calendar.window)
    zone = zone_time(recurrence.timezone)
    if is_bare and hours:
        yield f"{hours} {zone} {days}".strip()
    elif is_bare and days:
        yield f"{days}, {zone}"
    elif not is_bare:
        yield from [f"within {hours}"] if hours else []
        yield from [days.replace("on business", "only on business", 1)] if days else []


def _closed_days(recurrence: Recurrence, calendar: Calendar) -> str:
    """Return what becomes of closed days; nothing where a calendar closes none."""
    holidays = f"holidays of {_countries(calendar, '')}" if calendar.country else ""
    own = "days of its own list" if calendar.closed else ""
    weekends = "" if not calendar.weekend else "weekends" if tuple(calendar.weekend) == _WEEKEND else "weekly days off"
    closed = listed(parts) if (parts := [part for part in (weekends, holidays, own) if part]) else ""
    match recurrence.on_closed if closed else "run":
        case "skip" if weekends:
            return f"on business days{_countries(calendar, ' in ')}{own and ' but for ' + own}"
        case "skip":
            return f"but for {closed}"
        case "next":
            return f"{closed} moved to the {'next business day' if weekends else 'day after'}"
        case "previous":
            return f"{closed} moved to the {'business day' if weekends else 'day'} before"
        case _:
            return ""


def _countries(calendar: Calendar, before: str) -> str:
    if calendar.country is None:
        return ""
    if isinstance(calendar.country, str):
        return before + _country(calendar.country, calendar.subdivision)
    return before + listed(_country(one, None) for one in calendar.country)


def _country(code: str, subdivision: str | None) -> str:
    import holidays

    alone, _, part = code.strip().upper().partition("-")
    # Each country is a class with its name, and a subclass for each code.
    known = getattr(holidays, alone, None)
    name = alone if known is None else _NAMES_RUN_TOGETHER.sub(" ", known.__mro__[1].__name__)
    article = "the " if name.startswith(_WITH_ARTICLE) else ""
    where = subdivision or part
    return f"{article}{name}{f' ({where})' if where else ''}"


def _bounds(recurrence: Recurrence) -> Iterator[str]:
    if recurrence.start is not None:
        yield f"from {_moment(recurrence, recurrence.start)}"
    if recurrence.end is not None:
        yield f"until {_moment(recurrence, recurrence.end)}"
