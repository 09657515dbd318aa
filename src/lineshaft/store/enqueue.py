"""Storing new jobs: all of them or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Final, TypedDict

from lineshaft.engines.base import Engine, Tx
from lineshaft.store.depth import Dropping, lock_limits, make_room
from lineshaft.store.queries import Statements

SQL: Final = Statements("enqueue")


class NewRow(TypedDict):
    """A job about to be stored; times are microseconds since the epoch, the rest as the schema says."""

    id: str
    queue: str
    name: str
    rank: int
    run_at: int
    stage: int
    created_at: int
    max_attempts: int
    deadline: int | None
    tenant: str | None
    tags: str | None
    meta: str | None
    options: str | None
    context: str | None
    args: str


_SHARED: Final = tuple(name for name in NewRow.__annotations__ if name not in ("id", "args"))
_shared: Final = itemgetter(*_SHARED)


def insert_alone(engine: Engine, row: NewRow) -> bool:
    """Store one new job in one statement, which is a transaction of its own; tell whether it was stored.

    It is not when its queue limits how many jobs wait: then `insert_jobs` has to look at how deep the queue is.
    """
    return bool(engine.write_apart(lambda tx: tx.run(SQL.insert_job, row)))


def insert_jobs(
    tx: Tx,
    rows: Sequence[NewRow],
    *,
    is_resend: bool = False,
    is_limited: bool = True,
    dropping: Dropping | None = None,
) -> None:
    """Store the jobs; unless `is_limited`, whatever the depth of their queues.

    `is_resend` says that these very jobs were sent before and the answer was lost: those that are stored already,
    finished ones included, stay as they are. `dropping` says how the oldest jobs end that make room where a full
    queue has them do so; without it such a queue refuses too. Raises `QueueFull` when a queue has reached its
    `max_depth`; nothing is stored then.
    """
    if not is_limited:
        tx.run(SQL.insert_jobs, {"is_checked": True}, rows)
    elif _insert(tx, rows) < len(rows):
        _insert_missing(tx, rows, dropping)
    if is_resend:
        tx.run(SQL.drop_finished_resends, {"ids": [row["id"] for row in rows]})


def stored_ids(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are those of stored jobs, finished ones included."""
    return {row[0] for row in tx.run(SQL.existing_ids, {"ids": list(ids)})}


def _insert(tx: Tx, rows: Sequence[NewRow]) -> int:
    shared = _shared(rows[0])
    if any(_shared(row) != shared for row in rows):
        found = tx.run(SQL.insert_jobs, {"is_checked": False}, rows)
    else:
        own = [{"id": row["id"], "args": row["args"]} for row in rows]
        found = tx.run(SQL.insert_like_jobs, dict(zip(_SHARED, shared, strict=True)), own)
    inserted: int = found[0][0]
    return inserted


def _insert_missing(tx: Tx, rows: Sequence[NewRow], dropping: Dropping | None) -> None:
    limits = lock_limits(tx, {row["queue"] for row in rows})
    if not limits:
        return  # the missing ones were stored by the first send
    known = stored_ids(tx, [row["id"] for row in rows])
    new = [row for row in rows if row["id"] not in known]
    make_room(tx, Counter((row["queue"], row["tenant"]) for row in new), limits, dropping)
    if new:
        tx.run(SQL.insert_jobs, {"is_checked": True}, new)
