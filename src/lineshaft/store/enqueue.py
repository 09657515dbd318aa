"""Storing new jobs: all of them or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, TypedDict

from lineshaft.engines.base import Engine, Params, Tx
from lineshaft.gates import NOWHERE, Placed
from lineshaft.store.depth import Dropping, Limits, lock_limits, make_room
from lineshaft.store.queries import Statements
from lineshaft.transitions import Stage

SQL: Final = Statements("enqueue")


class NewRow(TypedDict):
    """A job about to be stored; times are microseconds since the epoch, the rest as the schema says."""

    id: str
    queue: str
    name: str
    rank: int
    run_at: int
    stage: int
    created_at: int
    max_attempts: int
    deadline: int | None
    tenant: str | None
    tags: str | None
    meta: str | None
    options: str | None
    context: str | None
    args: str


class TurnsNeededError(Exception):
    """Nothing was stored: these queues are fair, and jobs were to be stored there that have drawn no turn."""

    def __init__(self, queues: Collection[str]) -> None:
        """Name the queues."""
        super().__init__(f"jobs of the fair queues {', '.join(sorted(queues))} need turns; draw them and store again")
        self.queues = frozenset(queues)


_NONE_PLACED: Final[Mapping[str, Placed]] = MappingProxyType({})
_SHARED: Final = tuple(name for name in NewRow.__annotations__ if name not in ("id", "args"))
_shared: Final = itemgetter(*_SHARED)


def insert_alone(engine: Engine, row: NewRow, placed: Placed | None = None) -> bool:
    """Store one new job in one statement, which is a transaction of its own; tell whether it was stored.

    It is not when its queue limits how many jobs wait, or is fair: then `insert_jobs` has to look at how deep the queue
    is, or the job has to draw a turn. `placed` says where it stands if that is not simply at its time.
    """
    if placed is None:
        return bool(engine.write_apart(lambda tx: tx.run(SQL.insert_job, row)))
    return bool(engine.write_apart(lambda tx: _insert(tx, [row], {row["id"]: placed})))


def insert_jobs(
    tx: Tx,
    rows: Sequence[NewRow],
    *,
    is_resend: bool = False,
    is_limited: bool = True,
    dropping: Dropping | None = None,
    placed: Mapping[str, Placed] = _NONE_PLACED,
    has_turns: bool = False,
) -> None:
    """Store the jobs; unless `is_limited`, whatever the depth of their queues.

    `placed` says of jobs, by their ids, where they stand if that is not simply at their time: one with a gate is
    parked there, and the gate has to be locked. `has_turns` says that whoever calls can draw turns: nothing is stored
    then, and `TurnsNeededError` raised, if the queue of a job is fair and it has none (`Placed.fair`); otherwise such
    a job stands at its time.

    `is_resend` says that these very jobs were sent before and the answer was lost: those that are stored already,
    finished ones included, stay as they are. `dropping` says how the oldest jobs end that make room where a full
    queue has them do so; without it such a queue refuses too. Raises `QueueFull` when a queue has reached its
    `max_depth`; nothing is stored then.
    """
    if not (is_limited or has_turns):
        _insert_checked(tx, rows, placed)
    elif _insert(tx, rows, placed) < len(rows):
        limits = lock_limits(tx, {row["queue"] for row in rows}) if is_limited else None
        _insert_missing(tx, rows, limits, dropping, placed, has_turns=has_turns)
    if is_resend:
        tx.run(SQL.drop_finished_resends, {"ids": [row["id"] for row in rows]})


def stored_ids(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are those of stored jobs, finished ones included."""
    return {row[0] for row in tx.run(SQL.existing_ids, {"ids": list(ids)})}


def fair_queues(tx: Tx, queues: Collection[str]) -> set[str]:
    """Return those of the queues that are fair: jobs that are stored there draw turns."""
    return {row[0] for row in tx.run(SQL.fair_queues, {"queues": sorted(queues)})}


def _insert(tx: Tx, rows: Sequence[NewRow], placed: Mapping[str, Placed]) -> int:
    shared = _shared(rows[0])
    if any(_shared(row) != shared for row in rows):
        statement = SQL.insert_placed_jobs if placed else SQL.insert_jobs
        found = tx.run(statement, {"is_checked": False}, _placed_rows(rows, placed) if placed else rows)
    else:
        statement = SQL.insert_placed_like_jobs if placed else SQL.insert_like_jobs
        own = [_own(row, placed) if placed else {"id": row["id"], "args": row["args"]} for row in rows]
        found = tx.run(statement, dict(zip(_SHARED, shared, strict=True)), own)
    inserted: int = found[0][0]
    return inserted


def _insert_checked(tx: Tx, rows: Sequence[NewRow], placed: Mapping[str, Placed]) -> None:
    if placed:
        tx.run(SQL.insert_placed_jobs, {"is_checked": True}, _placed_rows(rows, placed))
    else:
        tx.run(SQL.insert_jobs, {"is_checked": True}, rows)


def _insert_missing(
    tx: Tx,
    rows: Sequence[NewRow],
    limits: Sequence[Limits] | None,
    dropping: Dropping | None,
    placed: Mapping[str, Placed],
    *,
    has_turns: bool,
) -> None:
    """Store what was not stored; `limits` of their queues are locked, None: whatever those are."""
    needing = fair_queues(tx, _queues_without_turns(rows, placed))
    if has_turns and needing:
        raise TurnsNeededError(needing)
    if limits is not None and not limits and not needing:
        return  # the missing ones were stored by the first send
    known = stored_ids(tx, [row["id"] for row in rows])
    new = [row for row in rows if row["id"] not in known]
    make_room(tx, Counter((row["queue"], row["tenant"]) for row in new), limits or (), dropping)
    if new:
        _insert_checked(tx, new, placed)


def _queues_without_turns(rows: Sequence[NewRow], placed: Mapping[str, Placed]) -> set[str]:
    return {row["queue"] for row in rows if row["id"] not in placed or placed[row["id"]].fair is None}


def _placed_rows(rows: Sequence[NewRow], placed: Mapping[str, Placed]) -> list[Params]:
    return [{**row, **_own(row, placed)} for row in rows]


def _own(row: NewRow, placed: Mapping[str, Placed]) -> dict[str, Any]:
    """Return what a job that may have a place does not share with others like it."""
    gate, turn, sequence, fair = placed.get(row["id"], NOWHERE)
    return {
        "id": row["id"],
        "args": row["args"],
        "stage": row["stage"] if gate is None else int(Stage.PARKED),
        "gate": gate,
        "turn": turn,
        "sequence": sequence,
        "fair": fair,
    }
