"""Lines: jobs that a gate holds back, parked out of sight of claims, and let in again by their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from lineshaft.engines.base import Tx
from lineshaft.store.claim import Claimed, claimed_of
from lineshaft.store.queries import Statements
from lineshaft.transitions import Held

SQL: Final = Statements("line")

# As in store/finish.py: longer arrays made PostgreSQL slower.
_CHUNK: Final = 250

T = TypeVar("T")


class Parked(NamedTuple):
    """A claimed job that is not started, and the gate in whose line it goes."""

    held: Held
    gate: str


class Waiting(NamedTuple):
    """A ready job that nobody holds, with what tells which gates it has to pass."""

    id: str
    key: int | None
    """The store's private number of the row, where it keeps one."""
    name: str
    args: str
    options: str | None
    tenant: str | None
    rank: int
    turn: int


class Unclaimed(NamedTuple):
    """A ready job that nobody holds, and the gate in whose line it goes."""

    job: Waiting
    gate: str


def park_jobs(tx: Tx, parked: Sequence[Parked], *, worker: int) -> None:
    """Give jobs that a worker holds into lines; their attempts do not count. Their gates have to be locked."""
    ordered = sorted(parked, key=lambda one: one.held.id)
    for chunk in _chunks(ordered):
        rows = [{"id": one.held.id, "key": one.held.key, "claim": one.held.claim, "gate": one.gate} for one in chunk]
        tx.run(SQL.park_jobs, {"worker": worker}, rows)


def leave_gates(tx: Tx, leaving: Sequence[Held]) -> None:
    """Have jobs that the caller has just claimed belong no more to the gates that have released them."""
    for chunk in _chunks(sorted(leaving, key=lambda one: one.id)):
        tx.run(SQL.leave_gates, {}, [{"id": one.id, "key": one.key, "claim": one.claim} for one in chunk])


def join_sequences(tx: Tx, joining: Mapping[Held, str]) -> None:
    """Have jobs that the caller has just claimed stand in strict orders that nobody knew of at their enqueue."""
    ordered = sorted(joining.items(), key=lambda one: one[0].id)
    for chunk in _chunks(ordered):
        rows: list[dict[str, Any]] = [
            {"id": held.id, "key": held.key, "claim": held.claim, "sequence": sequence} for held, sequence in chunk
        ]
        tx.run(SQL.join_sequences, {}, rows)


def park_ready(tx: Tx, queue: str, limit: int) -> list[Waiting]:
    """Return the first ready jobs of a queue that nobody holds and no gate has released, in the order of claims."""
    found = [Waiting._make(row) for row in tx.run(SQL.park_ready, {"queue": queue, "limit": limit})]
    return sorted(found, key=lambda one: (one.rank, one.turn, one.id))


def park_unclaimed(tx: Tx, parked: Sequence[Unclaimed]) -> int:
    """Give ready jobs into lines and return how many: others were claimed meanwhile. Their gates have to be locked."""
    ordered = sorted(parked, key=lambda one: one.job.id)
    count = 0
    for chunk in _chunks(ordered):
        rows: list[dict[str, Any]] = [{"id": one.job.id, "key": one.job.key, "gate": one.gate} for one in chunk]
        count += int(tx.run(SQL.park_unclaimed, {}, rows)[0][0])
    return count


def claim_heads(tx: Tx, keys: Sequence[str], *, queue: str, limit: int, worker: int, now: int) -> list[Claimed]:
    """Take up to `limit` jobs for a worker, of each of these lines the first one if it is of this queue.

    The gates have to be locked, and to have a free place each. A paused or gated queue gives none.
    """
    params = {"keys": list(keys), "queue": queue, "limit": limit, "worker": worker, "now": now}
    return claimed_of(tx.run(SQL.claim_heads, params))


def release_line(tx: Tx, counts: Mapping[str, int]) -> set[str]:
    """Let so many heads of each gate's line into their queues, wake workers, and return those queues."""
    rows = [{"key": key, "count": count} for key, count in sorted(counts.items()) if count > 0]
    return {row[0] for row in tx.run(SQL.release_line, {}, rows)} if rows else set()


def release_jobs(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Let those of the jobs that stand in the line of their strict order into their queues; returns those queues."""
    return {row[0] for row in tx.run(SQL.release_jobs, {"ids": list(ids)})} if ids else set()


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
