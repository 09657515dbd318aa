"""How busy a store is, at a cost that does not grow with the jobs in it: counts that stop at a limit.

What runs, and what has ended, workers say themselves with each heartbeat (`WorkerLoad`): no index knows it, so that a
claim and a finish stay cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from lineshaft.engines.base import Tx
from lineshaft.store.queries import Statements

SQL: Final = Statements("rates")


class QueueLoad(NamedTuple):
    """What a worker says of one queue."""

    held: int
    """Jobs that it holds."""
    ended: int
    """Jobs and attempts that ended there since its start, well or not."""
    failed: int
    """Attempts that failed there since its start."""
    put_back: int
    """Attempts that ended there since its start and whose job is to run again."""


class WorkerLoad(msgspec.Struct, frozen=True):
    """What a worker says with its heartbeat of what it does."""

    slots: int
    queues: dict[str, QueueLoad]
    duty: str | None = None
    """What it does as the leader, in a few words; None when it does not lead, or has nothing to do."""


_LOAD: Final = msgspec.json.Decoder(WorkerLoad)
NO_LOAD: Final = WorkerLoad(0, {})


class Head(NamedTuple):
    """A queue and rank under which jobs are ready or running."""

    queue: str
    rank: int


class Ready(NamedTuple):
    """Ready and running jobs of one queue and rank, as far as they were counted."""

    queue: str
    counted: int
    oldest: int | None
    """When the first one in line that nobody holds could have run; None when all are held."""


class Due(NamedTuple):
    """Jobs of one queue that wait for their time, or in the line of a gate, as far as they were counted."""

    queue: str
    stage: int
    counted: int


def dump_load(load: WorkerLoad) -> str:
    """Return a worker's load as its row holds it."""
    return msgspec.json.encode(load).decode()


def load_of(text: str | None) -> WorkerLoad:
    """Return the load that a worker's row holds; nothing where it has not said any yet."""
    return NO_LOAD if text is None else _LOAD.decode(text)


def list_heads(tx: Tx, *, limit: int) -> list[Head]:
    """Return up to `limit` queues, by name, with each rank under which they hold ready or running jobs."""
    return [Head._make(row) for row in tx.run(SQL.list_heads, {"limit": limit})]


def count_ready(tx: Tx, heads: Sequence[Head], *, limit: int) -> list[Ready]:
    """Count the ready and running jobs of each head, up to `limit` of each."""
    rows = [{"queue": one.queue, "rank": one.rank} for one in heads]
    return [Ready._make(row) for row in tx.run(SQL.count_ready, {"limit": limit}, rows)] if rows else []


def count_due(tx: Tx, *, limit: int) -> list[Due]:
    """Count the jobs that wait for their time, and those in lines: of each kind up to `limit`, those due first."""
    return [Due._make(row) for row in tx.run(SQL.count_due, {"limit": limit})]


def enqueued_total(tx: Tx) -> int:
    """Return a number that grows by one with each job that is stored; only differences mean anything.

    On PostgreSQL it is that of the statistics, which sessions bring up to date about once a second.
    """
    return int(tx.run(SQL.enqueued_total, {})[0][0] or 0)
