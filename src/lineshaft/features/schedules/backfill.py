"""Backfills: a schedule's ticks of a past range, enqueued on purpose, in order, and never too many at once.

The leader goes on with them where it left off: `next_at` is the first tick that is not enqueued, and moves in the
transaction that enqueues those before it. How many of its jobs are unfinished is read off the jobs, never counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from lineshaft.clock import MINUTE, SECOND, to_datetime
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules.definition import read_definition
from lineshaft.features.schedules.firing import job_of_tick, store_jobs
from lineshaft.features.schedules.records import MANUAL, TickRow, TickState, add_ticks, change_ticks
from lineshaft.recurrence import Days, Every
from lineshaft.store.queries import Statements

if TYPE_CHECKING:
    from lineshaft.engines.base import Row, Tx
    from lineshaft.feature import Feature
    from lineshaft.features.schedules.definition import Definition
    from lineshaft.features.schedules.records import ScheduleRow
    from lineshaft.recurrence import Recurrence

SQL: Final = Statements("backfill", "lineshaft.features.schedules")

MOST_AT_ONCE: Final = 10_000
MOST_TICKS: Final = 100_000
"""They are counted before the first is enqueued, at some 20 µs each."""
_CHUNK: Final = 500
_FULL_QUEUE_WAIT: Final = 10 * SECOND
_LOOK_AGAIN: Final = MINUTE
"""A job that waits may be cancelled or deleted, and nobody is shown that."""

BackfillState = Literal["running", "done", "cancelled"]


class BackfillRow(NamedTuple):
    """A backfill as stored; instants in microseconds since the epoch."""

    id: str
    schedule: str
    since: int
    until: int
    at_most: int
    only_missing: bool
    next_at: int | None
    """The first tick that is not enqueued, at the earliest; None: none is left."""
    enqueued: int
    created_at: int
    ended_at: int | None
    unfinished: int = 0
    """How many of its jobs are unfinished."""
    lost: int = 0
    """How many ticks are noted as if their jobs were unfinished, and are not."""

    @property
    def state(self) -> BackfillState:
        """What it is doing: only one that was cancelled ends with ticks left."""
        if self.ended_at is None:
            return "running"
        return "done" if self.next_at is None else "cancelled"


class Portion(NamedTuple):
    """The ticks that a backfill comes to next, and where it goes on behind them."""

    ticks: list[int]
    next_at: int | None


def check_backfill(name: str, definition: Definition, since: int, until: int, now: int) -> int:
    """Return the first tick of a range that may be backfilled; raises `ScheduleError` when it may not."""
    if reason := _refusal(definition, since, until, now):
        msg = f"schedule {name!r} cannot be backfilled: {reason}"
        raise ScheduleError(msg)
    recurrence = unbounded(definition.recurrence)
    first = recurrence.after(since - 1)
    count = _count(recurrence, since, until)
    if first is None or not 0 < count <= MOST_TICKS:
        often = f"more than {MOST_TICKS:,} times" if count else "never"
        advice = "do it in parts" if count else "give another range"
        msg = (
            f"schedule {name!r} cannot be backfilled: from {_shown(since)} to {_shown(until)} "
            f"it ticks {often}; {advice}"
        )
        raise ScheduleError(msg)
    return first


def unbounded(recurrence: Recurrence) -> Recurrence:
    """Return a rule without its bounds: they say when it ticks by the clock, not for which times there is work to do.

    The start stays where intervals may be counted from it.
    """
    is_counted = isinstance(recurrence.rule, Every | Days)
    return msgspec.structs.replace(recurrence, start=recurrence.start if is_counted else None, end=None)


def portion(recurrence: Recurrence, next_at: int, until: int, most: int) -> Portion:
    """Return up to `most` ticks from `next_at` on and before `until`."""
    ticks = recurrence.between(next_at - 1, until - 1, most + 1)
    return Portion(ticks[:most], ticks[most] if len(ticks) > most else None)


# --- what people do ---------------------------------------------------------------------------------------------------


def insert_backfill(tx: Tx, row: BackfillRow) -> bool:
    """Store a new backfill and have the leader look at its schedule; False when there is no such schedule."""
    if not tx.run(SQL.call_leader, {"schedule": row.schedule, "now": row.created_at})[0][0]:
        return False
    tx.run(SQL.insert_backfill, row._asdict())
    return True


def get_backfill(tx: Tx, backfill: str) -> BackfillRow | None:
    """Return a backfill, None when there is none of this id."""
    rows = tx.run(SQL.get_backfill, {"id": backfill})
    return _row(rows[0]) if rows else None


def list_backfills(tx: Tx, schedule: str, *, limit: int) -> list[BackfillRow]:
    """Return a schedule's backfills, the latest first."""
    return [_row(row) for row in tx.run(SQL.list_backfills, {"schedule": schedule, "limit": limit})]


def cancel_backfill(tx: Tx, backfill: str, *, now: int) -> bool:
    """Have no more enqueued by a backfill; False when it is over already, or there is none of this id."""
    return bool(tx.run(SQL.cancel_backfill, {"id": backfill, "now": now})[0][0])


# --- what the leader does ---------------------------------------------------------------------------------------------


def advance_backfills(
    tx: Tx, features: Sequence[Feature], schedules: Sequence[ScheduleRow], now: int
) -> dict[str, int]:
    """Go on, as far as may be now, with the backfills of schedules that this transaction has locked.

    `features` are those that look at new jobs. Returns by name when to look again at the schedules that
    have backfills, if no job of theirs ends before. Raises `msgspec.MsgspecError` for a definition of another version.
    """
    by_name = {one.name: one for one in schedules}
    again: dict[str, int] = {}
    for row in sorted(map(_row, tx.run(SQL.open_backfills, {"schedules": list(by_name)}))):
        at = _advance(tx, features, by_name[row.schedule], row, now)
        if at is not None:
            again[row.schedule] = min(at, again.get(row.schedule, at))
    return again


def prune_backfills(tx: Tx, *, before: int) -> int:
    """Delete the backfills that ended before this instant, and whose jobs have, and return how many."""
    tx.run(SQL.settle_ended, {"before": before})
    return int(tx.run(SQL.prune_backfills, {"before": before})[0][0])


def _advance(tx: Tx, features: Sequence[Feature], schedule: ScheduleRow, row: BackfillRow, now: int) -> int | None:
    if row.lost:
        tx.run(SQL.settle_lost, {"schedule": row.schedule, "run": row.id})
    definition = read_definition(schedule.declared, schedule.overrides)
    if definition.job is None or definition.recurrence.is_after_finish:  # it was changed into one that cannot be
        cancel_backfill(tx, row.id, now=now)
        return None
    step = _next_step(tx, row, definition)
    enqueued, refused_at = _store(tx, features, schedule, row.id, step.ticks, now) if step.ticks else (0, None)
    next_at = step.next_at if refused_at is None else refused_at
    unfinished = row.unfinished + enqueued
    is_over = next_at is None and not unfinished
    if is_over or next_at != row.next_at:
        values = {"next_at": next_at, "enqueued": enqueued, "ended_at": now if is_over else None}
        tx.run(SQL.move_backfill, {"id": row.id, **values})
    if is_over:
        return None
    if refused_at is not None:
        return now + _FULL_QUEUE_WAIT
    return now if next_at is not None and unfinished < row.at_most else now + _LOOK_AGAIN


def _store(
    tx: Tx, features: Sequence[Feature], schedule: ScheduleRow, run: str, ticks: Sequence[int], now: int
) -> tuple[int, int | None]:
    """Store ticks with their jobs; return how many jobs are new, and the first tick for which the queue was too full.

    Another leader may have stored some of them: those have their jobs.
    """
    jobs = {at: job_of_tick(schedule, run, at, now) for at in ticks}
    rows = [TickRow(schedule.name, at, run, TickState.OPEN, job.row["id"], now) for at, job in jobs.items()]
    new = {at: jobs[at] for _, at, _ in sorted(add_ticks(tx, rows))}
    refused = store_jobs(tx, features, list(new.values()), now) if new else {}
    held = [at for at, job in new.items() if job.existing_id is not None]
    if held:
        change_ticks(tx, [_skipped(schedule.name, at, run, now, refused[jobs[at].row["id"]]) for at in held])
    too_many = [at for at, job in new.items() if job.existing_id is None and job.row["id"] in refused]
    if too_many:
        tx.run(SQL.withdraw_ticks, {"schedule": schedule.name, "run": run, "ticks": too_many})
    return len(new) - len(refused), min(too_many, default=None)


def _skipped(schedule: str, at: int, run: str, now: int, note: str) -> TickRow:
    return TickRow(schedule, at, run, TickState.SKIPPED, None, now, note)


def _next_step(tx: Tx, row: BackfillRow, definition: Definition) -> Portion:
    room = min(row.at_most - row.unfinished, _CHUNK)
    if row.next_at is None or room <= 0:
        return Portion([], row.next_at)
    recurrence = unbounded(definition.recurrence)
    if not row.only_missing:
        return portion(recurrence, row.next_at, row.until, room)
    found = portion(recurrence, row.next_at, row.until, _CHUNK)
    known = _known_ticks(tx, row, found.ticks)
    missing = [at for at in found.ticks if at not in known]
    return Portion(missing[:room], missing[room] if len(missing) > room else found.next_at)


def _known_ticks(tx: Tx, row: BackfillRow, ticks: Sequence[int]) -> set[int]:
    """Return those of the ticks, which are in order, that have a job or wait for their turn to get one."""
    if not ticks:
        return set()
    values = {"schedule": row.schedule, "first": ticks[0], "last": ticks[-1], "manual": MANUAL}
    return {row[0] for row in tx.run(SQL.known_ticks, values)}


def _count(recurrence: Recurrence, since: int, until: int) -> int:
    """Count the ticks of a range, up to one more than may be."""
    count, at = 0, since - 1
    while count <= MOST_TICKS and (chunk := recurrence.between(at, until - 1, _CHUNK)):
        count, at = count + len(chunk), chunk[-1]
    return count


def _refusal(definition: Definition, since: int, until: int, now: int) -> str | None:
    if definition.action != "enqueue":
        return "it enqueues no jobs"
    if definition.recurrence.is_after_finish:
        return "its ticks are counted from the end of the job before, so that a past time has none"
    if until > now:
        return f"{_shown(until)} is not past yet; the schedule itself sees to what is to come"
    if since >= until:
        return f"since={_shown(since)} is not before until={_shown(until)}"
    return None


def _shown(instant: int) -> str:
    return to_datetime(instant).isoformat().replace("+00:00", "Z")


def _row(row: Row) -> BackfillRow:
    found = BackfillRow._make(row)
    return found._replace(only_missing=bool(found.only_missing))
