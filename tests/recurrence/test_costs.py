"""What recurrences cost: nothing at import, little for each tick."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, date, datetime
from itertools import product
from typing import ClassVar

import pytest

from lineshaft.recurrence import Calendar, Cron, Days, Every, Recurrence
from lineshaft.recurrence.days import FIRST_MONDAY, WordedDays, read_days
from tests.recurrence.saying import NOW
from tests.recurrence.vixie import micros

LAZY = "cronsim holidays icalendar dateutil zoneinfo tzdata"


@pytest.mark.parametrize(
    "program, loaded",
    [
        ("import lineshaft, lineshaft.recurrence; lineshaft.Lineshaft", ""),
        ("from lineshaft.recurrence import *; recurrence_of(every='90s', now=0).after(0)", "zoneinfo"),
        (
            "from lineshaft.recurrence import *; recurrence_of(days='every day', time='6:00', now=0).after(0)",
            "zoneinfo",
        ),
        ("from lineshaft.recurrence import *; recurrence_of(cron='@daily', now=0).after(0)", "cronsim zoneinfo"),
    ],
)
def test_packages_are_imported_when_they_are_needed(program: str, loaded: str) -> None:
    """Importing lineshaft loads none of the packages of rules, and a rule only those that it needs itself."""
    program += f"\nimport sys; print(*[name for name in {LAZY.split()!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.split() == loaded.split()


def test_ten_thousand_rules() -> None:
    """The next ticks of 10,000 different rules take 0.2 s of CPU where it was measured; ten times that anywhere."""
    fields = product(
        ("0", "30", "*/5", "7,37"), range(20), ("*", "1", "L", "1,15"), ("*", "6"), ("*", "MON-FRI", "1#1")
    )
    texts = [f"{minute} {hour} {day} {month} {weekday}" for minute, hour, day, month, weekday in fields]
    zones = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "Africa/Casablanca")
    rules = [Recurrence(Cron(text), zone) for text in texts for zone in zones][:10_000]
    assert len(rules) == 10_000
    began = time.process_time()
    assert all(rule.after(NOW) for rule in rules)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "recurrence, expected",
    [
        (Recurrence(Cron("0 0 29 2 */7"), "Australia/Lord_Howe"), "2032-02-28T13:00"),
        (Recurrence(Cron("* * 29 2 */7"), "Australia/Lord_Howe"), "2032-02-28T13:00"),
        (Recurrence(Cron("0 12 25 12 *"), calendar=Calendar("GB", open=[date(2035, 12, 25)])), "2035-12-25T12:00"),
        (Recurrence(Days("29th of february", ("06:00",)), calendar=Calendar("DE")), "2028-02-29T06:00"),
        (Recurrence(Days("first business day of the year", ("06:00",)), calendar=Calendar("DE")), "2027-01-04T06:00"),
        (Recurrence(Every(7 * 86_400_000_000), calendar=Calendar("DE"), on_closed="next"), "2026-11-30T00:00"),
        (Recurrence(Every(1_000_000), calendar=Calendar("DE", hours="09:00-09:01")), "2026-11-24T09:00"),
    ],
)
def test_rare_ticks_are_found_quickly(recurrence: Recurrence, expected: str) -> None:
    """A tick within ten years is found in 5 ms of CPU on the machine of the docs; ten times that anywhere."""
    tick = micros(datetime.fromisoformat(expected).replace(tzinfo=UTC))
    assert recurrence.after(NOW) == tick
    began = time.process_time()
    assert recurrence.after(NOW) == tick
    assert time.process_time() - began < 0.05


def test_days_of_a_period_are_looked_for_once() -> None:
    """Which day is the last business day of a year is found once for its twelve months: each looks at no day more."""
    calendar = Looked("DE")
    days = WordedDays(read_days("last business day of the year"), calendar, FIRST_MONDAY)
    assert [days.days_of(2026, month) for month in range(1, 13)] == [()] * 11 + [(31,)]
    assert calendar.looked_at == [date(2026, 12, 31)]
    assert days.days_of(2027, 12) == (31,)


class Looked(Calendar, frozen=True):
    """A calendar that notes which days it was asked for."""

    looked_at: ClassVar[list[date]] = []

    def is_open(self, day: date) -> bool:
        """Tell whether a day is worked."""
        self.looked_at.append(day)
        return super().is_open(day)
