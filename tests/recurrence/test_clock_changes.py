"""Cron rules and days in words across fifty years of clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim

from lineshaft.recurrence import Cron, Days, Recurrence
from tests.recurrence.vixie import EPOCH, Line, changes, line, micros, runs, what_clocks_show

HARD_ZONES = {
    "Europe/Berlin": 102,
    "America/New_York": 102,
    "Australia/Lord_Howe": 102,  # half an hour
    "Pacific/Apia": 23,  # no 30 December 2011
    "Pacific/Kiritimati": 1,  # no 31 December 1994
    "Africa/Casablanca": 81,  # winter time in Ramadan
    "Antarctica/Troll": 72,  # two hours
    "Antarctica/Casey": 16,  # three hours
    "Europe/Dublin": 102,  # winter is the time that is saved
    "Pacific/Chatham": 102,  # at 02:45
    "America/Havana": 98,  # at midnight
    "America/St_Johns": 102,  # at a minute past midnight, until 2011
    "Asia/Pyongyang": 2,  # half an hour, at midnight
    "America/Caracas": 2,  # half an hour, for good
}
LINES = [
    line("30 2 * * *", {30}, {2}),
    line("0,30 0-3 * * *", {0, 30}, range(4)),
    line("15 23 * * *", {15}, {23}),
    line("0 0 * * *", {0}, {0}),
    line("45 1 * * 0", {45}, {1}, is_day=lambda day: day.weekday() == 6),
    line("*/15 2 * * *", range(0, 60, 15), {2}, wild=True),
    line("*/20 0 * * *", range(0, 60, 20), {0}, wild=True),
    line("*/20 23 * * *", range(0, 60, 20), {23}, wild=True),
    line("0 */2 * * *", {0}, range(0, 24, 2), wild=True),
    line("30 * * * *", {30}, range(24), wild=True),
]
BEFORE, AFTER = timedelta(hours=5), timedelta(hours=26)


def ticks(rule: Cron | Days, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """Return what a rule says, as UTC times."""
    found = Recurrence(rule, zone).between(micros(since), micros(until), 1_000_000)
    return [EPOCH + timedelta(microseconds=one) for one in found]


def of_cronsim(text: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """Return what cronsim says, as UTC times."""
    found = (one.astimezone(UTC) for one in CronSim(text, since.astimezone(ZoneInfo(zone))))
    return list(takewhile(lambda one: one <= until, found))


@pytest.mark.parametrize("zone, count", HARD_ZONES.items())
def test_clock_changes_follow_the_manual(zone: str, count: int) -> None:
    """Around every change of the hard zones from 1990 to 2040, each line runs when the manual page of cron says."""
    found = changes(zone)
    assert len(found) == count
    for number, change in enumerate(found):
        shown = what_clocks_show(zone, change - BEFORE, change + AFTER)
        # Neighbouring changes take other lines; over the years each line meets each kind of change.
        for one in islice(LINES, number % 3, None, 3) if count > 30 else LINES:
            assert ticks(Cron(one.text), zone, shown[0][0], shown[-1][0]) == runs(one, shown[1:]), (
                zone,
                change,
                one.text,
            )


def test_many_zones_follow_the_manual() -> None:
    """In every fourth of all zones, this year's changes are met as the manual page of cron says."""
    seen = 0
    for number, zone in enumerate(sorted(available_timezones() - {"localtime", "Factory"})[::4]):
        for change in changes(zone, 2026, 2026):
            shown = what_clocks_show(zone, change - BEFORE, change + AFTER)
            one = LINES[(number + seen) % len(LINES)]
            assert ticks(Cron(one.text), zone, shown[0][0], shown[-1][0]) == runs(one, shown[1:]), (
                zone,
                change,
                one.text,
            )
            seen += 1
    assert seen > 80


def is_known_deviation(one: Line, theirs: list[datetime], ours: list[datetime]) -> bool:
    """Tell where cronsim is not Vixie: it moves the times of a day that does not exist, and loses wild ones."""
    if one.is_wild:
        return set(theirs) < set(ours)
    return set(ours) < set(theirs)


@pytest.mark.parametrize("zone", HARD_ZONES)
def test_clock_changes_agree_with_cronsim(zone: str) -> None:
    """Ours are the ticks of cronsim but for the two faults that docs/schedule-rules.md names."""
    odd = 0
    for number, change in enumerate(changes(zone)):
        since, until = change - BEFORE, change + AFTER
        for one in islice(LINES, number % 3, None, 3):
            if one.is_wild and zone == "America/St_Johns":
                continue  # at a change at 00:01 cronsim steps back to 00:00 for ever
            ours, theirs = ticks(Cron(one.text), zone, since, until), of_cronsim(one.text, zone, since, until)
            if ours != theirs:
                assert is_known_deviation(one, theirs, ours), (zone, change, one.text)
                odd += 1
    assert bool(odd) == (
        zone
        in {
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Pacific/Chatham",
            "Pacific/Kiritimati",
            "Antarctica/Casey",
            "Asia/Pyongyang",
            "America/Caracas",
        }
    )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "UTC"])
@pytest.mark.parametrize("text", ["30 2 * * SUN", "0 0 1,L * *", "5 4 LW * *", "0 9 * * MON#1,5L"])
def test_fifty_years_agree_with_cronsim(zone: str, text: str) -> None:
    """From 1990 to 2040 a rule has each tick that cronsim has, and no other."""
    since, until = datetime(1990, 1, 1, tzinfo=UTC), datetime(2040, 12, 31, tzinfo=UTC)
    assert ticks(Cron(text), zone, since, until) == of_cronsim(text, zone, since, until)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Casey", "America/St_Johns"])
@pytest.mark.parametrize("text", ["15,30 0-2,23 * * *", "*/30 0-2,23 * * *"])
def test_the_next_tick_from_each_minute_around_a_change(zone: str, text: str) -> None:
    """Asked at any minute of hours that are skipped or doubled, the next tick is the first later one."""
    for change in changes(zone, 2009, 2011):
        since, until = change - timedelta(hours=4), change + timedelta(hours=26)
        known = ticks(Cron(text), zone, since, until)
        recurrence = Recurrence(Cron(text), zone)
        for minute in range(8 * 60):
            now = since + timedelta(minutes=minute)
            assert recurrence.after(micros(now)) == micros(next(tick for tick in known if tick > now)), (now, change)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"])
def test_times_of_days_are_fixed_times(zone: str) -> None:
    """Days in words take clock changes as fixed times of cron do."""
    for change in changes(zone):
        span = change - BEFORE, change + AFTER
        worded = Days("every day", ("00:00", "01:45", "02:15", "02:30", "23:30"))
        lines = ["0 0 * * *", "45 1 * * *", "15,30 2 * * *", "30 23 * * *"]
        assert ticks(worded, zone, *span) == sorted({tick for text in lines for tick in ticks(Cron(text), zone, *span)})


@pytest.mark.parametrize(
    "text, zone, day, expected",
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00+02:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:30+02:00"]),
        ("30 2,3 * * *", "Europe/Berlin", "2026-03-29", ["03:00+02:00", "03:30+02:00"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29", []),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00"]),
        ("0 * * * *", "Europe/Berlin", "2026-03-29", [f"{hour:02}:00" for hour in range(24) if hour != 2]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["02:30+11:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["01:45+11:00"]),
        ("30 0 * * *", "America/Havana", "2026-03-08", ["01:00-04:00"]),
        ("0 6 * * *", "Pacific/Apia", "2011-12-30", []),
        ("0 6 * * *", "Pacific/Apia", "2011-12-31", ["06:00+14:00"]),
    ],
)
def test_the_table_of_clock_changes(text: str, zone: str, day: str, expected: list[str]) -> None:
    """The examples of docs/schedule-rules.md are what a rule says on that day."""
    info = ZoneInfo(zone)
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=info).astimezone(UTC)
    local = [
        one.astimezone(info) for one in ticks(Cron(text), zone, noon - timedelta(hours=40), noon + timedelta(hours=40))
    ]
    shown = [one.isoformat()[11:16] + one.isoformat()[19:] for one in local if one.date().isoformat() == day]
    assert [one[: len(wanted)] for one, wanted in zip(shown, expected, strict=True)] == expected
