"""Rules as people write them, and their ticks as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lineshaft.recurrence import Recurrence, recurrence_of
from tests.recurrence.vixie import EPOCH, micros

NOW = micros(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))  # a Monday


def said(now: int = NOW, **rule: Any) -> Recurrence:
    """Return a recurrence as declared now."""
    return recurrence_of(**rule, now=now)


def shown(recurrence: Recurrence, count: int, after: str | None = None, form: str = "%Y-%m-%d %H:%M") -> list[str]:
    """Return the next ticks after now, or after a UTC time, as the zone's clocks show them."""
    since = NOW if after is None else micros(datetime.fromisoformat(after).replace(tzinfo=UTC))
    zone = ZoneInfo(recurrence.timezone)
    ticks = recurrence.between(since, 2**60, count)
    return [(EPOCH + timedelta(microseconds=tick)).astimezone(zone).strftime(form) for tick in ticks]
