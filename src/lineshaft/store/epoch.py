"""Epochs: a restore begins one, and workers of an earlier one can neither claim nor finish from then on.

The fence is made of numbers alone. Workers of the new epoch have numbers that no earlier worker can have been given,
and claims of restored jobs are numbered from where no earlier claim can have got to. So what an earlier worker holds is
held by nobody, its row is gone, and a claim compares its number with the epoch's first (docs/decisions/0017).
"""

from __future__ import annotations

from typing import Final

from lineshaft.engines.base import Row, Tx
from lineshaft.store.copy import ATTEMPT, CLAIM, WORKER
from lineshaft.store.queries import Statements

SQL: Final = Statements("epoch")

# More workers than start, and more claims than one unfinished job sees, between a backup and its restore. PostgreSQL's
# advisory locks and claim numbers have 31 bits: enough for more than a thousand restores one on top of the other.
LEAP: Final = 1_000_000


def epoch_began_at(tx: Tx) -> int | None:
    """Return when the store was restored last, in microseconds since the epoch; None: never."""
    instant: int | None = tx.run(SQL.epoch_began_at, {})[0][0]
    return instant


def lock_store(tx: Tx) -> None:
    """Keep everybody else out of the store's tables until the transaction ends."""
    tx.run(SQL.lock_store, {})


def last_worker(tx: Tx) -> int:
    """Return the greatest number that a worker was ever given here."""
    return int(tx.run(SQL.last_worker, {})[0][0])


def empty_store(tx: Tx) -> None:
    """Delete everything, workers and epoch too; the schema stays."""
    tx.run(SQL.empty_store, {})


def begin_epoch(tx: Tx, *, first_worker: int, now: int) -> None:
    """Number workers from `first_worker` on and refuse the claims of those below."""
    tx.run(SQL.begin_epoch, {"first_worker": first_worker, "now": now})


def fence(row: Row) -> Row:
    """Return an unfinished job's row as it goes into a new epoch: held by nobody, its attempt given back."""
    is_held = row[WORKER] is not None
    fenced = list(row)
    fenced[WORKER] = None
    fenced[CLAIM] = row[CLAIM] + LEAP
    fenced[ATTEMPT] = row[ATTEMPT] - is_held
    return tuple(fenced)
