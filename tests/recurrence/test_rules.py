"""What each form of rule means; docs/schedule-rules.md shows the same forms."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from lineshaft.errors import ScheduleError
from lineshaft.recurrence import Cron, Recurrence
from lineshaft.recurrence.cron import NICKNAMES
from tests.recurrence.saying import NOW, said, shown


@pytest.mark.parametrize(
    "cron, ticks",
    [
        ("30 6 * * *", ["11-24 06:30", "11-25 06:30", "11-26 06:30"]),
        ("0 6 * * MON-FRI", ["11-24 06:00", "11-25 06:00", "11-26 06:00"]),
        ("0 6 * * 1-5/2", ["11-25 06:00", "11-27 06:00", "11-30 06:00"]),
        ("0 9-17/4 * * *", ["11-23 13:00", "11-23 17:00", "11-24 09:00"]),
        ("5/20 13 * * *", ["11-23 13:05", "11-23 13:25", "11-23 13:45"]),
        ("0 0 1 jan,JUL *", ["01-01 00:00", "07-01 00:00", "01-01 00:00"]),
        ("0 0 L * *", ["11-30 00:00", "12-31 00:00", "01-31 00:00"]),
        ("0 0 LW * *", ["11-30 00:00", "12-31 00:00", "01-29 00:00"]),
        ("0 0 * * MON#2", ["12-14 00:00", "01-11 00:00", "02-08 00:00"]),
        ("0 0 * * 5L", ["11-27 00:00", "12-25 00:00", "01-29 00:00"]),
        ("0 0 * * FRIL", ["11-27 00:00", "12-25 00:00", "01-29 00:00"]),
        ("0 0 * * 0", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("0 0 * * 7", ["11-29 00:00", "12-06 00:00", "12-13 00:00"]),
        ("0 0 13 * FRI", ["11-27 00:00", "12-04 00:00", "12-11 00:00"]),
        ("0 0 */2 * MON", ["12-07 00:00", "12-21 00:00", "01-11 00:00"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
    ],
)
def test_cron_fields(cron: str, ticks: list[str]) -> None:
    """Names, ranges, steps, lists, L, LW and # mean what crontab(5) and cronsim say."""
    assert shown(said(cron=cron), 3, form="%m-%d %H:%M") == ticks


@pytest.mark.parametrize("nickname, fields", NICKNAMES.items())
def test_cron_nicknames(nickname: str, fields: str) -> None:
    """Each nickname is five fields, whatever its case."""
    assert shown(said(cron=nickname.upper()), 5) == shown(said(cron=fields), 5)


@pytest.mark.parametrize(
    "days, ticks",
    [
        ("every day", ["11-24", "11-25", "11-26"]),
        ("daily", ["11-24", "11-25", "11-26"]),
        ("every weekday", ["11-24", "11-25", "11-26"]),
        ("every business day", ["11-24", "11-25", "11-26"]),
        ("every monday and friday", ["11-27", "11-30", "12-04"]),
        ("Every Mon, Wed, and Fri", ["11-25", "11-27", "11-30"]),
        ("every 2nd tuesday", ["12-01", "12-15", "12-29"]),
        ("every other tuesday", ["12-01", "12-15", "12-29"]),
        ("every 3rd day", ["11-24", "11-27", "11-30"]),
        ("every 3rd business day of the month", ["11-25", "11-30", "12-03"]),
        ("15th of the month", ["12-15", "01-15", "02-15"]),
        ("on the 1st and 15th of each month", ["12-01", "12-15", "01-01"]),
        ("31st of the month", ["12-31", "01-31", "03-31"]),
        ("last day of the month", ["11-30", "12-31", "01-31"]),
        ("2nd last day of the quarter", ["12-30", "03-30", "06-29"]),
        ("second-to-last day of the quarter", ["12-30", "03-30", "06-29"]),
        ("last day of the year", ["12-31", "12-31", "12-31"]),
        ("2nd tuesday of the month", ["12-08", "01-12", "02-09"]),
        ("every 2nd tuesday of the month", ["12-08", "01-12", "02-09"]),
        ("every last friday of the month", ["11-27", "12-25", "01-29"]),
        ("1st and 3rd monday of the month", ["12-07", "12-21", "01-04"]),
        ("1st monday and last friday of the month", ["11-27", "12-07", "12-25"]),
        ("last friday of the month", ["11-27", "12-25", "01-29"]),
        ("last weekday of the quarter", ["12-31", "03-31", "06-30"]),
        ("first business day of the year", ["01-01", "01-03", "01-01"]),
        ("last working day of the month", ["11-30", "12-31", "01-29"]),
        ("1st monday of september", ["09-06", "09-04", "09-03"]),
        ("24th of december and last day of february", ["12-24", "02-28", "12-24"]),
        ("every sunday, 2nd day of the month", ["11-29", "12-02", "12-06"]),
    ],
)
def test_days_in_words(days: str, ticks: list[str]) -> None:
    """Each form names the days that its words say."""
    assert shown(said(days=days, time="06:00"), 3, form="%m-%d") == ticks


def test_weeks_are_counted_from_the_start() -> None:
    """Every 2nd Tuesday counts from the week of the start; without one, from the week of 3 January 2000."""
    start = datetime(2026, 11, 26, tzinfo=UTC)
    recurrence = said(days="every 2nd tuesday", time="06:00", start=start)
    assert shown(recurrence, 2) == ["2026-12-08 06:00", "2026-12-22 06:00"]


@pytest.mark.parametrize("times", [["18:00", "6:00"], [time(18), time(6)], ("06:00", "18:00", "6:00")])
def test_several_times_a_day(times: Any) -> None:
    """Times may be texts or `datetime.time`, in any order."""
    assert shown(said(days="every day", time=times), 2) == ["2026-11-23 18:00", "2026-11-24 06:00"]


@pytest.mark.parametrize(
    "every, zone, after, ticks",
    [
        ("90s", "UTC", "2026-11-23T23:58", ["23:58:30", "00:00:00", "00:01:30"]),
        ("15m", "Asia/Kathmandu", "2026-11-23T12:00", ["18:00:00", "18:15:00", "18:30:00"]),
        ("1h", "Asia/Kathmandu", "2026-11-23T12:00", ["18:00:00", "19:00:00", "20:00:00"]),
        ("6h", "Europe/Berlin", "2026-07-01T00:00", ["06:00:00", "12:00:00", "18:00:00"]),
        ("6h", "Europe/Berlin", "2026-03-28T22:00", ["00:00:00", "07:00:00", "13:00:00", "19:00:00", "00:00:00"]),
        ("6h", "Europe/Berlin", "2026-10-24T23:00", ["05:00:00", "11:00:00", "17:00:00", "23:00:00", "00:00:00"]),
        ("30m", "Europe/Berlin", "2026-10-25T00:00", ["02:30:00", "02:00:00", "02:30:00", "03:00:00"]),
        ("1d", "America/Havana", "2026-03-07T06:00", ["01:00:00", "00:00:00"]),
        ("1d", "Europe/Berlin", "2026-10-24T12:00", ["00:00:00", "00:00:00", "00:00:00"]),
        ("24h", "Australia/Lord_Howe", "2026-04-04T00:00", ["00:00:00", "00:00:00"]),
        ("40m", "America/St_Johns", "2010-11-07T02:00", ["00:00:00", "23:40:00", "00:20:00", "01:00:00"]),
        ("7m", "UTC", "2000-01-03T23:50", ["23:55:00", "00:02:00", "00:09:00"]),
    ],
)  # fmt: skip
def test_intervals_without_a_start(every: str, zone: str, after: str, ticks: list[str]) -> None:
    """What divides a day is counted from each local midnight, in real time; the rest from 3 January 2000."""
    recurrence = said(every=every, timezone=zone)
    assert shown(recurrence, len(ticks), after, "%H:%M:%S") == ticks


def test_intervals_from_a_start() -> None:
    """With a start every tick is whole intervals away from it, in real time; a clock change shifts what clocks show."""
    start = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
    recurrence = said(every="1d", timezone="Europe/Berlin", start=start)
    assert shown(recurrence, 1) == ["2026-11-24 06:00"]
    assert shown(recurrence, 1, "2027-06-01T00:00") == ["2027-06-01 07:00"]


def test_since_the_finish() -> None:
    """The first tick is at once or at the start, the next an interval after a job's end; none can be listed ahead."""
    recurrence = said(every="90s", since="finish")
    assert recurrence.is_after_finish
    assert recurrence.first(NOW) == NOW
    assert recurrence.after(NOW + 5) == NOW + 5 + 90_000_000
    assert recurrence.between(NOW, 2**60, 10) == []
    later = said(every="90s", since="finish", start=datetime(2026, 12, 1, tzinfo=UTC))
    assert later.first(NOW) == later.after(NOW) == later.start


def test_since_the_finish_up_to_the_end() -> None:
    """What would be over the end is no tick any more."""
    recurrence = said(every="1d", since="finish", end=datetime(2026, 11, 24, 12, 0, tzinfo=UTC))
    assert recurrence.after(NOW) == recurrence.end
    assert recurrence.after(NOW + 1) is None


def test_once() -> None:
    """Given times are ticks in order, each once, and then there is none any more."""
    first, second = datetime(2026, 12, 1, 6, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert shown(said(at=[second, first, second]), 9) == ["2026-12-01 06:00", "2027-01-01 00:00"]
    assert shown(said(at=first), 9) == ["2026-12-01 06:00"]


def test_a_cron_rule_from_elsewhere_is_read_when_asked() -> None:
    """A recurrence that was stored by another version is refused at the first question, not when it is made."""
    recurrence = Recurrence(Cron("0 0 * * * *"))
    with pytest.raises(ScheduleError, match="six fields"):
        recurrence.after(NOW)
