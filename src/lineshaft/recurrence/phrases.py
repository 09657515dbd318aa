"""The small change of rules in words: lists, ordinals, names, times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from lineshaft.clock import DAY, HOUR, MINUTE, SECOND

DAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_UNITS: Final = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}
_TEENS: Final = range(11, 14)


def listed(parts: Iterable[str]) -> str:
    """Return `"a, b and c"`."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def ordinal(number: int) -> str:
    """Return `"1st"`, `"2nd"`, `"11th"`; counted from the end `"last"`, `"2nd last"`."""
    if number < 0:
        return "last" if number == -1 else f"{ordinal(-number)} last"
    return f"{number}{'th' if number % 100 in _TEENS else _ENDINGS.get(number % 10, 'th')}"


def at_times(minutes: Iterable[int]) -> str:
    """Return `"at 06:00 and 18:00"`, from minutes of the day."""
    return f"at {listed(clock_time(minute) for minute in minutes)}"


def clock_time(minute: int) -> str:
    """Return a minute of the day as `"06:00"`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def span(micros: int) -> str:
    """Return `"90 seconds"`, `"15 minutes"`, `"2 hours"`, in the largest unit of which it has a whole number."""
    unit, name = next((one for one in _UNITS if micros % one[0] == 0), _UNITS[-1])
    count = micros / unit
    return f"{count:g} {name}{'' if count == 1 else 's'}"


def every(micros: int) -> str:
    """Return `"every 90 seconds"`, `"every hour"`."""
    return f"every {span(micros).removeprefix('1 ')}"


def moment(wall: datetime) -> str:
    """Return a wall time as `"2026-12-24 18:00"`, with seconds if it has any."""
    return f"{wall:%Y-%m-%d %H:%M:%S}" if wall.second else f"{wall:%Y-%m-%d %H:%M}"


def zone_time(name: str) -> str:
    """Return `"Berlin time"` for Europe/Berlin; UTC and zones without a place stay as they are."""
    if name in {"Etc/UTC", "Etc/UCT", "Etc/Zulu", "Zulu", "UCT", "Etc/Universal", "Universal"}:
        return "UTC"
    if "/" not in name or name.startswith("Etc/"):
        return name
    return f"{name.rpartition('/')[2].replace('_', ' ')} time"
