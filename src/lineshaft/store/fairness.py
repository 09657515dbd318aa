"""Making queues fair and plain again, forgetting who waits no more, and telling who comes before a job."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from lineshaft.clock import HOUR
from lineshaft.engines.base import Tx
from lineshaft.options.fair import Fair
from lineshaft.store.grants import change_flow
from lineshaft.store.turns import SQL, Whose, fair_of

_CHUNK: Final = 1_000
START: Final = Whose("", -1_000, "")
"""Comes before every row of who drew turns."""


class Pruned(NamedTuple):
    """How many rows went, and behind which one to go on; None: that was all."""

    removed: int
    after: Whose | None


class Turn(NamedTuple):
    """Where a ready job stands in a fair queue."""

    fair: Fair
    key: str
    """Whose turn it takes."""
    place: int
    before: int
    """How many jobs of its priority come before it, of up to as many as were asked for."""
    others: int
    """Of how many others those are."""


def change_fair(tx: Tx, queue: str, fair: Fair | None, *, now: int) -> None:
    """Have the jobs of a queue take turns (None: no more), those that are enqueued or fall due from now on.

    Jobs that are ready stand where they stand; when turns end, `drop_turns` has to be called until it returns 0.
    """
    change_flow(tx, queue, {"fair": None if fair is None else fair.dump()}, now=now)
    tx.run(SQL.set_fair, {"queue": queue, "is_fair": fair is not None})
    if fair is not None:
        tx.run(SQL.name_waiting, {"queue": queue, "by_tenant": fair.by == "tenant"})


def drop_turns(tx: Tx, queue: str, *, now: int) -> int:
    """Have up to 1,000 jobs of each priority whose turns lie ahead of time stand at their times; return how many."""
    ranks = [row[0] for row in tx.run(SQL.ready_ranks, {"queue": queue})]
    params = {"queue": queue, "now": now, "limit": _CHUNK}
    return sum(int(tx.run(SQL.drop_turns, {**params, "rank": rank})[0][0]) for rank in ranks)


def prune_turns(tx: Tx, *, now: int, after: Whose = START) -> Pruned:
    """Delete, of up to 1,000 rows, those of who has drawn nothing for an hour and whom its queue has passed.

    They lose nothing by it: whoever comes anew draws where the queue has come to.
    """
    page = tx.run(SQL.last_turn_of_page, {**after._asdict(), "limit": _CHUNK})
    if not page:
        return Pruned(0, None)
    last = Whose(*page[0])
    ends = {f"last_{name}": value for name, value in last._asdict().items()}
    return Pruned(tx.run(SQL.remove_turns, {**after._asdict(), **ends, "before": now - HOUR})[0][0], last)


def turn_of(tx: Tx, job_id: str, *, limit: int) -> Turn | None:
    """Return where a ready job stands, looking at up to `limit` jobs before it; None: its queue is not fair."""
    found = tx.run(SQL.turn_of, {"id": job_id})
    if not found:
        return None
    queue, rank, place, key, flow = found[0]
    params: dict[str, Any] = {"queue": queue, "rank": rank, "turn": place, "id": job_id, "fair": key, "limit": limit}
    return Turn(fair_of(flow), key, place, *tx.run(SQL.before_turn, params)[0])
