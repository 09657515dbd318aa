"""Time: the only module that reads it. Everything else is given a clock, or a `now`.

Instants are whole microseconds since the Unix epoch (UTC), as the store keeps them; durations are whole
microseconds too. `datetime` and `timedelta` appear only where a person reads or writes them.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from lineshaft.errors import ConfigError

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY

Duration = int | float | str | timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_TEXT = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
# A store keeps instants in 64 bits and datetime ends in the year 9999: a century is beyond any job.
_LONGEST: Final = 36_525 * DAY
_SMOOTHING: Final = 0.2
# Where the system has it, a steady clock that goes on while the machine sleeps: Linux's monotonic one does not.
_BOOT_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> int:
        """Return the present instant in microseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back, for measuring spans."""
        ...

    @property
    def round_trip(self) -> float:
        """How many seconds an answer of the store was on its way lately; 0 where the store is in this process."""
        ...


class SystemClock:
    """The machine's own clock until it follows the store's: then steps of the machine's change nothing."""

    def __init__(self) -> None:
        self._offset: int | None = None
        self._round_trip = 0.0

    def now(self) -> int:
        """Return the store's present instant, as far as it is known here."""
        offset = self._offset
        return wall_clock() if offset is None else _since_boot() + offset

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    @property
    def round_trip(self) -> float:
        """How many seconds the store's time was on its way lately; what takes longer now and then counts little."""
        return self._round_trip

    def follow(self, store_now: int, before: float, after: float) -> None:
        """Take the store's time as the truth; it was read between two `monotonic()` readings, in seconds.

        A reading that is too slow to contradict what is known changes nothing.
        """
        span = after - before
        is_nearer = not self._round_trip or span < self._round_trip
        self._round_trip = span if is_nearer else self._round_trip + _SMOOTHING * (span - self._round_trip)
        elapsed = round((self.monotonic() - (before + after) / 2) * SECOND)
        offset = store_now + elapsed - _since_boot()
        if self._offset is None or abs(offset - self._offset) > span / 2 * SECOND:
            self._offset = offset


class ManualClock:
    """A clock that stands still until it is moved; for tests and the simulator."""

    def __init__(self, now: int = 1_800_000_000 * SECOND) -> None:
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> int:
        """Return the instant that the clock was set to."""
        return self._now

    def monotonic(self) -> float:
        """Return the same instant in seconds."""
        return self._now / SECOND

    @property
    def round_trip(self) -> float:
        """Nothing is on its way."""
        return 0.0

    def advance(self, duration: Duration) -> int:
        """Move the clock forward and return the new instant."""
        with self._lock:
            self._now += to_micros(duration)
            return self._now


def wall_clock() -> int:
    """Return this machine's time in microseconds since the epoch, for ids and log lines."""
    return time.time_ns() // 1_000


def _since_boot() -> int:
    return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000


def to_micros(duration: Duration, name: str = "duration") -> int:
    """Return a duration in microseconds.

    Takes seconds, a `timedelta`, or text such as `"90s"`, `"10m"`, `"2h30m"`, `"7d"` (units ms, s, m, h, d, w).
    Raises `ConfigError`, naming `name`, when it is none of these, negative or longer than a century.
    """
    micros = _micros(duration)
    if micros is None:
        msg = f"{name}={duration!r} is not a duration; give seconds, a timedelta, or text such as '90s' or '2h30m'"
        raise ConfigError(msg)
    if not 0 <= micros <= _LONGEST:
        msg = f"{name}={duration!r} is out of range; give a duration between 0 and 100 years"
        raise ConfigError(msg)
    return micros


def _micros(duration: Duration) -> int | None:
    match duration:
        case bool():
            return None
        case timedelta():
            return duration // timedelta(microseconds=1)
        case int():
            return duration * SECOND
        case float():
            return round(duration * SECOND) if abs(duration) < _LONGEST else None
        case str() if _TEXT.fullmatch(duration.strip()):
            return sum(round(float(number) * _UNITS[unit]) for number, unit in _PART.findall(duration))
        case _:
            return None


def to_instant(when: datetime, name: str = "time") -> int:
    """Return a zoned datetime as microseconds since the epoch; raises `ConfigError` when it carries no zone."""
    if not isinstance(when, datetime):
        msg = f"{name}={when!r} is not a datetime; give an aware one such as datetime.now(UTC)"
        raise ConfigError(msg)
    if when.tzinfo is None or when.utcoffset() is None:
        msg = f"{name}={when.isoformat()} carries no time zone; give an aware datetime such as datetime.now(UTC)"
        raise ConfigError(msg)
    return (when - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=instant)


def to_text(micros: int) -> str:
    """Return a duration as a person writes it, such as `"2h30m"` or `"1.5s"`."""
    if micros < SECOND:
        return f"{micros / 1_000:g}ms"
    parts, rest = "", micros
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        parts += f"{count}{unit}" if count else ""
    return parts + (f"{rest / SECOND:g}s" if rest or not parts else "")
