"""Calendars: which days and hours are worked, and what becomes of ticks on the others."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from lineshaft.errors import ScheduleError
from lineshaft.recurrence import Calendar
from tests.recurrence.saying import said, shown
from tests.recurrence.vixie import micros

BAVARIA = Calendar("DE", "BY")
ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Closed days//EN
{events}
END:VCALENDAR
"""
EVENT = "BEGIN:VEVENT\nUID:{uid}\nSUMMARY:{uid}\n{lines}\nEND:VEVENT"


@pytest.mark.parametrize(
    "calendar, day, is_open",
    [
        (Calendar(), "2026-12-24", True),
        (Calendar(), "2026-12-26", False),  # a Saturday
        (Calendar(weekend=("fri", "Saturday")), "2026-12-27", True),
        (Calendar(weekend=()), "2026-12-26", True),
        (Calendar("DE"), "2026-12-25", False),
        (Calendar("DE"), "2027-01-06", True),
        (BAVARIA, "2027-01-06", False),  # Epiphany
        (Calendar("de-by"), "2027-01-06", False),
        (Calendar("US"), "2027-12-31", False),  # New Year's Day of 2028, observed
        (Calendar(("US", "DE-BY")), "2027-01-06", False),
        (Calendar(("US", "DE-BY")), "2026-11-26", False),  # Thanksgiving
        (Calendar(closed=[date(2026, 12, 24)]), "2026-12-24", False),
        (Calendar("DE", open=[date(2026, 12, 26)]), "2026-12-26", True),
        (Calendar(closed=["2026-12-24"]), "2026-12-24", False),  # type: ignore[list-item]
    ],
)
def test_working_days(calendar: Calendar, day: str, *, is_open: bool) -> None:
    """A day is worked unless the weekend, a holiday or the own list has it; an own open day beats them all."""
    assert calendar.is_open(date.fromisoformat(day)) is is_open


@pytest.mark.parametrize(
    "on_closed, ticks",
    [
        ("skip", ["12-24", "12-28", "12-29"]),
        ("next", ["12-24", "12-28", "12-29"]),
        ("previous", ["12-24", "12-28", "12-29"]),
        ("run", ["12-24", "12-25", "12-26"]),
    ],
)
def test_daily_ticks_on_closed_days(on_closed: Any, ticks: list[str]) -> None:
    """Ticks that are moved to a day that has one already are one."""
    recurrence = said(cron="0 6 * * *", calendar=BAVARIA, on_closed=on_closed)
    assert shown(recurrence, 3, "2026-12-23T12:00", "%m-%d") == ticks


@pytest.mark.parametrize(
    "on_closed, ticks",
    [
        ("skip", ["2026-12-15", "2027-01-15", "2027-02-15"]),
        ("next", ["2026-11-16", "2026-12-15", "2027-01-15"]),
        ("previous", ["2026-11-13", "2026-12-15", "2027-01-15"]),
        ("run", ["2026-11-15", "2026-12-15", "2027-01-15"]),
    ],
)
@pytest.mark.parametrize("rule", [{"cron": "0 18 15 * *"}, {"days": "15th of the month", "time": "18:00"}])
def test_monthly_ticks_on_closed_days(rule: dict[str, str], on_closed: Any, ticks: list[str]) -> None:
    """A tick on a closed day is left out, or comes at the same time on the next or previous working day."""
    recurrence = said(**rule, calendar=BAVARIA, on_closed=on_closed)
    assert shown(recurrence, 3, "2026-11-10T00:00", "%Y-%m-%d") == ticks


def test_business_days_follow_the_calendar() -> None:
    """The last business day of the month is the last day that the calendar calls worked."""
    recurrence = said(
        days="last business day of the month", time="18:00", calendar=Calendar(closed=[date(2026, 11, 30)])
    )
    assert shown(recurrence, 2, form="%m-%d") == ["11-27", "12-31"]


@pytest.mark.parametrize(
    "hours, ticks",
    [
        ("09:00-17:30", ["17:00", "17:30", "09:00", "09:30"]),
        ("09:00–17:29", ["17:00", "09:00", "09:30", "10:00"]),
        ("22:00-23:00", ["22:00", "22:30", "23:00", "22:00"]),
        ("22:00-00:30", ["22:00", "22:30", "23:00", "23:30", "00:00", "00:30", "22:00"]),
        ("23:00-24:00", ["23:00", "23:30", "23:00"]),
    ],
)
@pytest.mark.parametrize("rule", [{"cron": "*/30 * * * *"}, {"every": "30m"}])
def test_hours(rule: dict[str, str], hours: str, ticks: list[str]) -> None:
    """Hours keep ticks outside of them away, both ends included, over midnight too."""
    recurrence = said(**rule, calendar=Calendar(hours=hours))
    assert shown(recurrence, len(ticks), "2026-11-23T16:45", "%H:%M") == ticks


def test_since_the_finish_waits_for_the_calendar() -> None:
    """What would come outside of the hours comes when they begin on the next working day."""
    recurrence = said(every="10m", since="finish", calendar=Calendar(hours="09:00-17:30"))
    friday, monday = datetime(2026, 11, 27, 17, 25, tzinfo=UTC), datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
    assert recurrence.after(micros(friday)) == micros(monday)


def test_moved_times_of_a_list() -> None:
    """Times given one by one are moved like all others."""
    recurrence = said(at=datetime(2026, 12, 26, 6, tzinfo=UTC), calendar=BAVARIA, on_closed="next")
    assert shown(recurrence, 2) == ["2026-12-28 06:00"]


@pytest.mark.parametrize(
    "lines, days",
    [
        ("DTSTART;VALUE=DATE:20261224", ["2026-12-24"]),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", ["2026-12-24", "2026-12-25", "2026-12-26"]),
        ("DTSTART:20261224T080000\nDTEND:20261224T120000", ["2026-12-24"]),
        ("DTSTART:20261224T220000\nDURATION:PT4H", ["2026-12-24", "2026-12-25"]),
        ("DTSTART:20261224T220000\nDTEND:20261225T000000", ["2026-12-24"]),
        ("DTSTART;TZID=America/New_York:20261224T220000\nDURATION:PT1H", ["2026-12-24"]),
        ("DTSTART;VALUE=DATE:20260102\nRRULE:FREQ=MONTHLY;COUNT=3", ["2026-01-02", "2026-02-02", "2026-03-02"]),
        (
            "DTSTART;VALUE=DATE:20260102\nRRULE:FREQ=MONTHLY;COUNT=3\nEXDATE;VALUE=DATE:20260202",
            ["2026-01-02", "2026-03-02"],
        ),
        ("DTSTART;VALUE=DATE:20260102\nRRULE:FREQ=MONTHLY;UNTIL=20260202", ["2026-01-02", "2026-02-02"]),
        (
            "DTSTART;TZID=Europe/Berlin:20260102T080000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;UNTIL=20260109T070000Z",
            ["2026-01-02", "2026-01-09"],
        ),
        ("DTSTART;VALUE=DATE:20260102\nRDATE;VALUE=DATE:20260704", ["2026-01-02", "2026-07-04"]),
    ],
)
def test_events_of_a_file_are_closed_days(tmp_path: Path, lines: str, days: list[str]) -> None:
    """Each day that an event touches is closed, its repetitions too."""
    calendar = Calendar.from_ics(written(tmp_path, lines), weekend=(), years=1)
    assert [day.isoformat() for day in calendar.closed] == days


def test_a_repetition_without_end_ends_some_years_ahead(tmp_path: Path) -> None:
    """A yearly event is closed each year from last year on, up to the number of years ahead that was asked for."""
    path = written(tmp_path, "DTSTART;VALUE=DATE:20001224\nRRULE:FREQ=YEARLY")
    years = [day.year for day in Calendar.from_ics(path, years=3).closed]
    assert years[0] == 2000
    assert len(years) == 1 + 5
    assert years[-1] - years[1] == 4


def test_a_moved_repetition_closes_its_new_day_only(tmp_path: Path) -> None:
    """An event that replaces one repetition of another takes its place."""
    moved = "RECURRENCE-ID;VALUE=DATE:20260202\nDTSTART;VALUE=DATE:20260205"
    path = tmp_path / "closed.ics"
    events = [
        EVENT.format(uid="a", lines="DTSTART;VALUE=DATE:20260102\nRRULE:FREQ=MONTHLY;COUNT=2"),
        EVENT.format(uid="a", lines=moved),
    ]
    path.write_text(ICS.format(events="\n".join(events)).replace("\n", "\r\n"))
    assert [day.isoformat() for day in Calendar.from_ics(path).closed] == ["2026-01-02", "2026-02-05"]


def test_a_cancelled_event_closes_nothing(tmp_path: Path) -> None:
    """A file of cancelled events has no closed day."""
    assert Calendar.from_ics(written(tmp_path, "DTSTART;VALUE=DATE:20260102\nSTATUS:CANCELLED")).closed == ()


def test_a_cancelled_repetition_closes_nothing(tmp_path: Path) -> None:
    """A repetition that is called off is worked; the others are not."""
    path = tmp_path / "closed.ics"
    events = [
        EVENT.format(uid="a", lines="DTSTART;VALUE=DATE:20260102\nRRULE:FREQ=MONTHLY;COUNT=3"),
        EVENT.format(uid="a", lines="RECURRENCE-ID;VALUE=DATE:20260202\nDTSTART;VALUE=DATE:20260202\nSTATUS:CANCELLED"),
    ]
    path.write_text(ICS.format(events="\n".join(events)).replace("\n", "\r\n"))
    assert [day.isoformat() for day in Calendar.from_ics(path).closed] == ["2026-01-02", "2026-03-02"]


@pytest.mark.parametrize("years", [-1, 9_000, "5"])
def test_years_ahead_are_checked(tmp_path: Path, years: Any) -> None:
    """How far repetitions are followed is a number of years within reach."""
    path = written(tmp_path, "DTSTART;VALUE=DATE:20260102")
    with pytest.raises(ScheduleError, match="must be a whole number from 0 to 100"):
        Calendar.from_ics(path, years=years)


def test_a_weekend_may_be_one_text() -> None:
    """Days with commas between them are a list, and no countries are none."""
    assert Calendar(weekend="fri, sat") == Calendar(weekend=("Friday", "sat"))
    assert Calendar(()) == Calendar()
    assert said(cron="@daily", calendar=Calendar([])).in_words() == "every day at 00:00 UTC, only on business days"


def test_times_in_utc_are_read_in_a_zone(tmp_path: Path) -> None:
    """`timezone` says on whose clocks the times of a file are read."""
    path = written(tmp_path, "DTSTART:20261224T230000Z\nDURATION:PT1H")
    assert Calendar.from_ics(path).closed == (date(2026, 12, 24),)
    assert Calendar.from_ics(path, timezone="Europe/Berlin").closed == (date(2026, 12, 25),)


def test_a_file_adds_to_the_other_closed_days(tmp_path: Path) -> None:
    """The other arguments of a calendar go together with a file."""
    path = written(tmp_path, "DTSTART;VALUE=DATE:20261224")
    calendar = Calendar.from_ics(path, country="DE", closed=[date(2026, 12, 31)], hours="09:00-17:00")
    assert calendar == Calendar("DE", closed=[date(2026, 12, 24), date(2026, 12, 31)], hours="09:00-17:00")


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot be read: No such file"),
        ("hello", "is no iCalendar file"),
        (ICS.format(events=""), "holds no event"),
        (ICS.format(events=EVENT.format(uid="Party", lines="DURATION:PT1H")), "event 'Party' of .* No DTSTART"),
        (ICS.format(events=EVENT.format(uid="Party", lines="DTSTART:20260101\nRRULE:FREQ=HOURLY")), "HOURLY"),
        (ICS.format(events=EVENT.format(uid="P", lines="DTSTART:20260101\nRRULE:FREQ=DAILY;INTERVAL=0")), "INTERVAL"),
        (ICS.format(events=EVENT.format(uid="P", lines="DTSTART:20260101\nRRULE:FREQ=OFTEN")), "RRULE. is no rule"),
        (ICS.format(events=EVENT.format(uid="P", lines="DTSTART:20260101\nRRULE:COUNT=3")), "RRULE. is no rule"),
        (ICS.format(events=EVENT.format(uid="P", lines="DTSTART:20000101\nDTEND:20260101")), "lasts 9,497 days"),
    ],
)  # fmt: skip
def test_unreadable_files_are_refused(tmp_path: Path, content: str | None, words: str) -> None:
    """A file that cannot be understood is refused with its name and the reason."""
    path = tmp_path / "closed.ics"
    if content is not None:
        path.write_text(content.replace("\n", "\r\n"))
    with pytest.raises(ScheduleError, match=words) as refused:
        Calendar.from_ics(path)
    assert "\n" not in str(refused.value)


def written(folder: Path, lines: str) -> Path:
    """Write a file with one event, and return its path."""
    path = folder / "closed.ics"
    path.write_text(ICS.format(events=EVENT.format(uid="one", lines=lines)).replace("\n", "\r\n"))
    return path
