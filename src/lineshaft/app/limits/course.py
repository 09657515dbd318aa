"""How a limit that learns has moved, as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lineshaft.clock import to_datetime, to_instant
from lineshaft.counts import checked_count
from lineshaft.store.course import course_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Tx

MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class LimitChange:
    """What a limit was from `at` on."""

    at: datetime
    """Aware UTC, to the second."""
    value: int
    """How many jobs could run at once."""
    why: str
    """`success`: it grew; `error`, `slow`: it shrank; `bounds`: its bounds were moved."""


def course_reader(key: str, since: datetime | None, limit: int) -> Callable[[Tx], list[LimitChange]]:
    """Return what reads a course; raises `ConfigError` for a time or a number that cannot be."""
    after = 0 if since is None else to_instant(since, "since")
    checked_count("limit", limit, MOST)

    def read(tx: Tx) -> list[LimitChange]:
        found = course_of(tx, key, since=after, limit=limit)
        return [LimitChange(to_datetime(one.at), int(one.value), one.why) for one in found]

    return read
