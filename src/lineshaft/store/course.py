"""The course of limits that learn: how they have moved, a value a second at most, kept for a week."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from lineshaft.clock import SECOND, WEEK
from lineshaft.engines.base import Tx
from lineshaft.gates import News
from lineshaft.store.queries import Statements

SQL: Final = Statements("course")

_CHUNK: Final = 1_000
_LEARNT: Final = "limit_changed"


class Change(NamedTuple):
    """What a limit was from one second on."""

    at: int
    """The second, in microseconds."""
    value: float
    why: str


def note_changes(tx: Tx, news: Iterable[News]) -> None:
    """Keep where limits have moved, of all that happened to gates; the last value of a second stays."""
    rows = {
        (one.gate, second): {"gate": one.gate, "at": second, "value": one.value, "why": one.why}
        for one in news
        if one.kind == _LEARNT and (second := one.at // SECOND * SECOND)
    }
    if rows:
        tx.run(SQL.note_changes, {}, [rows[key] for key in sorted(rows)])


def course_of(tx: Tx, gate: str, *, since: int, limit: int) -> list[Change]:
    """Return the last changes of a gate's limit since a time, up to `limit`, the oldest first."""
    rows = tx.run(SQL.course_of, {"gate": gate, "since": since, "limit": limit})
    return sorted(Change._make(row) for row in rows)


def prune_course(tx: Tx, now: int, *, after: tuple[str, int] | None = None) -> tuple[str, int] | None:
    """Look at a part of all changes behind `after`, delete those older than a week, and return where to go on.

    None: all have been looked at.
    """
    gate, at = after or ("", 0)
    params = {"gate": gate, "at": at, "limit": _CHUNK}
    found: Sequence[tuple[str, int]] = [(row[0], row[1]) for row in tx.run(SQL.part_of_course, params)]
    old = [{"gate": key, "at": when} for key, when in found if when < now - WEEK]
    if old:
        tx.run(SQL.delete_changes, {}, old)
    return found[-1] if len(found) == _CHUNK else None
