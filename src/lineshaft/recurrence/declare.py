"""What a person wrote, checked whole, as a `Recurrence`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from datetime import time as time_of_day
from typing import Any, Final, get_args

from msgspec.structs import replace

from lineshaft.clock import DAY, SECOND, Duration, to_datetime, to_instant, to_micros, to_text
from lineshaft.errors import ConfigError, ScheduleError
from lineshaft.recurrence.calendar import Calendar
from lineshaft.recurrence.cron import read_cron
from lineshaft.recurrence.days import read_days
from lineshaft.recurrence.recurrence import Recurrence
from lineshaft.recurrence.rules import Cron, Days, Every, Once, OnClosed, Rule, Since
from lineshaft.recurrence.zones import zone_of

Times = str | time_of_day | Iterable[str | time_of_day]

# Near the last year that there is, a look at the days behind would leave it.
_YEARS: Final = range(1900, 9900)
# Enough for a list of every minute, few enough for an error that can be read.
_LONGEST_TEXT: Final = 500
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def recurrence_of(
    *,
    cron: str | None = None,
    every: Duration | None = None,
    since: Since = "clock",
    at: datetime | Iterable[datetime] | None = None,
    days: str | None = None,
    time: Times | None = None,
    timezone: str = "UTC",
    calendar: Calendar | None = None,
    on_closed: OnClosed = "skip",
    start: datetime | None = None,
    end: datetime | None = None,
    now: int,
) -> Recurrence:
    """Check a rule as a person wrote it, and return it.

    Exactly one of `cron` (five fields), `every` (a duration from a second on, by the clock or `since="finish"` of the
    last job), `at` (aware datetimes) and `days` (in words, with `time` such as `"18:00"` or several) says when.
    `timezone` is an IANA name. `on_closed` says what becomes of ticks on days that the `calendar` closes. `start` and
    `end` are aware and included. `now` is the present instant: a rule must have a tick after it.

    Raises `ScheduleError` in one line that names the argument, the place in it and the reason.
    """
    _check_kind(calendar)
    rule = _rule({"cron": cron, "every": every, "at": at, "days": days}, since, time)
    recurrence = Recurrence(rule, timezone, calendar, on_closed, _bound("start", start), _bound("end", end))
    _check(recurrence)
    _check_that_it_fires(recurrence, now)
    return recurrence


def _rule(given: dict[str, Any], since: Since, time: Times | None) -> Rule:
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        what = " and ".join(f"{name}=" for name in named) if named else "no rule"
        raise ScheduleError(f"a schedule got {what}; give exactly one of cron=, every=, at=, days=")
    if time is not None and named != ["days"]:
        raise ScheduleError(f"time={time!r} belongs to days=; {named[0]}= says the time itself")
    if since != "clock" and named != ["every"]:
        raise ScheduleError(f"since={since!r} belongs to every=; {named[0]}= goes by the clock")
    _check_text(named[0], given)
    match named[0]:
        case "cron":
            read_cron(given["cron"])
            return Cron(" ".join(given["cron"].split()))
        case "every":
            return _every(given["every"], since)
        case "at":
            return _once(given["at"])
        case _:
            return _days(given["days"], time)


def _check_text(name: str, given: dict[str, Any]) -> None:
    if name not in {"cron", "days"}:
        return
    text = given[name]
    if not isinstance(text, str):
        example = "30 6 * * MON-FRI" if name == "cron" else "every weekday"
        raise ScheduleError(f"{name}={text!r} must be a text such as {example!r}")
    if len(text) > _LONGEST_TEXT:
        raise ScheduleError(f"{name}={text[:40]!r}… has {len(text)} characters; give at most {_LONGEST_TEXT}")


def _every(every: Duration, since: Since) -> Every:
    if since not in get_args(Since):
        raise ScheduleError(f"since={since!r} must be 'clock' or 'finish'")
    try:
        interval = to_micros(every, "every")
    except ConfigError as error:
        raise ScheduleError(str(error)) from None
    if interval < SECOND:
        raise ScheduleError(f"every={every!r} is too often; the shortest interval is 1s")
    return Every(interval, since)


def _once(at: Any) -> Once:
    times = _several(at)
    if not times:
        raise ScheduleError("at=[] names no time; give an aware datetime or a list of them")
    return Once(tuple(sorted({_instant("at", one) for one in times})))


def _days(days: str, time: Any) -> Days:
    read_days(days)
    if time is None:
        raise ScheduleError(f"days={days!r} needs a time of day; add time='18:00'")
    times = _several(time)
    if not times:
        raise ScheduleError("time=[] names no time of day; give '18:00' or a list of such")
    return Days(" ".join(days.split()), tuple(sorted({_time(one) for one in times})))


def _several(value: Any) -> list[Any]:
    try:
        return [value] if isinstance(value, str) else list(value)
    except TypeError:
        return [value]


def _time(value: object) -> str:
    text = value.isoformat("auto").removesuffix(":00") if isinstance(value, time_of_day) else value
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ScheduleError(f"time={value!r} is no time of day in whole minutes; give it as '18:00'")
    return f"{int(found[1]):02}:{found[2]}"


def _bound(name: str, value: datetime | None) -> int | None:
    return None if value is None else _instant(name, value)


def _instant(name: str, value: datetime) -> int:
    try:
        instant = to_instant(value, name)
    except ConfigError as error:
        raise ScheduleError(str(error)) from None
    if value.year not in _YEARS:
        raise ScheduleError(f"{name}={value.isoformat()} is out of range; give a time between 1900 and {_YEARS[-1]}")
    return instant


def _check_kind(calendar: object) -> None:
    if calendar is not None and not isinstance(calendar, Calendar):
        raise ScheduleError(f"calendar={calendar!r} must be a Calendar(...) or None")


def _check(recurrence: Recurrence) -> None:
    calendar, rule, on_closed = recurrence.calendar, recurrence.rule, recurrence.on_closed
    zone_of(recurrence.timezone)
    if on_closed not in get_args(OnClosed):
        raise ScheduleError(f"on_closed={on_closed!r} must be one of {', '.join(map(repr, get_args(OnClosed)))}")
    if calendar is None and on_closed != "skip":
        raise ScheduleError(f"on_closed={on_closed!r} needs a calendar= that says which days are closed")
    if calendar is not None:
        calendar.holidays  # noqa: B018 - checks the countries
    if (
        isinstance(rule, Every)
        and on_closed in {"next", "previous"}
        and (rule.interval < DAY or rule.since == "finish")
    ):
        how = "since the finish" if rule.since == "finish" else "several times a day"
        raise ScheduleError(f"on_closed={on_closed!r} moves the tick of a day, and every= ticks {how}; give 'skip'")
    if recurrence.start is not None and recurrence.end is not None and recurrence.end < recurrence.start:
        raise ScheduleError(f"end={_shown(recurrence.end)} is before start={_shown(recurrence.start)}")


def _check_that_it_fires(recurrence: Recurrence, now: int) -> None:
    if recurrence.first(now) is not None:
        return
    unbounded = replace(recurrence, start=None, end=None)
    if unbounded.first(now) is not None:
        raise ScheduleError(f"{_rule_of(recurrence)} has no tick {_bounds(recurrence)}; widen them or change the rule")
    if replace(unbounded, calendar=None).first(now) is not None:
        raise ScheduleError(f"{_rule_of(recurrence)} never fires: the calendar closes all its days or hours")
    why = "all its times are over" if isinstance(recurrence.rule, Once) else "there is no such day"
    raise ScheduleError(f"{_rule_of(recurrence)} never fires: {why}")


def _bounds(recurrence: Recurrence) -> str:
    start, end = recurrence.start, recurrence.end
    after = "from now on" if start is None else f"from start={_shown(start)} on"
    return after if end is None else f"{after} up to end={_shown(end)}"


def _rule_of(recurrence: Recurrence) -> str:
    match recurrence.rule:
        case Cron(expression):
            return f"cron={expression!r}"
        case Days(days, _):
            return f"days={days!r}"
        case Every(interval, _):
            return f"every={to_text(interval)!r}"
        case Once(times):
            return f"at={_shown(times[-1])}"


def _shown(instant: int) -> str:
    return to_datetime(instant).isoformat()
