"""Schedules and their ticks in the store: one row each, moved on under the row's lock."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.store.queries import Statements

SQL: Final = Statements("schedule", "lineshaft.features.schedules")

BY_CLOCK: Final = ""
"""The `run` of ticks that came by the clock."""
MANUAL: Final = "manual"
"""The `run` of ticks that a person asked for; a backfill's ticks have its id."""

_TICKS_KEPT: Final = 100
_CHUNK: Final = 1_000


class TickState(IntEnum):
    """What became of a tick; below `ENQUEUED` it is not settled."""

    WAITING = 0
    """Its turn comes when a job before it has ended."""
    OPEN = 1
    """Its job is unfinished, and it matters when it ends."""
    ENQUEUED = 2
    """Its job was stored, and nothing more is to be done about it."""
    SKIPPED = 3
    """It got no job: one before it was unfinished, its unique key was held, or its queue was full; the note says."""
    MISSED = 4
    """Nobody was there in time, and it was not caught up: the last of them, whose note says how many they were."""


class ScheduleRow(NamedTuple):
    """A schedule as stored; instants in microseconds since the epoch."""

    name: str
    source: str
    declared_by: str | None
    declared: str
    """`Definition` as JSON."""
    overrides: str | None
    """What a person changed of it, as JSON (`definition.changes_between`)."""
    watches: str | None
    """The task whose jobs have to complete, of action `check`."""
    version: int
    created_at: int
    updated_at: int
    removed_at: int | None = None
    paused_at: int | None = None
    paused_by: str | None = None
    pause_reason: str | None = None
    next_at: int | None = None
    """Its next tick; None: there is none, or it waits for a job to end."""
    due_at: int | None = None
    """When the leader has to look at it; None: never."""
    last_at: int | None = None
    last_job: str | None = None
    succeeded_at: int | None = None
    succeeded_tick: int | None = None
    overdue_at: int | None = None


class TickRow(NamedTuple):
    """What became of one tick; (schedule, at, run) is its key."""

    schedule: str
    at: int
    run: str
    state: int
    job: str | None
    decided_at: int
    note: str | None = None

    def become(self, state: TickState, *, job: str | None = None, note: str | None = None) -> TickRow:
        """Return it in another state; a third of the time that `_replace` takes."""
        return TickRow(self.schedule, self.at, self.run, state, job or self.job, self.decided_at, note or self.note)


class OpenTick(NamedTuple):
    """A tick that is not settled, and whether its job is still unfinished."""

    tick: TickRow
    is_unfinished: bool


class Move(NamedTuple):
    """What the leader writes of a schedule that it has looked at."""

    name: str
    next_at: int | None
    due_at: int | None
    last_at: int | None
    last_job: str | None
    overdue_at: int | None


class Ending(NamedTuple):
    """The end of a schedule's job."""

    schedule: str
    at: int
    run: str
    job: str
    is_success: bool
    """Whether it completed, and not in a backfill."""


# --- what people do ---------------------------------------------------------------------------------------------------


def insert_schedule(tx: Tx, row: ScheduleRow) -> bool:
    """Store a new schedule and wake the leader; False when there is one of this name."""
    return bool(tx.run(SQL.insert_schedule, row._asdict())[0][0])


def update_schedule(tx: Tx, row: ScheduleRow) -> bool:
    """Write all of a schedule that was read with `lock_schedule`, as its next version, and wake the leader.

    `row.version` is the one that was read; False when it is not that any more.
    """
    return bool(tx.run(SQL.update_schedule, row._asdict())[0][0])


def get_schedule(tx: Tx, name: str) -> ScheduleRow | None:
    """Return a schedule, None when there is none of this name."""
    rows = tx.run(SQL.get_schedule, {"name": name})
    return ScheduleRow._make(rows[0]) if rows else None


def lock_schedule(tx: Tx, name: str) -> ScheduleRow | None:
    """Return a schedule that nobody else changes before this transaction ends; the leader passes over it."""
    rows = tx.run(SQL.lock_schedule, {"name": name})
    return ScheduleRow._make(rows[0]) if rows else None


def list_schedules(tx: Tx, *, after: str = "", limit: int = _CHUNK) -> list[ScheduleRow]:
    """Return schedules behind this name in the order of their names, those removed from the code too."""
    return [ScheduleRow._make(row) for row in tx.run(SQL.list_schedules, {"after": after, "limit": limit})]


def delete_schedule(tx: Tx, name: str) -> bool:
    """Delete a schedule whose ticks `delete_ticks` has deleted, with what came since; False: there was none."""
    delete_ticks(tx, name)
    return bool(tx.run(SQL.delete_schedule, {"name": name})[0][0])


def delete_ticks(tx: Tx, name: str) -> int:
    """Delete up to 1,000 of a schedule's ticks and return how many; in a transaction of its own, until it is 0."""
    return int(tx.run(SQL.delete_ticks, {"name": name, "limit": _CHUNK})[0][0])


def list_ticks(tx: Tx, name: str, *, before: tuple[int, str] | None = None, limit: int = _TICKS_KEPT) -> list[TickRow]:
    """Return a page of a schedule's ticks, the latest first, behind the (at, run) of the last of the page before."""
    at, run = before or (2**62, "")
    return [TickRow._make(row) for row in tx.run(SQL.list_ticks, {"name": name, "at": at, "run": run, "limit": limit})]


# --- what the leader does ---------------------------------------------------------------------------------------------


def next_due(tx: Tx) -> int | None:
    """Return when a schedule has to be looked at again; None: there is nothing to wait for."""
    found: int | None = tx.run(SQL.next_due, {})[0][0]
    return found


def lock_due(tx: Tx, *, now: int, limit: int = _CHUNK) -> list[ScheduleRow]:
    """Return schedules that are due, locked; those that somebody else has locked are passed over."""
    return [ScheduleRow._make(row) for row in tx.run(SQL.lock_due, {"now": now, "limit": limit})]


def open_ticks(tx: Tx, names: Sequence[str]) -> list[OpenTick]:
    """Return the ticks of these schedules that are not settled, those of backfills left out, in order."""
    rows = tx.run(SQL.open_ticks, {"names": list(names)})
    return [OpenTick(TickRow._make(row[:-1]), bool(row[-1])) for row in rows]


def add_ticks(tx: Tx, ticks: Sequence[TickRow]) -> set[tuple[str, int, str]]:
    """Store ticks and return the (schedule, at, run) of those that were not there before: only they get jobs."""
    return {(row[0], row[1], row[2]) for row in tx.run(SQL.add_ticks, {}, [one._asdict() for one in ticks])}


def change_ticks(tx: Tx, ticks: Sequence[TickRow]) -> None:
    """Write what became of ticks that were stored before."""
    tx.run(SQL.change_ticks, {}, [one._asdict() for one in ticks])


def move_schedules(tx: Tx, moves: Sequence[Move]) -> None:
    """Write what the leader decided about schedules that this transaction has locked."""
    ordered = sorted(moves, key=lambda one: one.name)  # width_bucket searches in sorted arrays
    tx.run(SQL.move_schedules, {}, [one._asdict() for one in ordered])


def note_ends(tx: Tx, endings: Sequence[Ending], *, now: int) -> None:
    """Settle the ticks whose jobs have ended, and have the leader look at their schedules."""
    tx.run(SQL.settle_ticks, {}, [one._asdict() for one in endings])
    succeeded: dict[str, int | None] = {}
    for one in endings:
        latest = succeeded.get(one.schedule)
        succeeded[one.schedule] = max(one.at, latest or 0) if one.is_success else latest
    tx.run(SQL.note_ends, {"now": now}, [{"name": name, "tick": at} for name, at in sorted(succeeded.items())])


# --- pruning ----------------------------------------------------------------------------------------------------------


def overgrown(tx: Tx, names: Sequence[str], *, before: int) -> list[str]:
    """Return those of the schedules that have ticks for `prune_ticks`."""
    values = {"names": list(names), "before": before, "kept": _TICKS_KEPT}
    return [row[0] for row in tx.run(SQL.overgrown, values)]


def prune_ticks(tx: Tx, name: str, *, before: int) -> int:
    """Delete up to 1,000 settled ticks decided before this instant, but never the schedule's last 100; how many."""
    values = {"name": name, "before": before, "kept": _TICKS_KEPT, "limit": _CHUNK}
    return int(tx.run(SQL.prune_ticks, values)[0][0])
