"""Who leads: the one worker that does once for all what has to be done once."""

from __future__ import annotations

from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.store.queries import Statements

SQL: Final = Statements("lead")

_SILENCES: Final = 2


class Lead(NamedTuple):
    """Who has the lead of a store."""

    term: int
    """Grows with each election; 0: there was none yet."""
    worker: int | None
    """The leader; None when the lead is free: its holder has resigned, is gone, drains, or is silent for long."""


NO_LEAD: Final = Lead(0, None)


def oldest_heartbeat(now: int, silence: int) -> int:
    """Return since when a leader must have been heard of: it has stopped its duties long before (microseconds)."""
    return now - _SILENCES * silence


def see_lead(tx: Tx, *, worker: int = 0, oldest: int = 0) -> Lead:
    """Return who has the lead; the lead of another than `worker` whose heartbeat is older than `oldest` is free."""
    term, leader = tx.run(SQL.see_lead, {"worker": worker, "oldest": oldest})[0]
    return Lead(term, leader)


def take_lead(tx: Tx, worker: int, *, seen: int, now: int) -> int | None:
    """Take the lead, which was seen to be free in term `seen`, and return the new term.

    None when somebody else was faster, or when the worker drains or is gone. Every worker is woken.
    """
    rows = tx.run(SQL.take_lead, {"worker": worker, "seen": seen, "now": now})
    return int(rows[0][0]) if rows and rows[0][0] else None


def resign_lead(tx: Tx, worker: int) -> bool:
    """Free the lead, if this worker has it, and wake the others; False when it had not."""
    return bool(tx.run(SQL.resign_lead, {"worker": worker})[0][0])
