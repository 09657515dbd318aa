"""How many jobs may wait in a queue, and what makes room in a full one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from lineshaft.clock import to_text
from lineshaft.engines.base import Tx
from lineshaft.errors import QueueFull
from lineshaft.feature import Feature
from lineshaft.store.control import cancel_jobs
from lineshaft.store.queries import Statements
from lineshaft.transitions import Reason

SQL: Final = Statements("depth")

OnFull = Literal["reject", "drop_oldest", "block"]


class Limits(NamedTuple):
    """How many jobs may wait in a queue; `block_timeout` in microseconds, for `block` only."""

    queue: str
    max_depth: int | None
    max_depth_per_tenant: int | None
    on_full: OnFull | None
    block_timeout: int | None


class Dropping(NamedTuple):
    """How jobs end that make room: when, until when they are kept, and who is shown their ends."""

    now: int
    expires_at: int
    features: Sequence[Feature]


@dataclass(slots=True)
class _Room:
    """What is being made in one transaction: nothing is dropped before everything fits."""

    tx: Tx
    dropping: Dropping | None
    dropped: list[str] = field(default_factory=list[str])


def lock_limits(tx: Tx, queues: Collection[str]) -> list[Limits]:
    """Return the limits of those queues that have some, and let nobody else add to them in this transaction."""
    return [Limits(*row) for row in tx.run(SQL.lock_limited_queues, {"queues": sorted(queues)})]


def make_room(
    tx: Tx, wanted: Counter[tuple[str, str | None]], limits: Sequence[Limits], dropping: Dropping | None
) -> None:
    """See to it that so many jobs of (queue, tenant) fit into their queues, whose limits are locked.

    Raises `QueueFull` when they do not, and then has changed nothing.
    """
    room = _Room(tx, dropping)
    for limit in limits:
        _make_room_in(room, limit, Counter({of: count for (name, of), count in wanted.items() if name == limit.queue}))
    if room.dropped and dropping is not None:
        cancel_jobs(
            tx,
            room.dropped,
            now=dropping.now,
            expires_at=dropping.expires_at,
            features=dropping.features,
            reason=Reason.DROPPED,
        )


def _make_room_in(room: _Room, limit: Limits, wanted: Counter[str | None]) -> None:
    dropped: list[str] = []
    if limit.max_depth_per_tenant is not None:
        for tenant in sorted(one for one in wanted if one is not None):
            dropped += _fit(room, limit, tenant, limit.max_depth_per_tenant, wanted[tenant], [])
    if limit.max_depth is not None and wanted:
        dropped += _fit(room, limit, None, limit.max_depth, wanted.total(), dropped)
    room.dropped += dropped


def _fit(room: _Room, limit: Limits, tenant: str | None, most: int, wanted: int, gone: Sequence[str]) -> list[str]:
    """Return which jobs have to go beside those that are going."""
    waiting = _count(room.tx, limit.queue, tenant, most)
    excess = waiting - len(gone) + wanted - most
    if excess <= 0:
        return []
    if limit.on_full == "drop_oldest" and room.dropping is not None and wanted <= most:
        found = _oldest(room.tx, limit.queue, tenant, excess + len(gone))
        oldest = [one for one in found if one not in set(gone)][:excess]
        if len(oldest) == excess:
            return oldest
    raise _full(limit, tenant, waiting, most, wanted)


def _count(tx: Tx, queue: str, tenant: str | None, most: int) -> int:
    if tenant is None:
        return int(tx.run(SQL.count_waiting, {"queue": queue, "limit": most})[0][0])
    return int(tx.run(SQL.count_waiting_of_tenant, {"queue": queue, "tenant": tenant, "limit": most})[0][0])


def _oldest(tx: Tx, queue: str, tenant: str | None, count: int) -> list[str]:
    return [row[0] for row in tx.run(SQL.lock_oldest, {"queue": queue, "tenant": tenant, "limit": count})]


def _full(limit: Limits, tenant: str | None, waiting: int, most: int, wanted: int) -> QueueFull:
    whose = "" if tenant is None else f" of tenant {tenant!r}"
    option = "max_depth" if tenant is None else "max_depth_per_tenant"
    can_wait = limit.on_full == "block" and wanted <= most
    told = {
        "drop_oldest": "too few of them are ready and could be dropped",
        "block": f"there was no room for it, which may be waited for up to {to_text(limit.block_timeout or 0)}",
    }.get(limit.on_full or "", "")
    return QueueFull(
        f"queue {limit.queue!r} holds {waiting} of at most {most} waiting jobs{whose} "
        f"and cannot take {wanted} more{told and ': '}{told}; nothing was stored: enqueue later, or raise {option}",
        block_timeout=limit.block_timeout if can_wait else None,
    )
