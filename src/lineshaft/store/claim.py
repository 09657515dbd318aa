"""Taking jobs for a worker, and letting due ones in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from lineshaft.engines.base import Row, Tx
from lineshaft.store.queries import Statements
from lineshaft.store.turns import promote_fair
from lineshaft.transitions import Held

SQL: Final = Statements("claim")

_HELD: Final = len(Held._fields)
_by_place: Final = itemgetter(_HELD + 2, _HELD + 3, 0)
_CHUNK: Final = 1_000


class Claimed(NamedTuple):
    """A job that this worker has just taken."""

    held: Held
    name: str
    args: str
    rank: int
    turn: int
    """Its place among those of its rank: its time, or what it drew in a fair queue."""
    is_isolated: bool
    cancel_requested: bool
    max_attempts: int
    queue: str
    tenant: str | None
    tags: str | None
    meta: str | None
    options: str | None
    context: str | None
    gate: str | None = None
    """The gate that it belongs to, which released it."""
    sequence: str | None = None
    """The strict order that it belongs to."""


class Place(NamedTuple):
    """Where a job stands in its queue; a smaller one comes first."""

    rank: int
    turn: int
    id: str


class Head(NamedTuple):
    """Where the first job of a rank stands that nobody holds: since when it could have run, or its turn."""

    rank: int
    turn: int


class Expired(NamedTuple):
    """A job that ended because its deadline had passed."""

    id: str
    name: str
    queue: str
    attempt: int
    claim: int
    tenant: str | None
    options: str | None
    context: str | None


def claim_jobs(
    tx: Tx,
    *,
    queue: str,
    limit: int,
    worker: int,
    now: int,
    start: Place | None = None,
    is_granted: bool = False,
) -> list[Claimed]:
    """Take up to `limit` jobs of a queue for a worker, in order of priority, then turn or time, then id.

    `start` leaves out what comes before it. A paused queue gives none, and a gated one none to who has no grant of it.
    Jobs that somebody else is taking at this moment are passed over.
    """
    params = {"queue": queue, "limit": limit, "worker": worker, "now": now, "is_granted": is_granted}
    found = tx.run(SQL.claim_jobs_from, params | start._asdict()) if start else tx.run(SQL.claim_jobs, params)
    return claimed_of(found)


def waiting_heads(tx: Tx, queue: str) -> list[Head]:
    """Return the first waiting job of each rank of a queue, the best rank first."""
    return sorted(Head._make(row) for row in tx.run(SQL.waiting_heads, {"queue": queue}))


def claim_aged(
    tx: Tx, *, queue: str, rank: int, before: int, limit: int, worker: int, now: int, is_granted: bool = False
) -> list[Claimed]:
    """As `claim_jobs`, only jobs of one rank whose turn or time is earlier than `before`."""
    params = {"queue": queue, "rank": rank, "before": before, "limit": limit, "worker": worker, "now": now}
    params |= {"is_granted": is_granted}
    found = tx.run(SQL.claim_aged, params)
    return claimed_of(found)


def first_before(tx: Tx, queue: str, place: Place) -> Place | None:
    """Return the first job of a queue that could be claimed and comes before a place."""
    found = tx.run(SQL.first_before, {"queue": queue} | place._asdict())
    return Place._make(found[0]) if found else None


def place_of(tx: Tx, job_id: str) -> Place | None:
    """Return where an unfinished job stands in its queue."""
    found = tx.run(SQL.place_of, {"id": job_id})
    return Place._make(found[0]) if found else None


def claimed_of(rows: Iterable[Row]) -> list[Claimed]:
    """Return what a statement that claims has answered, in the order of claims."""
    return [Claimed(Held._make(row[:_HELD]), *row[_HELD:]) for row in sorted(rows, key=_by_place)]


def promote_due(tx: Tx, now: int) -> int:
    """Let jobs whose time has come into their queues, at most 1,000 at once, and return how many."""
    count, _, has_others = tx.run(SQL.promote_due, {"now": now, "limit": _CHUNK})[0]
    return int(count) + (promote_fair(tx, now, _CHUNK) if has_others else 0)


def next_due(tx: Tx) -> int | None:
    """Return when the next job falls due."""
    instant: int | None = tx.run(SQL.next_due, {})[0][0]
    return instant


def expire_overdue(tx: Tx, *, now: int, expires_at: int) -> list[Expired]:
    """End waiting jobs whose deadline passed before they started, at most 1,000 at once, and return them."""
    rows = tx.run(SQL.expire_overdue, {"now": now, "expires_at": expires_at, "limit": _CHUNK})
    return [Expired._make(row[: len(Expired._fields)]) for row in rows]


def cancel_requests(tx: Tx, *, worker: int, ids: Sequence[str]) -> set[tuple[str, int]]:
    """Return (id, claim) of those running jobs of a worker that were asked to stop."""
    return {(row[0], row[1]) for row in tx.run(SQL.cancel_requests, {"worker": worker, "ids": list(ids)})}
