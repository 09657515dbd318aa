"""What cannot work is refused when it is declared, in one line with the place and the reason."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lineshaft.errors import ConfigError, ScheduleError
from lineshaft.recurrence import Calendar
from tests.recurrence.saying import said

PAST, SOON = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
CHRISTMAS = [date(year, 12, 25) for year in range(2026, 2047)]


@pytest.mark.parametrize(
    "rule, words",
    [
        ({}, "a schedule got no rule; give exactly one of cron=, every=, at=, days="),
        ({"cron": "@daily", "every": "1h"}, "a schedule got cron= and every=; give exactly one of"),
        ({"cron": "61 * * * *"}, "cron='61 * * * *': the minute '61' is wrong; it takes 0-59, ranges"),
        ({"cron": "0 9-7 * * *"}, "the hour '9-7' is wrong; it takes 0-23"),
        ({"cron": "0 0 1,32 * *"}, "the day of month '32' of '1,32' is wrong; it takes 1-31"),
        ({"cron": "0 0 L/2-3 * *"}, "the day of month 'L/2-3' is wrong"),
        ({"cron": "0 0 * FOO *"}, "the month 'FOO' is wrong; it takes 1-12 or JAN-DEC"),
        ({"cron": "0 0 * * MON,FOO"}, "the day of week 'FOO' of 'MON,FOO' is wrong; it takes 0-7 or SUN-SAT"),
        ({"cron": "0 0 * * MON#6"}, "the day of week 'MON#6' is wrong"),
        ({"cron": "*/0 * * * *"}, "the minute '*/0' is wrong"),
        ({"cron": "0 0 * * * *"}, "has six fields; a cron rule has no seconds: … or every='30s'"),
        ({"cron": "0 0"}, "has 2 fields; give five: minute, hour, day of month, month, day of week"),
        ({"cron": ""}, "has 0 fields"),
        ({"cron": 5}, "cron=5 must be a text such as '30 6 * * MON-FRI'"),
        ({"cron": ["0 6 * * *"]}, "cron=['0 6 * * *'] must be a text"),
        ({"cron": "0 " * 5_000}, "'… has 10000 characters; give at most 500"),
        ({"days": ["every day"], "time": "6:00"}, "days=['every day'] must be a text such as 'every weekday'"),
        ({"days": "every first monday", "time": "6:00"}, "days='every first monday' cannot be read"),
        ({"cron": "@reboot"}, "cron='@reboot' names no time: workers start and stop"),
        ({"cron": "@often"}, "cron='@often' is no name that is known; give one of @yearly"),
        ({"cron": "0 0 30 2 *"}, "cron='0 0 30 2 *' never fires: there is no such day"),
        ({"cron": "0 0 31 4,6,9,11 *"}, "never fires: there is no such day"),
        ({"cron": "0 0 25 12 *", "calendar": Calendar("DE")}, "never fires: the calendar closes"),
        ({"cron": "0 6 * * *", "calendar": Calendar(hours="09:00-17:00")}, "never fires: the calendar closes"),
        ({"cron": "0 6 * * SUN", "calendar": Calendar(), "on_closed": "skip"}, "never fires: the calendar closes"),
        ({"cron": "0 6 * * *", "calendar": Calendar(weekend=("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
          "on_closed": "next"}, "never fires: the calendar closes"),
        ({"every": "1d", "calendar": Calendar(hours="09:00-17:00")}, "every='1d' never fires: the calendar closes"),
        ({"every": "7d", "start": SOON - timedelta(days=3), "calendar": Calendar()}, "'7d' has no tick from start="),
        ({"days": "32nd of the month", "time": "6:00"}, "days='32nd of the month' never fires: there is no such day"),
        ({"days": "25th of december", "time": "6:00", "calendar": Calendar(closed=CHRISTMAS)}, "the calendar closes"),
        ({"every": "often"}, "every='often' is not a duration"),
        ({"every": "100ms"}, "every='100ms' is too often; the shortest interval is 1s"),
        ({"every": "1h", "since": "start"}, "since='start' must be 'clock' or 'finish'"),
        ({"cron": "@daily", "since": "finish"}, "since='finish' belongs to every=; cron= goes by the clock"),
        ({"cron": "@daily", "time": "18:00"}, "time='18:00' belongs to days=; cron= says the time itself"),
        ({"days": "every day"}, "days='every day' needs a time of day; add time='18:00'"),
        ({"days": "every day", "time": "25:00"}, "time='25:00' is no time of day in whole minutes"),
        ({"days": "every day", "time": []}, "time=[] names no time of day"),
        ({"days": "every blue monday", "time": "6:00"}, "'every blue monday' cannot be read; it takes 'every day'"),
        ({"days": "every monday and moonday", "time": "6:00"}, "cannot be read: 'moonday'; it takes"),
        ({"days": "1st and last", "time": "6:00"}, "says of what only in part; end it with 'of the month'"),
        ({"days": "every 2nd weekday", "time": "6:00"}, "days='every 2nd weekday' cannot be read"),
        ({"days": "0th of the month", "time": "6:00"}, "cannot be read"),
        ({"days": "", "time": "6:00"}, "days='' cannot be read"),
        ({"at": []}, "at=[] names no time"),
        ({"at": "2026-12-24"}, "at='2026-12-24' is not a datetime"),
        ({"at": datetime(2026, 12, 24)}, "at=2026-12-24T00:00:00 carries no time zone"),  # noqa: DTZ001 - that is it
        ({"at": PAST}, "at=2026-01-01T00:00:00+00:00 never fires: all its times are over"),
        ({"cron": "@daily", "timezone": "Europe/Berln"}, "'Europe/Berln' is no … did you mean 'Europe/Berlin'?"),
        ({"cron": "@daily", "timezone": "../etc/passwd"}, "timezone='../etc/passwd' is no time zone"),
        ({"cron": "@daily", "timezone": "utc"}, "did you mean 'UTC'?"),
        ({"cron": "@daily", "timezone": "EUROPE/BERLIN"}, "did you mean 'Europe/Berlin'?"),
        ({"cron": "@daily", "timezone": "PST"}, "timezone='PST' is no … give an IANA name"),
        ({"cron": "@daily", "timezone": "UTC+2"}, "timezone='UTC+2' is no … give an IANA name"),
        ({"cron": "@daily", "timezone": "right/Europe/Berlin"}, "did you mean 'Europe/Berlin'?"),
        ({"cron": "@daily", "timezone": "localtime"}, "timezone='localtime' is no time zone"),
        ({"cron": "@daily", "timezone": None}, "timezone=None is no time zone"),
        ({"cron": "@daily", "calendar": Calendar("XX")}, "country='XX' is not known; give a code of ISO"),
        ({"cron": "@daily", "calendar": Calendar("Germany")}, "country='Germany' is not known; give its code 'DE'"),
        ({"cron": "@daily", "calendar": Calendar("DE-BY", "BE")}, "country='DE-BY' and subdivision='BE' differ"),
        ({"cron": "@daily", "calendar": Calendar("DE", "XX")}, "subdivision='XX' of DE is not known; it takes BB, BE"),
        ({"cron": "@daily", "calendar": Calendar(subdivision="BY")}, "subdivision='BY' needs a country="),
        ({"cron": "@daily", "calendar": Calendar(("DE", "FR"), "BY")}, "in a list write 'DE-BY'"),
        ({"cron": "@daily", "calendar": "DE"}, "calendar='DE' must be a Calendar"),
        ({"cron": "@daily", "on_closed": "next"}, "on_closed='next' needs a calendar="),
        ({"cron": "@daily", "calendar": Calendar(), "on_closed": "later"}, "on_closed='later' must be one of 'run'"),
        ({"every": "1h", "calendar": Calendar(), "on_closed": "next"}, "every= ticks several times a day; give 'skip'"),
        ({"every": "2d", "since": "finish", "calendar": Calendar(), "on_closed": "next"}, "ticks since the finish"),
        ({"cron": "@daily", "start": SOON, "end": PAST}, "end=2026-01-01T00:00:00+00:00 is before start=2026-11-24"),
        ({"cron": "0 6 1 * *", "end": SOON}, "has no tick from now on up to end=2026-11-24T00:00:00+00:00"),
        ({"cron": "0 6 * * *", "start": SOON, "end": SOON}, "has no tick from start=2026-11-24… up to end=2026-11-24"),
        ({"cron": "@daily", "start": SOON.replace(year=9999)}, "start=9999-11-24T00:00:00+00:00 is out of range"),
        ({"cron": "@daily", "start": "tomorrow"}, "start='tomorrow' is not a datetime"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused(rule: dict[str, Any], words: str) -> None:
    """The error names the argument, what in it is wrong, and what to do instead, in one line."""
    with pytest.raises(ScheduleError, match=".*".join(map(re.escape, words.split("…")))) as refused:
        said(**rule)
    assert "\n" not in str(refused.value)
    assert isinstance(refused.value, ConfigError)


@pytest.mark.parametrize(
    "calendar, words",
    [
        ({"weekend": ("sat", "holiday")}, "weekend='holiday' is no day of the week"),
        ({"weekend": ("fridge",)}, "weekend='fridge' is no day of the week"),
        ({"weekend": None}, "weekend=None must be a list"),
        ({"country": 5}, "country=5 must be a list"),
        ({"closed": date(2026, 1, 2)}, "closed=.*must be a list"),
        ({"hours": "9 to 5"}, "hours='9 to 5' is no span of a day; give it as '09:00-17:30'"),
        ({"hours": "09:00-09:00"}, "begin where they end"),
        ({"hours": 9}, "hours=9 is no span of a day"),
        ({"closed": ["christmas"]}, "'christmas' of closed= is no day"),
        ({"closed": "2026-12-24"}, "closed='2026-12-24' must be a list of days"),
        ({"closed": [date(2026, 1, 2)], "open": [date(2026, 1, 2)]}, "2026-01-02 stands in closed= and in open="),
    ],
)
def test_wrong_calendars_are_refused(calendar: dict[str, Any], words: str) -> None:
    """A calendar whose values cannot be read is refused when it is made."""
    with pytest.raises(ScheduleError, match=words):
        Calendar(**calendar)


@pytest.mark.parametrize(
    "rule",
    [
        {"cron": "0 0 30 2 *"},
        {"cron": "0 0 25 12 *", "calendar": Calendar("MY")},
        {"cron": "0 6 * * *", "calendar": Calendar(weekend=("mon", "tue", "wed", "thu", "fri", "sat", "sun"))},
        {"days": "32nd of the month", "time": "6:00"},
        {"days": "90th business day of the quarter", "time": "6:00", "calendar": Calendar("DE")},
        {"every": "1d", "calendar": Calendar(hours="09:00-17:00")},
        {"every": "7d", "start": SOON - timedelta(days=3), "calendar": Calendar()},
    ],
)
def test_a_rule_that_never_fires_is_found_quickly(rule: dict[str, Any]) -> None:
    """Looking for the tick that never comes ends after a bounded search: 50 ms here, five times that anywhere."""
    assert min(_seconds_to_refuse(rule) for _ in range(3)) < 0.25


def _seconds_to_refuse(rule: dict[str, Any]) -> float:
    began = time.process_time()
    with pytest.raises(ScheduleError, match=r"never fires|has no tick"):
        said(**rule)
    return time.process_time() - began


@pytest.mark.parametrize("start", [PAST, SOON])
def test_the_bounds_may_be_one_tick(start: datetime) -> None:
    """A rule with a single tick between its bounds is fine."""
    assert said(cron="0 0 24 11 *", start=start, end=SOON).first(0) is not None
