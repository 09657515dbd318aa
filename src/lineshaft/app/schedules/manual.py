"""A job of a schedule because a person wants it now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lineshaft.errors import ScheduleError
from lineshaft.feature import Feature, Incoming, announce
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.firing import job_of_tick, note_of_key, state_of_tick
from lineshaft.features.schedules.records import MANUAL, ScheduleRow, TickRow, TickState, add_ticks, change_ticks
from lineshaft.store.placing import store_incoming

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx


class Fired(NamedTuple):
    """The id of the job that there is now, and the job itself if it is new."""

    job_id: str
    new: Incoming | None


def fire(
    tx: Tx, features: Sequence[Feature], row: ScheduleRow, definition: Definition, at: int, *, is_resend: bool
) -> Fired:
    """Enqueue a job of a schedule that this transaction has locked, as its manual tick of an instant.

    Two of the same microsecond are two ticks, unless this one is sent again. Raises `ScheduleError` when it has no job
    to enqueue, and `QueueFull` and `UniqueConflictError` as an enqueue does.
    """
    if definition.job is None or row.removed_at is not None:
        reason = "it enqueues no jobs" if definition.job is None else "no code declares it any more"
        msg = f"schedule {row.name!r} cannot be run: {reason}"
        raise ScheduleError(msg)
    tick = TickRow(row.name, at, MANUAL, state_of_tick(definition, MANUAL), None, at)
    while not add_ticks(tx, [tick]):
        if is_resend:
            return Fired(job_of_tick(row, MANUAL, tick.at, at).row["id"], None)
        tick = tick._replace(at=tick.at + 1)
    job = job_of_tick(row, MANUAL, tick.at, at)
    announce(features, tx, [job], at)
    if job.existing_id is not None:
        note = note_of_key(job.existing_id)
        change_ticks(tx, [tick._replace(state=TickState.SKIPPED, note=note)])
        return Fired(job.existing_id, None)
    change_ticks(tx, [tick._replace(job=job.row["id"])])
    store_incoming(tx, [job], at, is_resend=is_resend)
    return Fired(job.row["id"], job)
