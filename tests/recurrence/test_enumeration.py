"""What a recurrence says is what brute force finds, whatever the rule, the zone and the calendar."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from cronsim import CronSim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineshaft.clock import MINUTE
from lineshaft.recurrence import Calendar, Cron, Days, Every, OnClosed, Recurrence
from tests.recurrence.brute import ONE_DAY, WEEKS, Weeks, of_days, of_interval
from tests.recurrence.vixie import EPOCH, micros

NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)

examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
weeks_of = st.sampled_from(WEEKS)
on_closed_of = st.sampled_from(["run", "skip", "next", "previous"])


@st.composite
def calendars(draw: st.DrawFn, weeks: Weeks) -> Calendar | None:
    """Draw none, or one that closes some of the days of the weeks but never a long stretch."""
    if draw(st.booleans()):
        return None
    days = st.integers(-3, 40).map(lambda number: weeks.since.date() + number * ONE_DAY)
    closed = draw(st.sets(days, max_size=8))
    return Calendar(
        country=draw(st.sampled_from([None, "DE", ("US", "GB-ENG")])),
        weekend=draw(st.sampled_from([("sat", "sun"), ("fri",), ()])),
        closed=sorted(closed),
        open=sorted(draw(st.sets(days, max_size=3)) - closed),
        hours=draw(st.sampled_from([None, None, "09:00-17:30", "22:00-02:30", "01:15-02:30"])),
    )


def said(recurrence: Recurrence, weeks: Weeks) -> list[int]:
    """Return what it says for the weeks; one by one, since that is how the scheduler asks."""
    return recurrence.between(micros(weeks.since), micros(weeks.until), 1_000_000)


@given(st.data(), weeks_of, on_closed_of)
@examples
def test_cron(data: st.DataObject, weeks: Weeks, on_closed: OnClosed) -> None:
    """A cron rule has each tick that brute force finds, and no other."""
    minute = data.draw(st.sampled_from(["0", "30", "15,45", "*/20", "5-7"]))
    hour = data.draw(st.sampled_from(["0", "2", "1-3", "*/6", "*", "23", "9,17"]))
    day = data.draw(st.sampled_from(["*", "*", "L", "LW", "1,15", "28-31", "*/10"]))
    weekday = data.draw(st.sampled_from(["*", "*", "MON-FRI", "SUN", "2#1", "5L", "0,3"]))
    calendar = data.draw(calendars(weeks))
    text = f"{minute} {hour} {day} * {weekday}"
    read = CronSim(text, SOME_DAY)
    found = of_days(
        weeks,
        read.match_day,
        {one * 60 + other for one in read.hours for other in read.minutes},
        calendar,
        on_closed,
        wild="*" in minute or "*" in hour,
    )
    assert said(Recurrence(Cron(text), weeks.zone, calendar, on_closed), weeks) == found


@st.composite
def worded(draw: st.DrawFn, calendar: Calendar | None) -> tuple[str, Callable[[date], bool]]:
    """Draw a text and, said a second time, what it means."""
    is_business = (lambda day: day.weekday() < 5) if calendar is None else calendar.is_open
    kinds: dict[str, Callable[[date], bool]] = {
        "day": lambda _: True,
        "weekday": lambda day: day.weekday() < 5,
        "business day": is_business,
        **{name: lambda day, number=number: day.weekday() == number for number, name in enumerate(NAMES)},
    }
    kind = draw(st.sampled_from(sorted(kinds)))
    number = draw(st.integers(1, 4))
    form = draw(st.sampled_from(["every", "nth", "last", "nth last", "step"]))
    if form == "every":
        return f"every {kind}", kinds[kind]
    if form == "step":
        number += 1  # "every 1st monday" is refused: it may mean two things
        return f"every {number}th {kind}" if kind != "weekday" else "every weekday", stepped(kind, kinds[kind], number)
    period = draw(st.sampled_from(["month", "quarter", "year", "march"]))
    place = {"nth": f"{number}th", "last": "last", "nth last": f"{number}th last"}[form]
    index = {"nth": number - 1, "last": -1, "nth last": -number}[form]
    return f"{place} {kind} of {'' if period == 'march' else 'the '}{period}", placed(kinds[kind], index, period)


def stepped(kind: str, is_kind: Callable[[date], bool], number: int) -> Callable[[date], bool]:
    """Return the meaning of "every 3rd …"."""
    monday = date(2000, 1, 3)
    if kind == "weekday":
        return is_kind
    if kind == "business day":
        return lambda day: (
            is_kind(day) and sum(is_kind(one) for one in days_of(day, "month") if one <= day) % number == 0
        )
    if kind == "day":
        return lambda day: (day - monday).days % number == 0
    return lambda day: is_kind(day) and ((day - monday).days // 7) % number == 0


def placed(is_kind: Callable[[date], bool], index: int, period: str) -> Callable[[date], bool]:
    """Return the meaning of "2nd … of the month"."""

    def is_day(day: date) -> bool:
        days = [one for one in days_of(day, period) if is_kind(one)]
        return -len(days) <= index < len(days) and days[index] == day

    return is_day


def days_of(day: date, period: str) -> list[date]:
    """Return the days of a period in which a day lies, or of the month of this name in its year."""
    first = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1, "march": 3}[period]
    months = range(first, first + {"month": 1, "quarter": 3, "year": 12, "march": 1}[period])
    return [date(day.year, month, one + 1) for month in months for one in range(monthrange(day.year, month)[1])]


@given(st.data(), weeks_of, on_closed_of)
@examples
def test_days(data: st.DataObject, weeks: Weeks, on_closed: OnClosed) -> None:
    """Days in words have each tick that brute force finds, and no other."""
    calendar = data.draw(calendars(weeks))
    parts = data.draw(st.lists(worded(calendar), min_size=1, max_size=2))
    times = data.draw(st.lists(st.sampled_from(["00:00", "01:45", "02:30", "09:00", "23:45"]), min_size=1, unique=True))
    minutes = {int(time[:2]) * 60 + int(time[3:]) for time in times}
    rule = Days(" and ".join(text for text, _ in parts), tuple(sorted(times)))
    found = of_days(
        weeks, lambda day: any(is_day(day) for _, is_day in parts), minutes, calendar, on_closed, wild=False
    )
    assert said(Recurrence(rule, weeks.zone, calendar, on_closed), weeks) == found


@given(st.data(), weeks_of, st.sampled_from([1, 7, 15, 40, 90, 360, 420, 1440]), st.sampled_from(["run", "skip"]))
@examples
def test_short_intervals(data: st.DataObject, weeks: Weeks, minutes: int, on_closed: OnClosed) -> None:
    """An interval has each tick that lies whole intervals from its anchor in open hours, and no other."""
    calendar = data.draw(calendars(weeks))
    short = Weeks(weeks.zone, weeks.since, weeks.since + (weeks.until - weeks.since) * min(1, minutes / 30))
    start = data.draw(st.none() | st.integers(-9_000, 0).map(lambda one: weeks.since + timedelta(minutes=one)))
    recurrence = Recurrence(
        Every(minutes * MINUTE), weeks.zone, calendar, on_closed, start=None if start is None else micros(start)
    )
    found = of_interval(weeks, minutes, start, calendar, on_closed)
    assert said(recurrence, short) == [tick for tick in found if tick <= micros(short.until)]


@given(st.data(), weeks_of, st.sampled_from([1440, 1500, 2880, 10_080]), on_closed_of)
@examples
def test_long_intervals(data: st.DataObject, weeks: Weeks, minutes: int, on_closed: OnClosed) -> None:
    """An interval of a day or more moves ticks of closed days as a rule of days does."""
    calendar = data.draw(calendars(weeks))
    start = data.draw(st.none() | st.integers(-50_000, -40_000).map(lambda one: weeks.since + timedelta(minutes=one)))
    recurrence = Recurrence(
        Every(minutes * MINUTE), weeks.zone, calendar, on_closed, start=None if start is None else micros(start)
    )
    assert said(recurrence, weeks) == of_interval(weeks, minutes, start, calendar, on_closed)


@examples
@given(weeks_of, st.sampled_from(["*/20 * * * *", "30 2 * * *"]), st.integers(0, 10**12), st.integers(0, 10**12))
def test_bounds_are_included(weeks: Weeks, text: str, start: int, length: int) -> None:
    """Start and end cut a rule's ticks to those between them, both included, and change nothing else."""
    begin = micros(weeks.since) + start // MINUTE * MINUTE
    end = begin + length // MINUTE * MINUTE
    whole = said(Recurrence(Cron(text), weeks.zone), weeks)
    cut = said(Recurrence(Cron(text), weeks.zone, start=begin, end=end), weeks)
    assert cut == [tick for tick in whole if begin <= tick <= end]


@given(weeks_of, st.sampled_from(["*/20 * * * *", "30 2 * * *", "0 0 1 * *"]), st.integers(0, 10**12))
def test_the_next_tick_is_the_first_of_all_later_ones(weeks: Weeks, text: str, offset: int) -> None:
    """From any instant, on a tick, beside it or within a microsecond of it, the next tick is the first after it."""
    recurrence = Recurrence(Cron(text), weeks.zone)
    instant = micros(weeks.since) + offset
    tick = recurrence.after(instant)
    assert tick is not None
    assert tick > instant
    assert recurrence.after(tick - 1) == tick
    assert recurrence.after((instant + tick) // 2) == tick
    assert EPOCH + timedelta(microseconds=tick) > weeks.since
