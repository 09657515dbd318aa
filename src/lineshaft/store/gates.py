"""Gates: reading what is in them under their locks, and writing what was decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from lineshaft.clock import HOUR
from lineshaft.engines.base import Row, Tx
from lineshaft.gates import Gate
from lineshaft.store.line import ALL_OPEN, Parked, Queues, park_jobs, release_jobs, release_line
from lineshaft.store.queries import Statements
from lineshaft.transitions import Held

SQL: Final = Statements("gates")

_NONE: Final[Mapping[str, int]] = MappingProxyType({})
_CHUNK: Final = 1_000


class Move(NamedTuple):
    """What a gate becomes."""

    key: str
    tat: int
    state: str | None
    wake_at: int | None
    """When somebody looks at it next, if it has a line then."""


class Slot(NamedTuple):
    """A place that a held job takes in a gate that is not its own."""

    job: str
    gate: str
    claim: int


class Pruned(NamedTuple):
    """What one step of pruning did."""

    deleted: int
    after: str | None
    """The key to go on after; None: all gates have been looked at."""


def lock_and_read(
    tx: Tx, keys: Mapping[str, str], *, own: Mapping[str, int] = _NONE, closed: Collection[str] = ()
) -> dict[str, Gate]:
    """Lock gates until the transaction ends, and return them as they are then; those that are missing are made.

    `keys` are the gates with their rules; `own` says of which the caller decides about how many members, which it
    has just claimed: `Gate.held` leaves them out. `closed` are queues that nobody can claim from: `Gate.ready` leaves
    out what was released into them. All gates of a transaction have to be locked by one call: locks are
    had in the order of the keys, so that nobody waits in a circle.
    """
    ordered = sorted(keys)
    if tx.dialect == "sqlite":  # the write transaction is the lock
        gates = read_gates(tx, ordered, own=own, closed=closed)
        if len(gates) == len(ordered):
            return gates
        tx.run(SQL.add_gates, {}, [{"key": key, "rule": keys[key]} for key in ordered if key not in gates])
    elif tx.run(SQL.lock_gates, {"keys": ordered})[0][0] < len(ordered):
        tx.run(SQL.add_gates, {}, [{"key": key, "rule": keys[key]} for key in ordered])
    return read_gates(tx, ordered, own=own, closed=closed)


def read_gates(
    tx: Tx, keys: Collection[str], *, own: Mapping[str, int] = _NONE, closed: Collection[str] = ()
) -> dict[str, Gate]:
    """Return those of the gates that there are; without their locks they may change at any moment."""
    if not keys:
        return {}
    rows = tx.run(SQL.read_gates, {"keys": list(keys), "closed": list(closed)})
    return {gate.key: gate for gate in (_gate(row, own) for row in rows)}


def write_step(
    tx: Tx,
    *,
    worker: int = 0,
    parked: Sequence[Parked] = (),
    releases: Mapping[str, int] = _NONE,
    released: Sequence[str] = (),
    slots: Sequence[Slot] = (),
    moves: Sequence[Move] = (),
    queues: Queues = ALL_OPEN,
) -> set[str]:
    """Write what was decided for locked gates, and return the queues that have jobs again.

    `parked` are claimed jobs of the worker; of each gate's line `releases` heads are let in, but none of queues that
    are closed, and by their ids those `released` that stand in one. A gate that loses or gains a line has to be among
    the `moves`: its `wake_at` is kept only if it has a line after all that.
    """
    if parked:
        park_jobs(tx, parked, worker=worker)
    stirred = release_line(tx, releases, queues) | release_jobs(tx, released)
    if slots:
        tx.run(SQL.take_slots, {}, [{"job": job, "gate": gate, "claim": claim} for job, gate, claim in slots])
    if moves:
        tx.run(SQL.move_gates, {}, [one._asdict() for one in sorted(moves)])
    return stirred


def remove_slots(tx: Tx, held: Sequence[Held]) -> None:
    """Give up all places that jobs had in gates that are not their own, by these claims of them."""
    tx.run(SQL.remove_slots, {}, [{"id": one.id, "claim": one.claim} for one in held])


def gates_of(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """Return the gates, with their rules, in which these jobs are, or whose lines they stand in."""
    return dict(tx.run(SQL.gates_of, {"ids": list(ids)}))


def take_due(tx: Tx, now: int, limit: int = 100, *, closed: Collection[str] = ()) -> dict[str, Gate]:
    """Lock gates with a line that somebody has to look at, those due longest first, and return them.

    Passes over those that somebody else decides for. The transaction must not lock any other gate.
    """
    due = [row[0] for row in tx.run(SQL.due_gates, {"now": now, "limit": limit})]
    return read_gates(tx, due, closed=closed)


def next_wake(tx: Tx) -> int | None:
    """Return when somebody has to look at a gate next; None when there is no line."""
    instant: int | None = tx.run(SQL.next_wake, {})[0][0]
    return instant


def hasten_gates(tx: Tx, *, now: int, latest: int) -> None:
    """Have every gate looked at now that was to be looked at after `latest`: that may have been said by another clock.

    Passes over those that somebody else decides for. The transaction must not have locked any gate before.
    """
    tx.run(SQL.hasten_gates, {"now": now, "latest": latest})


def prune_gates(tx: Tx, now: int, limit: int = _CHUNK, *, after: str = "") -> Pruned:
    """Look at up to `limit` gates behind `after` and delete those of which nothing is known any more.

    Those are empty, have no line and no state, and have let nothing in for an hour. Goes through all gates when it is
    called, in transactions of its own, with the `after` of each answer until that is None. The first call also deletes
    up to `limit` slots of jobs that are not held any more.
    """
    if not after:
        tx.run(SQL.delete_void_slots, {"limit": limit})
    last = tx.run(SQL.last_gate_of_chunk, {"after": after, "limit": limit})[0][0]
    if last is None:
        return Pruned(0, None)
    params = {"after": after, "last": last, "before": now - HOUR}
    return Pruned(int(tx.run(SQL.delete_idle_gates, params)[0][0]), last)


def _gate(row: Row, own: Mapping[str, int]) -> Gate:
    key, rule, kind, declared, overrides, tat, state, wake_at, members, held, slots, first = row
    others = held + slots - own.get(key, 0)
    return Gate(key, rule, declared, overrides, tat, state, wake_at, others, members - held, first, kind)
