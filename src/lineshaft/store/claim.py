"""Taking jobs for a worker, and letting due ones in."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from lineshaft.engines.base import Row, Tx
from lineshaft.store.queries import Statements
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
    run_at: int
    is_isolated: bool
    cancel_requested: bool
    max_attempts: int
    queue: str
    tenant: str | None
    tags: str | None
    meta: str | None
    options: str | None
    context: str | None


class Place(NamedTuple):
    """Where a job stands in its queue; a smaller one comes first."""

    rank: int
    run_at: int
    id: str


class Head(NamedTuple):
    """When the first job of a rank could have run that nobody holds."""

    rank: int
    run_at: int


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


def claim_jobs(tx: Tx, *, queue: str, limit: int, worker: int, now: int, start: Place | None = None) -> list[Claimed]:
    """Take up to `limit` jobs of a queue for a worker, in order of priority, then time, then id.

    `start` leaves out what comes before it. A paused queue gives none. Jobs that somebody else is taking at this
    moment are passed over.
    """
    params = {"queue": queue, "limit": limit, "worker": worker, "now": now}
    found = tx.run(SQL.claim_jobs_from, params | start._asdict()) if start else tx.run(SQL.claim_jobs, params)
    found.sort(key=_by_place)
    return [_claimed(row) for row in found]


def waiting_heads(tx: Tx, queue: str) -> list[Head]:
    """Return the first waiting job of each rank of a queue, the best rank first."""
    return sorted(Head._make(row) for row in tx.run(SQL.waiting_heads, {"queue": queue}))


def claim_aged(tx: Tx, *, queue: str, rank: int, before: int, limit: int, worker: int, now: int) -> list[Claimed]:
    """As `claim_jobs`, only jobs of one rank whose time is earlier than `before`."""
    params = {"queue": queue, "rank": rank, "before": before, "limit": limit, "worker": worker, "now": now}
    found = tx.run(SQL.claim_aged, params)
    found.sort(key=_by_place)
    return [_claimed(row) for row in found]


def first_before(tx: Tx, queue: str, place: Place) -> Place | None:
    """Return the first job of a queue that could be claimed and comes before a place."""
    found = tx.run(SQL.first_before, {"queue": queue} | place._asdict())
    return Place._make(found[0]) if found else None


def _claimed(row: Row) -> Claimed:
    return Claimed(Held._make(row[:_HELD]), *row[_HELD:])


def promote_due(tx: Tx, now: int) -> int:
    """Let jobs whose time has come into their queues, at most 1,000 at once, and return how many."""
    return int(tx.run(SQL.promote_due, {"now": now, "limit": _CHUNK})[0][0])


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
