"""Lines: jobs that a gate holds back, parked out of sight of claims, and let in again by their order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from lineshaft.engines.base import Tx
from lineshaft.store.claim import Claimed, claimed_of
from lineshaft.store.queries import Statements
from lineshaft.transitions import Held

SQL: Final = Statements("line")

# As in store/finish.py: longer arrays made PostgreSQL slower.
_CHUNK: Final = 250

T = TypeVar("T")


class Queues(NamedTuple):
    """Which of the queues that have jobs in lines somebody can claim from."""

    open: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    """Those that are paused, or that no worker serves: a job of theirs that is let out starts nowhere."""


ALL_OPEN: Final = Queues()


class LineQueues(NamedTuple):
    """What tells which queues somebody can claim from."""

    with_lines: frozenset[str]
    served: frozenset[str]
    paused: frozenset[str]


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
    sequence: str | None
    """The strict order that it is known to stand in."""


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


def join_unclaimed(tx: Tx, joining: Mapping[Waiting, str]) -> None:
    """Have ready jobs stand in strict orders that nobody knew of at their enqueue, but for those claimed meanwhile.

    Before their gates are locked, as in a claim: who holds a gate waits for no job.
    """
    ordered = sorted(joining.items(), key=lambda one: one[0].id)
    for chunk in _chunks(ordered):
        rows: list[dict[str, Any]] = [{"id": one.id, "key": one.key, "sequence": order} for one, order in chunk]
        tx.run(SQL.join_unclaimed, {}, rows)


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

    From a line that several queues share it may take none. The gates have to be locked, and to have a free place each.
    A paused or gated queue gives none.
    """
    params = {"keys": list(keys), "queue": queue, "limit": limit, "worker": worker, "now": now}
    return claimed_of(tx.run(SQL.claim_heads, params))


def release_line(tx: Tx, counts: Mapping[str, int], queues: Queues = ALL_OPEN) -> set[str]:
    """Let so many heads of each gate's line into their queues, wake workers, and return those queues.

    Jobs of closed queues stay where they are, and those behind them go before them.
    """
    rows = [{"key": key, "count": count} for key, count in sorted(one for one in counts.items() if one[1] > 0)]
    if not rows:
        return set()
    if queues.closed:
        return _release_past(tx, rows, queues.open)
    return {row[0] for row in tx.run(SQL.release_line, {}, rows)}


def _release_past(tx: Tx, rows: Sequence[Mapping[str, Any]], queues: Collection[str]) -> set[str]:
    counts: dict[str, int] = {row["key"]: row["count"] for row in rows}
    params = {"queues": sorted(queues), "limit": max(counts.values())}
    found: dict[str, list[tuple[int, int, str]]] = {}
    for key, *place in tx.run(SQL.heads_of_queues, params, [{"key": key} for key in counts]):
        found.setdefault(key, []).append((place[0], place[1], place[2]))
    ids = [place[-1] for key, heads in found.items() for place in sorted(heads)[: counts[key]]]
    return {row[0] for row in tx.run(SQL.release_found, {"ids": ids})} if ids else set()


def queues_of_lines(tx: Tx) -> LineQueues:
    """Return the queues with jobs in lines, those that workers serve, and those that are paused."""
    names: dict[str, set[str]] = {"line": set(), "served": set(), "paused": set()}
    for what, queue in tx.run(SQL.queues_of_lines, {}):
        names[what].add(queue)
    return LineQueues(frozenset(names["line"]), frozenset(names["served"]), frozenset(names["paused"]))


def release_jobs(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Let those of the jobs that stand in the line of their strict order into their queues; returns those queues."""
    return {row[0] for row in tx.run(SQL.release_jobs, {"ids": list(ids)})} if ids else set()


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
