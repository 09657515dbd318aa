"""Limits of whole queues: what a queue's settings say, and how many of its jobs each worker may hold.

A queue with such a limit is *gated*: who has no grant of it claims nothing there. All that decides about grants holds
the lock of the gate `queue:NAME` (docs/decisions/0044).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from lineshaft.engines.base import Row, Tx
from lineshaft.gcra import Tokens, usual_burst
from lineshaft.store import gates
from lineshaft.store.claim import Claimed, claimed_of
from lineshaft.store.queries import Statements

SQL: Final = Statements("grants")

_encode: Final = msgspec.json.Encoder(order="sorted").encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class QueueRate(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often jobs of a queue start: `count` in each `per` microseconds; `burst` None: the usual one."""

    count: int
    per: int
    burst: int | None = None

    @property
    def tokens(self) -> Tokens:
        """What counts them."""
        return Tokens(self.count, self.per, self.burst or usual_burst(self.count, self.per))


class Flow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What limits the jobs of a whole queue, over all workers; what else its settings say is others' affair."""

    concurrency: int | None = None
    rate: QueueRate | None = None

    @property
    def is_gated(self) -> bool:
        """Whether workers need grants."""
        return self.concurrency is not None or self.rate is not None


class Gated(NamedTuple):
    """A gated queue as it is read under its lock, by one worker."""

    queue: str
    flow: Flow
    tat: int
    wanted: Wanted | None
    places: int | None
    """What this worker's grant says; None: it has none."""
    others: int
    """How many places other live workers have."""
    has_undeclared: bool
    """Whether another live worker serves the queue that has not said yet how many of its jobs it holds."""
    has_waiting: bool
    """Whether a job waits for a worker."""


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """Who last got less than it wanted, and when (microseconds)."""

    at: int
    worker: int


class Heard(NamedTuple):
    """A gated queue as a heartbeat tells of it."""

    queue: str
    flow: Flow
    wanted: Wanted | None
    places: int | None


class Holder(NamedTuple):
    """A live worker with places of a gated queue."""

    queue: str
    worker: int
    places: int


_read_flow: Final = msgspec.json.Decoder(Flow).decode
_read_wanted: Final = msgspec.json.Decoder(Wanted).decode


def flow_of(text: str | None) -> Flow:
    """Return what the settings of a queue say of limits."""
    return _read_flow(text) if text else Flow()


def gate_of(queue: str) -> str:
    """Return the key of a queue's gate; no rule has a colon in its name."""
    return f"queue:{queue}"


def change_flow(tx: Tx, queue: str, changes: Mapping[str, Any], *, now: int) -> None:
    """Change settings of a queue, by their names in `Flow`; None takes one away, and what is not named stays.

    A new or lower limit takes all grants back. What workers hold goes on, and counts: each says it before anybody gets
    a place. Claims under way on PostgreSQL when a queue gets its first limit count as before it.
    """
    text = tx.run(SQL.lock_flow, {"queue": queue})[0][0]
    stored: dict[str, Any] = _decode(text) if text else {}
    before = flow_of(text)
    kept = {name: value for name, value in {**stored, **changes}.items() if value is not None}
    text = _encode(kept).decode() if kept else None
    after = flow_of(text)
    gate = gates.lock_and_read(tx, {gate_of(queue): gate_of(queue)})[gate_of(queue)]
    if _is_tighter(before.concurrency, after.concurrency) or not after.is_gated:
        tx.run(SQL.revoke_queue, {"queue": queue})
    tat = gate.tat if before.rate == after.rate else min(gate.tat, now)  # a debt is one at the rate that made it
    gates.write_step(tx, moves=[gates.Move(gate.key, tat, None, None)])
    tx.run(SQL.set_flow, {"queue": queue, "flow": text, "is_gated": after.is_gated})


def _is_tighter(before: int | None, after: int | None) -> bool:
    return after is not None and (before is None or after < before)


def declare_worker(tx: Tx, worker: int, queues: Iterable[str]) -> None:
    """Say that a new worker holds nothing of the gated queues among those that it serves."""
    tx.run(SQL.declare_worker, {"worker": worker, "queues": sorted(queues)})


def lock_queues(tx: Tx, queues: Iterable[str], *, worker: int) -> dict[str, Gated]:
    """Lock the gates of queues, in one order whoever does, and return those that are still gated, by name."""
    names = sorted(queues)
    keys = sorted(map(gate_of, names))
    if tx.run(gates.SQL.lock_gates, {"keys": keys})[0][0] < len(keys):
        tx.run(gates.SQL.add_gates, {}, [{"key": key, "rule": key} for key in keys])
    return {row[0]: _gated(row) for row in tx.run(SQL.read_gated, {"queues": names, "worker": worker})}


def write_grants(tx: Tx, places: Mapping[str, int], *, worker: int) -> None:
    """Note how many jobs of each queue a worker may hold from now on, under the locks of their gates."""
    rows = [{"queue": queue, "places": places[queue]} for queue in sorted(places)]
    if rows:
        tx.run(SQL.write_grants, {"worker": worker}, rows)


def write_gates(tx: Tx, moved: Mapping[str, tuple[int, Wanted | None]]) -> None:
    """Note the `tat` of queues' gates, and who wanted more, under their locks."""
    moves = [
        gates.Move(gate_of(queue), tat, None if wanted is None else _encode(wanted).decode(), None)
        for queue, (tat, wanted) in moved.items()
    ]
    gates.write_step(tx, moves=moves)


def trim_grant(tx: Tx, queue: str, places: int, *, worker: int) -> bool:
    """Give back what a worker has over so many places, and wake who may want it; False: it had no more."""
    return bool(tx.run(SQL.trim_grant, {"queue": queue, "worker": worker, "places": places})[0][0])


def own_places(tx: Tx, queue: str, *, worker: int) -> int | None:
    """Return how many jobs of a queue the store lets a worker hold; None: it has no grant."""
    rows = tx.run(SQL.own_places, {"queue": queue, "worker": worker})
    return rows[0][0] if rows else None


def revoke_worker(tx: Tx, worker: int) -> None:
    """Take all grants from a worker that is gone: it claims nothing of gated queues any more, should it live."""
    tx.run(SQL.revoke_worker, {"worker": worker})


def claim_granted(tx: Tx, *, queue: str, limit: int, worker: int, now: int, places: int) -> list[Claimed]:
    """As `claim_jobs`, in one statement that takes nothing unless the store grants the worker so many places."""
    params = {"queue": queue, "limit": limit, "worker": worker, "now": now, "places": places}
    return claimed_of(tx.run(SQL.claim_granted, params))


def list_grants(tx: Tx, queue: str | None = None) -> list[Holder]:
    """Return who has places of which queue (None: of any)."""
    return [Holder._make(row) for row in tx.run(SQL.list_grants, {"queue": queue})]


def see_flow(tx: Tx, queue: str) -> tuple[Flow, int]:
    """Return what limits a queue, and the `tat` of its gate, without a lock."""
    rows = tx.run(SQL.see_flow, {"queue": queue})
    return (flow_of(rows[0][0]), rows[0][1] or 0) if rows else (Flow(), 0)


def heard(text: str | None) -> Sequence[Heard]:
    """Return the gated queues that a heartbeat tells of."""
    if text is None:
        return ()
    rows = msgspec.json.decode(text)
    return [Heard(queue, flow_of(flow), _wanted(state), places) for queue, flow, state, places in rows]


def _gated(row: Row) -> Gated:
    queue, flow, tat, state, places, others, has_undeclared, has_waiting = row
    return Gated(queue, flow_of(flow), tat, _wanted(state), places, others, bool(has_undeclared), bool(has_waiting))


def _wanted(state: str | None) -> Wanted | None:
    return _read_wanted(state) if state else None
