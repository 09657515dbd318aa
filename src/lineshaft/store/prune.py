"""Deleting what has been kept for long enough."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.store.queries import Statements

SQL: Final = Statements("prune")

_CHUNK: Final = 1_000

Key = int | str
"""What finds a finished job again quickly: SQLite's private key, or the id."""


class Dropped(StrEnum):
    """What became of dropping a day of the history."""

    DROPPED = "dropped"
    NONE = "none"
    BLOCKED = "blocked"
    """Somebody's transaction is reading the history; try again later."""


class Look(NamedTuple):
    """What there is in a block."""

    expired: Sequence[Key]
    look_at: int | None
    """When the first of the others may have expired; None: there are no others."""
    is_full: bool
    """Whether no new job can come into the block."""


class PrunedLogs(NamedTuple):
    """What one step of pruning logs did."""

    deleted: int
    after: int | None
    """The time to go on after; None: all logs have been looked at."""


def drop_expired_day(tx: Tx, *, now: int) -> Dropped:
    """Drop one day of the history of which every job has expired (PostgreSQL)."""
    return Dropped(tx.run(SQL.drop_expired_day, {"now": now})[0][0])


def due_block(tx: Tx, *, now: int, before: int) -> int | None:
    """Return a block in which jobs may have expired.

    A block that was never looked at is due when its first job was enqueued `before` (microseconds since the epoch).
    """
    found = tx.run(SQL.due_block, {"now": now, "before": before})
    return int(found[0][0]) if found else None


def look_into_block(tx: Tx, block: int, *, now: int, later: int) -> Look:
    """Return what has expired in a block; `later` is when to look again for jobs that are not finished yet."""
    return Look._make(tx.run(SQL.look_into_block, {"block": block, "now": now, "later": later})[0])


def delete_expired(tx: Tx, keys: Sequence[Key], *, now: int) -> int:
    """Delete those of the jobs that have expired, and return how many."""
    return int(tx.run(SQL.delete_expired, {"keys": list(keys), "now": now})[0][0])


def note_block(tx: Tx, block: int, look_at: int | None) -> None:
    """Note when to look into a block again; None: it is empty."""
    if look_at is None:
        tx.run(SQL.forget_block, {"block": block})
    else:
        tx.run(SQL.note_block, {"block": block, "look_at": look_at})


def prune_logs(tx: Tx, *, before: int, after: int = 0) -> PrunedLogs:
    """Look at about 1,000 logs written behind `after`, up to `before`, and delete those whose jobs are gone.

    Goes through all logs when it is called, in transactions of its own, with the `after` of each answer until that is
    None. Times are microseconds since the epoch.
    """
    last = tx.run(SQL.last_log_of_chunk, {"after": after, "before": before, "limit": _CHUNK})[0][0]
    if last is None:
        return PrunedLogs(0, None)
    return PrunedLogs(int(tx.run(SQL.delete_gone_logs, {"after": after, "last": last})[0][0]), int(last))
