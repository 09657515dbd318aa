"""Recurrences in words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.recurrence import Calendar, Cron, Recurrence
from tests.recurrence.saying import said

BERLIN = {"timezone": "Europe/Berlin"}
BAVARIA = Calendar("DE", "BY", hours="09:00-17:30")


@pytest.mark.parametrize(
    "cron, words",
    [
        ("0 0 1-15 * *", "at 00:00 on every day of month from 1 through 15, Berlin time"),
        ("0 6 * * MON-FRI", "every weekday at 06:00 Berlin time"),
        ("0 6 * * *", "every day at 06:00 Berlin time"),
        ("@daily", "every day at 00:00 Berlin time"),
        ("@hourly", "every hour"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0,30 * * * *", "every 30 minutes"),
        ("30 * * * *", "every hour at minute 30"),
        ("0 */2 * * *", "every 2 hours, Berlin time"),
        ("*/15 9-17 * * MON-FRI", "every 15 minutes from 09:00 to 17:45 on weekdays, Berlin time"),
        ("0,30 9 * * *", "every day at 09:00 and 09:30 Berlin time"),
        ("0 9-17/2 * * *", "every 2 hours from 09:00 to 17:00 Berlin time"),
        ("0 9-17 * * 1-5", "every hour from 09:00 to 17:00 on weekdays, Berlin time"),
        ("*/5 * * * 6,7", "every 5 minutes on Saturdays and Sundays, Berlin time"),
        ("0 6,18 * * 0,6", "every Saturday and Sunday at 06:00 and 18:00 Berlin time"),
        ("0 0 1 * *", "on the 1st of the month at 00:00 Berlin time"),
        ("0 0 1,15 * *", "on the 1st and 15th of the month at 00:00 Berlin time"),
        ("0 0 L * *", "on the last day of the month at 00:00 Berlin time"),
        ("0 0 LW * *", "on the last weekday of the month at 00:00 Berlin time"),
        ("0 0 * * MON#2", "on the 2nd Monday of the month at 00:00 Berlin time"),
        ("0 0 * * 5L", "on the last Friday of the month at 00:00 Berlin time"),
        ("0 0 24 12 *", "on the 24th of December at 00:00 Berlin time"),
        ("0 0 1 1,7 *", "on the 1st of January and July at 00:00 Berlin time"),
        ("0 0 * 1 *", "every day in January at 00:00 Berlin time"),
        ("0 0 13 * FRI", "on the 13th of the month and every Friday at 00:00 Berlin time"),
        ("0 0 */2 * MON", "at 00:00 on every second day of month if it's on Monday, Berlin time"),
    ],
)
def test_cron_in_words(cron: str, words: str) -> None:
    """Common expressions read as people speak, the rest as cronsim explains them."""
    assert said(cron=cron, **BERLIN).in_words() == words


@pytest.mark.parametrize(
    "rule, words",
    [
        ({"every": "90s"}, "every 90 seconds"),
        ({"every": "1h"}, "every hour"),
        ({"every": "6h", **BERLIN}, "every 6 hours, Berlin time"),
        ({"every": "1d", **BERLIN}, "every day at 00:00 Berlin time"),
        ({"every": "7d", "start": datetime(2026, 12, 1, 6, tzinfo=UTC)}, "every 7 days, from 2026-12-01 06:00"),
        ({"every": "10m", "since": "finish"}, "10 minutes after the end of the last job"),
        ({"at": datetime(2026, 12, 24, 17, tzinfo=UTC), **BERLIN}, "at 2026-12-24 18:00 Berlin time"),
        (
            {"at": [datetime(2026, 12, day, tzinfo=UTC) for day in range(1, 9)]},
            "8 times from 2026-12-01 00:00 to 2026-12-08 00:00 UTC",
        ),
        ({"days": "every mon, wed and fri", "time": "6:00"}, "every Monday, Wednesday and Friday at 06:00 UTC"),
        ({"days": "every other tuesday", "time": "6:00"}, "every 2nd Tuesday at 06:00 UTC"),
        (
            {"days": "every 3rd business day", "time": "6:00"},
            "every 3rd business day of the month at 06:00 UTC",
        ),
        (
            {"days": "1st and 3rd monday of the month", "time": ["6:00", "18:00"]},
            "on the 1st and 3rd Monday of the month at 06:00 and 18:00 UTC",
        ),
        (
            {"days": "15th and last day of the month", "time": "6:00"},
            "on the 15th of the month and on the last day of the month at 06:00 UTC",
        ),
        (
            {"days": "2nd last day of the quarter, 25th of december", "time": "6:00"},
            "on the 2nd last day of the quarter and on the 25th of December at 06:00 UTC",
        ),
        (
            {"every": "15m", "calendar": BAVARIA, **BERLIN},
            "every 15 minutes, 09:00–17:30 Berlin time on business days in Germany (BY)",
        ),
        (
            {"cron": "*/5 * * * *", "calendar": Calendar("DE"), **BERLIN},
            "every 5 minutes, on business days in Germany, Berlin time",
        ),
        (
            {"cron": "0 * * * 1-5", "calendar": BAVARIA, "on_closed": "run", **BERLIN},
            "every hour on weekdays, Berlin time, within 09:00–17:30",
        ),
        (
            {
                "days": "last business day of the month",
                "time": "18:00",
                "calendar": Calendar("US", weekend=()),
                "on_closed": "previous",
                "timezone": "America/New_York",
            },
            (
                "on the last business day of the month at 18:00 New York time, "
                "holidays of the United States moved to the day before"
            ),
        ),
        (
            {"cron": "0 6 15 * *", "calendar": Calendar(("DE-BY", "FR")), "on_closed": "next"},
            (
                "on the 15th of the month at 06:00 UTC, "
                "weekends and holidays of Germany (BY) and France moved to the next business day"
            ),
        ),
        (
            {"cron": "0 6 * * *", "calendar": Calendar(weekend=(), closed=[date(2026, 12, 24)])},
            "every day at 06:00 UTC, but for days of its own list",
        ),
        (
            {"cron": "0 6 * * *", "end": datetime(2026, 12, 31, tzinfo=UTC), "timezone": "Etc/UTC"},
            "every day at 06:00 UTC, until 2026-12-31 00:00",
        ),
    ],
)
def test_rules_in_words(rule: dict[str, Any], words: str) -> None:
    """Rule, zone, calendar and bounds are said in one line."""
    assert said(**rule).in_words() == words


NUMBERS = st.lists(st.integers(0, 59), min_size=1, max_size=4).map(lambda some: ",".join(map(str, sorted(set(some)))))


@given(
    st.tuples(
        st.one_of(NUMBERS, st.sampled_from(["*", "*/7", "*/20", "1-5", "0-50/10"])),
        st.sampled_from(["*", "*/2", "*/5", "0", "3,4,5", "9-17", "22-23"]),
        st.sampled_from(["*", "*/3", "L", "LW,1", "1,2,3", "31", "1-7"]),
        st.sampled_from(["*", "*/4", "1", "JAN-MAR", "12,1"]),
        st.sampled_from(["*", "*/2", "MON", "0-7", "1#1,5L", "SUN,MON#2", "FRIL"]),
    )
)
def test_every_expression_has_words(fields: tuple[str, ...]) -> None:
    """Whatever can be declared can be said."""
    words = Recurrence(Cron(" ".join(fields))).in_words()
    assert words[0].islower()
    assert "  " not in words
