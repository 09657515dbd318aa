"""Durations, instants and clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.clock import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    ManualClock,
    SystemClock,
    to_datetime,
    to_instant,
    to_micros,
    to_text,
)
from lineshaft.errors import ConfigError


@pytest.mark.parametrize(
    "duration, micros",
    [
        (0, 0), (90, 90 * SECOND), (0.5, 500_000), (1e-6, 1), ("250ms", 250_000), ("90s", 90 * SECOND),
        ("10m", 10 * MINUTE), ("2h30m", 2 * HOUR + 30 * MINUTE), ("7d", 7 * DAY), ("2w", 14 * DAY),
        ("1.5h", 90 * MINUTE), (" 5s ", 5 * SECOND),
        (timedelta(days=1, microseconds=3), DAY + 3), ("36525d", 36_525 * DAY),
    ],
)  # fmt: skip
def test_durations(duration: float | str | timedelta, micros: int) -> None:
    """Seconds, timedeltas and text are the same durations to the microsecond."""
    assert to_micros(duration) == micros


@pytest.mark.parametrize(
    "wrong", ["", "5", "ten minutes", "5 s", "-5s", "5s!", True, None, [], "5S", "1,5s", float("nan")]
)
def test_what_is_no_duration_is_refused(wrong: object) -> None:
    """What is no duration is refused in one line that names the setting and what to give."""
    with pytest.raises(ConfigError, match=r"^timeout=.* is not a duration; give seconds, a timedelta, or text"):
        to_micros(wrong, "timeout")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-1, -0.001, "36526d", timedelta(days=-1), timedelta(days=36_526), 10**20])
def test_durations_out_of_range_are_refused(wrong: float | str | timedelta) -> None:
    """A negative duration, and one beyond a century, is refused."""
    with pytest.raises(ConfigError, match=r"^delay=.* is out of range"):
        to_micros(wrong, "delay")


@pytest.mark.parametrize("wrong", [1e300, float("inf"), -1e300])
def test_floats_beyond_every_range_are_refused(wrong: float) -> None:
    """A float that no duration can be is a ConfigError, not an overflow."""
    with pytest.raises(ConfigError):
        to_micros(wrong)


@given(st.integers(0, 100 * 365 * DAY))
def test_text_reads_back(micros: int) -> None:
    """A duration written for people reads back as itself, to the precision that is shown."""
    assert abs(to_micros(to_text(micros)) - micros) <= max(500, micros % MINUTE // 100_000)


@pytest.mark.parametrize(
    "micros, text",
    [
        (0, "0ms"),
        (1_500, "1.5ms"),
        (SECOND, "1s"),
        (1_500_000, "1.5s"),
        (9_000 * SECOND, "2h30m"),
        (DAY + SECOND, "1d1s"),
    ],
)
def test_text_is_short(micros: int, text: str) -> None:
    """A duration is written with the units that a person would use."""
    assert to_text(micros) == text


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])))
def test_instants_read_back(when: datetime) -> None:
    """An aware time is the same moment after it was stored, before 1970 too."""
    assert to_datetime(to_instant(when)) == when


def test_naive_times_are_refused() -> None:
    """A time without a zone is refused, naming it."""
    with pytest.raises(ConfigError, match="run_at=2026-11-22T00:00:00 carries no time zone"):
        to_instant(datetime(2026, 11, 22), "run_at")  # noqa: DTZ001 - the mistake in question


def test_what_is_no_time_is_refused() -> None:
    """Text is no time."""
    with pytest.raises(ConfigError, match="run_at='2026-11-22' is not a datetime"):
        to_instant("2026-11-22", "run_at")  # type: ignore[arg-type]


def test_system_clock_follows_the_store() -> None:
    """Once it was told the store's time the clock goes on from there."""
    clock = SystemClock()
    ahead = clock.now() + HOUR
    clock.follow(ahead, clock.monotonic(), clock.monotonic())
    assert ahead <= clock.now() < ahead + 10 * SECOND


def test_a_step_of_the_machine_moves_no_clock_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who sets the machine's time changes nothing where the store's time is known."""
    clock = SystemClock()
    before = clock.now()
    clock.follow(before, clock.monotonic(), clock.monotonic())
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + HOUR * 1_000)
    assert SystemClock().now() > before + HOUR - SECOND
    assert before <= clock.now() < before + 10 * SECOND


def test_a_slow_reading_does_not_move_the_clock() -> None:
    """A reading that took longer than it differs is no news; one that differs by more is."""
    clock = SystemClock()
    clock.follow(1000 * SECOND, clock.monotonic(), clock.monotonic())
    clock.follow(995 * SECOND, clock.monotonic() - 20, clock.monotonic())
    assert 1000 * SECOND <= clock.now() < 1004 * SECOND
    clock.follow(1100 * SECOND, clock.monotonic() - 20, clock.monotonic())
    assert 1100 * SECOND <= clock.now() < 1120 * SECOND


def test_manual_clock_moves_when_told() -> None:
    """A manual clock stands still, and its two readings agree."""
    clock = ManualClock(5 * SECOND)
    assert (clock.now(), clock.monotonic()) == (5 * SECOND, 5.0)
    assert clock.advance("1m") == clock.now() == 65 * SECOND
