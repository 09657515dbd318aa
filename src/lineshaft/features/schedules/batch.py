"""One transaction of the leader: schedules that are due are locked, decided about, and written.

What makes a tick's job the only one is not that there is one leader: the schedule is moved on, its ticks are stored
and their jobs enqueued in one transaction under the lock of its row, a tick is stored once by its key, and its job's
id comes of the tick (docs/decisions/0034).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from lineshaft.clock import MINUTE, Clock
from lineshaft.errors import ConfigError
from lineshaft.feature import Feature, Incoming
from lineshaft.features.schedules.backfill import advance_backfills
from lineshaft.features.schedules.definition import Definition, read_definition
from lineshaft.features.schedules.due import due_ticks
from lineshaft.features.schedules.firing import check_job, job_of_tick, store_jobs
from lineshaft.features.schedules.records import (
    Move,
    OpenTick,
    ScheduleRow,
    TickRow,
    TickState,
    add_ticks,
    change_ticks,
    lock_due,
    move_schedules,
    next_due,
    open_ticks,
)
from lineshaft.features.schedules.ticks import Decision, decide

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx

_BATCH: Final = 1_000
_LONGEST_SECONDS: Final = 0.2
"""After this time what is decided is written, and the rest has to wait: SQLite has one writer."""
_UNREADABLE_AGAIN: Final = MINUTE


class Look(NamedTuple):
    """A schedule, and what was decided about it."""

    row: ScheduleRow
    definition: Definition
    decision: Decision


@dataclass(slots=True)
class Batch:
    """What one transaction did, for those who hear of it afterwards."""

    looks: list[Look] = field(default_factory=list)
    ticks: list[TickRow] = field(default_factory=list)
    """Those that were new, or have changed."""
    unreadable: list[tuple[ScheduleRow, Exception]] = field(default_factory=list)
    next_due: int | None = None


def work_off(tx: Tx, features: Sequence[Feature], clock: Clock) -> Batch:
    """Do what is due now: up to 1,000 schedules, or as many as time allows."""
    now = clock.now()
    batch = Batch()
    rows = lock_due(tx, now=now, limit=_BATCH)
    if rows:
        _look(tx, rows, batch, clock, now)
        refused = _store_ticks(tx, features, batch, now)
        again = _go_on(tx, features, batch, now)
        move_schedules(tx, [*_moves(batch, refused, again, now), *(_put_off(row, now) for row, _ in batch.unreadable)])
    batch.next_due = next_due(tx)
    return batch


def _look(tx: Tx, rows: Sequence[ScheduleRow], batch: Batch, clock: Clock, now: int) -> None:
    unsettled = _by_schedule(open_ticks(tx, [row.name for row in rows]))
    until = clock.monotonic() + _LONGEST_SECONDS
    for row in rows:
        try:
            definition = read_definition(row.declared, row.overrides)
            check_job(row)
            due = due_ticks(definition, row.next_at, now)
            batch.looks.append(Look(row, definition, decide(row, definition, due, unsettled.get(row.name, ()), now)))
        except (msgspec.MsgspecError, ConfigError) as error:  # of another version, or its zone is not known here
            batch.unreadable.append((row, error))
        if clock.monotonic() > until:
            return


def _by_schedule(ticks: Sequence[OpenTick]) -> Mapping[str, Sequence[OpenTick]]:
    grouped: defaultdict[str, list[OpenTick]] = defaultdict(list)
    for one in ticks:
        grouped[one.tick.schedule].append(one)
    return grouped


def _store_ticks(tx: Tx, features: Sequence[Feature], batch: Batch, now: int) -> set[str]:
    """Store the ticks, and the jobs of those that nobody had stored; return schedules whose job was not taken."""
    jobs: dict[str | None, Incoming] = {}
    new = list(_with_jobs(batch.looks, [look.decision.new for look in batch.looks], jobs, now))
    changed = list(_with_jobs(batch.looks, [look.decision.changed for look in batch.looks], jobs, now))
    added = add_ticks(tx, new) if new else set()
    new = [tick for tick in new if (tick.schedule, tick.at, tick.run) in added]
    to_store = [jobs[tick.job] for tick in (*new, *changed) if tick.job in jobs]
    refused = store_jobs(tx, features, to_store, now) if to_store else {}
    rewritten = [*changed, *(tick for tick in new if tick.job in refused)]
    if rewritten:
        change_ticks(tx, [_as_stored(tick, refused) for tick in rewritten])
    batch.ticks = [_as_stored(tick, refused) for tick in (*new, *changed)]
    return {tick.schedule for tick in rewritten if tick.job in refused}


def _with_jobs(
    looks: Sequence[Look], decided: Sequence[Sequence[TickRow]], jobs: dict[str | None, Incoming], now: int
) -> Iterator[TickRow]:
    """Yield the ticks, those that get a job with its id."""
    for look, ticks in zip(looks, decided, strict=True):
        for tick in ticks:
            if tick.job is None and tick.state in (TickState.OPEN, TickState.ENQUEUED):
                job = job_of_tick(look.row, tick.run, tick.at, now)
                jobs[job.row["id"]] = job
                yield TickRow(tick.schedule, tick.at, tick.run, tick.state, job.row["id"], now)
            else:
                yield tick


def _as_stored(tick: TickRow, refused: Mapping[str, str]) -> TickRow:
    if tick.job is None or tick.job not in refused:
        return tick
    return tick._replace(state=TickState.SKIPPED, job=None, note=refused[tick.job])


def _go_on(tx: Tx, features: Sequence[Feature], batch: Batch, now: int) -> Mapping[str, int]:
    """Go on with backfills; return when to look at their schedules again."""
    rows = [look.row for look in batch.looks if look.definition.action == "enqueue"]
    return advance_backfills(tx, features, rows, now) if rows else {}


def _moves(batch: Batch, refused: set[str], again: Mapping[str, int], now: int) -> Iterator[Move]:
    last_jobs = {tick.schedule: tick.job for tick in batch.ticks if tick.job is not None and tick.decided_at == now}
    for look in batch.looks:
        name, next_at, due_at, last_at, last_job, overdue_at = look.decision.move
        if name in refused and next_at is None:
            due_at = now
        if name in again:
            due_at = again[name] if due_at is None else min(due_at, again[name])
        yield Move(name, next_at, due_at, last_at, last_jobs.get(name, last_job), overdue_at)


def _put_off(row: ScheduleRow, now: int) -> Move:
    """Leave a schedule as it is, for a leader that can read it; one that cannot looks again in a minute."""
    return Move(row.name, row.next_at, now + _UNREADABLE_AGAIN, row.last_at, row.last_job, row.overdue_at)
