"""Cron expressions in words: the common ones as a person says them, the rest as the package `cronsim` explains them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from lineshaft.clock import HOUR, MINUTE
from lineshaft.recurrence.cron import CronFields, read_cron, split_cron
from lineshaft.recurrence.phrases import DAY_NAMES, MONTH_NAMES, at_times, clock_time, every, listed, ordinal

_MOST_TIMES: Final = 4
_MOST_DAYS: Final = 6
_ALL: Final = range(7)
_SHORT_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def cron_in_words(expression: str) -> str:
    """Return what a person would say, without the zone."""
    fields = read_cron(expression)
    repeated, fixed = _repeated(fields), _fixed(fields)
    days = _days(fields, is_plural=repeated is not None)
    if days is None or (repeated or fixed) is None:
        return _explained(expression)
    if repeated is not None:
        return f"{repeated} {days}".strip()
    return f"{days} {fixed}"


def _fixed(fields: CronFields) -> str | None:
    times = [hour * 60 + minute for hour in fields.hours for minute in fields.minutes]
    return at_times(times) if len(times) <= _MOST_TIMES else None


def _repeated(fields: CronFields) -> str | None:
    """Return the times if they come at even distances: all day, or from one hour to another."""
    hour_step, minute_step = _step(fields.hours, 24), _step(fields.minutes, 60)
    few = 1 if fields.is_wild else _MOST_TIMES
    if len(fields.hours) * len(fields.minutes) <= few or hour_step is None or minute_step is None:
        return None
    is_all_day = len(fields.hours) * hour_step == 24  # noqa: PLR2004 - hours
    if len(fields.minutes) > 1:
        if hour_step != 1 or fields.minutes[0] != 0:
            return None
        return every(minute_step * MINUTE) + ("" if is_all_day else _from_to(fields))
    if is_all_day and 0 in fields.hours:
        minute = "" if 0 in fields.minutes else f" at minute {min(fields.minutes)}"
        return every(hour_step * HOUR) + minute if fields.is_wild else None
    return every(hour_step * HOUR) + _from_to(fields)


def _from_to(fields: CronFields) -> str:
    first, last = fields.hours[0] * 60 + fields.minutes[0], fields.hours[-1] * 60 + fields.minutes[-1]
    return f" from {clock_time(first)} to {clock_time(last)}"


def _step(values: tuple[int, ...], whole: int) -> int | None:
    """Return the even distance between values; those of minutes must go on evenly in the next hour."""
    if len(values) == 1:
        return whole if whole == 60 else 1  # noqa: PLR2004 - minutes
    steps = {later - earlier for earlier, later in pairwise(values)}
    step = steps.pop()
    goes_on = whole != 60 or len(values) * step == whole  # noqa: PLR2004 - minutes
    return step if not steps and goes_on else None


def _days(fields: CronFields, *, is_plural: bool) -> str | None:
    months = None if len(fields.months) == len(MONTH_NAMES) else [MONTH_NAMES[one - 1] for one in sorted(fields.months)]
    by_month, by_week = fields.day != "*", fields.weekday != "*"
    if by_month and by_week and (fields.day[0] == "*" or fields.weekday[0] == "*"):
        return None  # both must be met
    inside = "" if months is None else f" in {listed(months)}"
    if not by_month and not by_week:
        return inside.strip() if is_plural else f"every day{inside}"
    of_month = _of_month(fields.day, "the month" if months is None else listed(months)) if by_month else ""
    of_week = _of_week(fields.weekday, is_plural=is_plural) if by_week else ""
    if of_month is None or of_week is None:
        return None
    return " and ".join(part for part in (of_month, of_week and of_week + inside) if part)


def _of_month(day: str, month: str) -> str | None:
    named = {"L": "last day", "LW": "last weekday"}
    terms = day.split(",")
    if len(terms) > _MOST_DAYS or not all(term in named or term.isdigit() for term in terms):
        return None
    return f"on the {listed(named.get(term) or ordinal(int(term)) for term in terms)} of {month}"


def _of_week(weekday: str, *, is_plural: bool) -> str | None:
    if "#" not in weekday and "L" not in weekday:
        return _weekly(weekday, is_plural=is_plural)
    places: list[str] = []
    for term in weekday.split(","):
        name, _, place = term.partition("#") if "#" in term else (term.removesuffix("L"), "", "-1")
        if "#" not in term and not term.endswith("L"):
            return None
        places.append(f"{ordinal(int(place))} {_day_name(name)}")
    return f"on the {listed(places)} of the month"


def _weekly(weekday: str, *, is_plural: bool) -> str:
    numbers = sorted({(number - 1) % 7 for number in weekday_numbers(weekday)})
    if len(numbers) == len(_ALL):
        return "" if is_plural else "every day"
    if numbers == [0, 1, 2, 3, 4]:
        return "on weekdays" if is_plural else "every weekday"
    names = [DAY_NAMES[number] for number in numbers]
    return f"on {listed(f'{name}s' for name in names)}" if is_plural else f"every {listed(names)}"


def weekday_numbers(weekday: str) -> tuple[int, ...]:
    """Return the days of the week that a field names, 0 to 7, where it names no n-th one."""
    from cronsim import CronSim

    found = CronSim(f"0 0 * * {weekday}", datetime(2000, 1, 1, tzinfo=UTC)).weekdays
    return tuple(one for one in found if isinstance(one, int))


def _day_name(text: str) -> str:
    number = int(text) if text.isdigit() else _SHORT_DAYS.index(text)
    return DAY_NAMES[(number - 1) % 7]


def _explained(expression: str) -> str:
    from cronsim import CronSim

    text = CronSim(" ".join(split_cron(expression)), datetime(2000, 1, 1, tzinfo=UTC)).explain()
    return text[0].lower() + text[1:]
