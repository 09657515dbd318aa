"""Workers' rows, heartbeats, and what is needed to rescue the jobs of one that is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from lineshaft.clock import DAY
from lineshaft.engines.base import Tx
from lineshaft.store.lead import NO_LEAD, Lead
from lineshaft.store.queries import Statements
from lineshaft.transitions import Held

SQL: Final = Statements("upkeep")

_HELD: Final = len(Held._fields)
_CHUNK: Final = 250
_HISTORY_DAYS: Final = 40
_DAYS_AHEAD: Final = 10


class Suspect(NamedTuple):
    """A worker whose heartbeat is old."""

    id: int
    is_lease_over: bool
    """Whether its heartbeat is older than the lease, so that it is dead whatever its lock says."""
    host: str
    pid: int


class Beaten(NamedTuple):
    """What a worker hears of itself when it says that it lives."""

    is_draining: bool
    """Whether it is to take no more jobs and end."""
    lead: Lead = NO_LEAD
    """Who leads."""
    gated: str | None = None
    """JSON: the queues with limits of their own, see `store.grants.heard`."""
    fair: str | None = None
    """JSON: the names of fair queues."""


class Blocked(msgspec.Struct, frozen=True):
    """An event loop of a worker that does not go on."""

    since: int
    job: str | None
    """The id of the job that blocks it; None when it is something else."""
    task: str | None
    stack: str
    """Where the loop's thread was when it was noticed."""


class Orphan(NamedTuple):
    """A job held by a worker that is gone."""

    held: Held
    is_isolated: bool
    max_attempts: int
    cancel_requested: bool
    queue: str
    name: str
    started_at: int
    tenant: str | None
    options: str | None
    context: str | None


def register_worker(
    tx: Tx, *, host: str, pid: int, version: str, queues: Mapping[str, int], tasks: Sequence[str], now: int
) -> int:
    """Store a new incarnation of a worker and return its id, which is never used twice."""
    params = {
        "host": host,
        "pid": pid,
        "version": version,
        "queues": msgspec.json.encode(dict(queues)).decode(),
        "tasks": msgspec.json.encode(list(tasks)).decode(),
        "server": "",
        "now": now,
    }
    return int(tx.run(SQL.register_worker, params)[0][0])


def beat(tx: Tx, *, worker: int, server: str, now: int, load: str | None = None, oldest: int = 0) -> Beaten | None:
    """Renew a worker's lease and note its load (JSON; None leaves it); None when it was declared dead meanwhile.

    `oldest` is as for `store.lead.see_lead`.
    """
    rows = tx.run(SQL.beat, {"worker": worker, "server": server, "now": now, "load": load, "oldest": oldest})
    if not rows:
        return None
    is_draining, term, leader, gated, fair = rows[0]
    return Beaten(is_draining=bool(is_draining), lead=Lead(term, leader), gated=gated, fair=fair)


def set_idle(tx: Tx, *, worker: int, is_idle: bool) -> None:
    """Say whether the worker sleeps, and so has to be woken for new jobs."""
    tx.run(SQL.set_idle, {"worker": worker, "is_idle": is_idle})


def set_blocked(tx: Tx, *, worker: int, blocked: Blocked | None) -> None:
    """Say which job blocks the worker's event loop, or that it goes on."""
    text = None if blocked is None else msgspec.json.encode(blocked).decode()
    tx.run(SQL.set_blocked, {"worker": worker, "blocked": text})


def set_draining(tx: Tx, *, worker: int) -> None:
    """Say that the worker takes no more jobs and will end."""
    tx.run(SQL.set_draining, {"worker": worker})


def suspects(tx: Tx, *, worker: int, now: int, silence: int, lease: int) -> list[Suspect]:
    """Return the other workers whose heartbeat is older than `silence`; `lease` ends every lease (microseconds)."""
    params = {"worker": worker, "now": now, "silence": silence, "lease": lease}
    return [Suspect(row[0], bool(row[1]), row[2], row[3]) for row in tx.run(SQL.suspects, params)]


def unregistered_holders(tx: Tx) -> list[int]:
    """Return the ids of workers that hold jobs and have no row: nobody would ever rescue those jobs."""
    return [row[0] for row in tx.run(SQL.unregistered_holders, {})]


def orphans(tx: Tx, worker: int, *, limit: int = _CHUNK) -> list[Orphan]:
    """Return up to `limit` jobs that a worker holds."""
    rows = tx.run(SQL.held_by, {"worker": worker, "limit": limit})
    return [
        Orphan(Held._make(row[:_HELD]), bool(row[_HELD]), row[_HELD + 1], bool(row[_HELD + 2]), *row[_HELD + 3 :])
        for row in rows
    ]


def remove_worker(tx: Tx, worker: int) -> bool:
    """Delete a worker's row; False when somebody else did."""
    return bool(tx.run(SQL.remove_worker, {"worker": worker})[0][0])


def ensure_history(tx: Tx, *, now: int, longest: int = 0) -> None:
    """Make the history's partitions of the coming 40 days, and of the `longest` retention where that is more.

    Harmless when they exist. What somebody's open transaction keeps it from making is left to the next call.
    """
    tx.run(SQL.ensure_history, {"now": now, "days": max(_HISTORY_DAYS, longest // DAY + _DAYS_AHEAD)})
