"""Ticks by brute force: each minute of some weeks is looked at. Shares nothing with what it judges but the calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from lineshaft.recurrence import Calendar
from tests.recurrence.vixie import A_MINUTE, THREE_HOURS, micros, what_clocks_show

ONE_DAY = timedelta(days=1)
MARGIN = 25 * ONE_DAY  # more days than a tick is ever moved in these tests


@dataclass(frozen=True)
class Weeks:
    """Some weeks of a zone, with a clock change in their middle."""

    zone: str
    since: datetime
    until: datetime


WEEKS = [
    Weeks("UTC", datetime(2026, 12, 20, tzinfo=UTC), datetime(2027, 1, 12, tzinfo=UTC)),
    Weeks("Europe/Berlin", datetime(2026, 3, 25, tzinfo=UTC), datetime(2026, 4, 14, tzinfo=UTC)),
    Weeks("America/New_York", datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)),
    Weeks("Australia/Lord_Howe", datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 4, 16, tzinfo=UTC)),
    Weeks("America/Havana", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC)),
    Weeks("Pacific/Apia", datetime(2011, 12, 22, tzinfo=UTC), datetime(2012, 1, 10, tzinfo=UTC)),
    Weeks("America/St_Johns", datetime(2010, 10, 25, tzinfo=UTC), datetime(2010, 11, 20, tzinfo=UTC)),
]


@cache
def shown(weeks: Weeks) -> list[tuple[datetime, datetime]]:
    """Return each minute (UTC) of the weeks, and of a margin, with what clocks show."""
    return what_clocks_show(weeks.zone, weeks.since - MARGIN, weeks.until + MARGIN)


@cache
def begun(weeks: Weeks) -> dict[datetime, datetime]:
    """Return when (UTC) the clocks reached each time first, or left it out."""
    reached = shown(weeks)[0][1] - A_MINUTE
    found: dict[datetime, datetime] = {}
    for utc, wall in shown(weeks):
        if wall - reached > THREE_HOURS + A_MINUTE:
            reached = wall - A_MINUTE
        while reached < wall:
            reached += A_MINUTE
            found[reached] = utc
    return found


@cache
def all_shown(weeks: Weeks) -> dict[datetime, list[datetime]]:
    """Return at which minutes (UTC) the clocks show each time."""
    found: dict[datetime, list[datetime]] = {}
    for utc, wall in shown(weeks):
        found.setdefault(wall, []).append(utc)
    return found


@cache
def since_midnight(weeks: Weeks) -> list[int]:
    """Return for each minute how many minutes ago its local day began."""
    found: list[int] = []
    day = date.min
    for _, wall in shown(weeks):
        found.append(0 if wall.date() > day else found[-1] + 1)
        day = max(day, wall.date())
    return found


def landed(calendar: Calendar | None, on_closed: str, day: date) -> date | None:
    """Return where a tick of a day comes to lie."""
    if calendar is None or on_closed == "run" or calendar.is_open(day):
        return day
    step = {"skip": None, "next": ONE_DAY, "previous": -ONE_DAY}[on_closed]
    while step is not None and not calendar.is_open(day):
        day += step
    return None if step is None else day


def inside(calendar: Calendar | None, wall: datetime) -> bool:
    """Tell whether a time of day lies within the hours."""
    if calendar is None or calendar.hours is None:
        return True
    start, end = calendar.hours.split("-")
    now = f"{wall:%H:%M}"
    return start <= now <= end if start <= end else now >= start or now <= end


def of_days(
    weeks: Weeks,
    is_day: Callable[[date], bool],
    minutes: Iterable[int],
    calendar: Calendar | None,
    on_closed: str,
    *,
    wild: bool,
) -> list[int]:
    """Return the ticks of a rule that names days and times of day."""
    first, last = shown(weeks)[0][1].date(), shown(weeks)[-1][1].date()
    named = (first + number * ONE_DAY for number in range((last - first).days + 1))
    days = {landed(calendar, on_closed, day) for day in named if is_day(day)} - {None}
    times = [time(minute // 60, minute % 60) for minute in minutes]
    walls = [datetime.combine(day, one) for day in days if day is not None for one in times]
    wanted = [wall for wall in walls if inside(calendar, wall)]
    if wild:
        return within(weeks, (utc for wall in wanted for utc in all_shown(weeks).get(wall, ())))
    return within(weeks, (begun(weeks)[wall] for wall in wanted if wall in begun(weeks)))


def of_interval(
    weeks: Weeks, minutes: int, start: datetime | None, calendar: Calendar | None, on_closed: str
) -> list[int]:
    """Return the ticks that lie whole intervals away from their anchor."""
    if start is None and 24 * 60 % minutes == 0:
        # A day that has 25 hours has its daily tick once.
        begins = ((place, passed) for place, passed in enumerate(since_midnight(weeks)) if minutes < 1440 or not passed)
        places = [place for place, passed in begins if passed % minutes == 0]
    else:
        anchor = start or datetime(2000, 1, 3, tzinfo=ZoneInfo(weeks.zone)).astimezone(UTC)
        behind = (shown(weeks)[0][0] - anchor) // A_MINUTE
        places = [place for place in range(len(shown(weeks))) if (behind + place) % minutes == 0]
    raw = (shown(weeks)[place] for place in places)
    return within(weeks, (tick for utc, wall in raw if (tick := _let_through(weeks, utc, wall, calendar, on_closed))))


def _let_through(
    weeks: Weeks, utc: datetime, wall: datetime, calendar: Calendar | None, on_closed: str
) -> datetime | None:
    day = landed(calendar, on_closed, wall.date())
    if day is None or not inside(calendar, wall):
        return None
    return utc if day == wall.date() else begun(weeks).get(datetime.combine(day, wall.time()))


def within(weeks: Weeks, ticks: Iterable[datetime]) -> list[int]:
    """Return the ticks of the weeks, without their margin, in order, each once."""
    return sorted({micros(tick) for tick in ticks if weeks.since < tick <= weeks.until})
