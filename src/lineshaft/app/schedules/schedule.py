"""Schedules and their ticks as users see them: snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

from lineshaft.app.schedules.said import shown
from lineshaft.clock import to_datetime
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules.declared import readable
from lineshaft.features.schedules.definition import Definition, Source, overridden_fields, read_definition
from lineshaft.options.schedule import CatchUp, Overlap
from lineshaft.recurrence import Once, Recurrence

if TYPE_CHECKING:
    from lineshaft.features.schedules.records import ScheduleRow, TickRow
    from lineshaft.transitions import State

ScheduleState = Literal["active", "paused", "waiting", "ended", "removed"]
TickName = Literal["waiting", "open", "enqueued", "skipped", "missed"]

TICK_NAMES: Final[Sequence[TickName]] = ("waiting", "open", "enqueued", "skipped", "missed")
_UNKNOWN: Final = Definition(Recurrence(Once(())), action="chore", chore="")
_DURATIONS: Final = frozenset({"jitter", "grace", "finish_within", "delay", "deadline_in"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule, as it was when it was read: what holds, with what a person changed over what the code says.

    Times are aware, in UTC.
    """

    name: str
    task: str | None
    """The name of the task whose jobs it enqueues or watches; None for the store's own housekeeping."""
    in_words: str
    """When it ticks, as a person would say it."""
    timezone: str
    rule: dict[str, Any] = field(hash=False)
    """The arguments that make the rule, as JSON values: `{"cron": "0 6 * * *", "timezone": "Europe/Berlin"}`."""
    source: Source
    """`code` (`@app.schedule`), `runtime` (`app.schedules.create`) or `system`."""
    state: ScheduleState
    """`waiting`: for a job to end, from which it counts on; `ended`: no tick is left; `removed`: from the code."""
    next_at: datetime | None
    last_at: datetime | None
    """Its latest tick."""
    last_job: str | None
    """The id of the job of the latest tick that has one."""
    overridden: tuple[str, ...]
    """What a person changed at run time of what the code says."""
    declared: dict[str, Any] = field(hash=False)
    """What the code says for each of those."""
    declared_by: str | None
    """The app whose code declares it."""
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    catch_up: CatchUp
    catch_up_limit: int
    grace: timedelta
    overlap: Overlap
    jitter: timedelta
    finish_within: timedelta | None
    start: datetime | None
    end: datetime | None
    queue: str | None
    priority: int | None
    tenant: str | None
    tags: tuple[str, ...]
    args: tuple[list[Any], dict[str, Any]] = field(hash=False)
    """The arguments of its jobs as plain JSON values, positional and by name."""
    overdue_at: datetime | None
    """Since when one of its jobs should have completed; None: all is well."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Tick:
    """What became of one tick; times are aware, in UTC."""

    schedule: str
    at: datetime
    state: TickName
    run: str
    """Empty for a tick of the clock, `manual` for `run`, else the id of the backfill."""
    job_id: str | None
    decided_at: datetime
    note: str | None
    """Why it was skipped or missed."""
    job_state: State | None = None
    """The state of its job; None when it has none, or none that is still kept."""


def schedule_of(row: ScheduleRow) -> Schedule:
    """Return a schedule as users see it; of one that another version wrote, what can be read."""
    known = readable(row.declared, row.overrides)
    definition = known or _UNKNOWN
    recurrence, job = definition.recurrence, definition.job
    overridden = overridden_options(row.overrides)
    return Schedule(
        name=row.name,
        task=definition.task_name,
        in_words="unreadable: another version of Lineshaft wrote it" if known is None else _in_words(recurrence),
        timezone=recurrence.timezone,
        rule=shown(recurrence),
        source=cast("Source", row.source),
        state=_state(row, definition),
        next_at=_datetime(row.next_at),
        last_at=_datetime(row.last_at),
        last_job=row.last_job,
        overridden=overridden,
        declared={} if known is None else _said(read_definition(row.declared), overridden),
        declared_by=row.declared_by,
        paused_at=_datetime(row.paused_at),
        paused_by=row.paused_by,
        pause_reason=row.pause_reason,
        catch_up=definition.catch_up,
        catch_up_limit=definition.catch_up_limit,
        grace=_duration(definition.grace),
        overlap=definition.overlap,
        jitter=_duration(definition.jitter),
        finish_within=None if definition.finish_within is None else _duration(definition.finish_within),
        start=_datetime(recurrence.start),
        end=_datetime(recurrence.end),
        queue=None if job is None else job.queue,
        priority=None if job is None else job.priority,
        tenant=None if job is None else job.tenant,
        tags=() if job is None else job.tags,
        args=([], {}) if job is None else _arguments(job.args),
        overdue_at=_datetime(row.overdue_at),
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
    )


def tick_of(row: TickRow, job_state: State | None) -> Tick:
    """Return a tick as users see it."""
    return Tick(
        schedule=row.schedule,
        at=to_datetime(row.at),
        state=TICK_NAMES[row.state],
        run=row.run,
        job_id=row.job,
        decided_at=to_datetime(row.decided_at),
        note=row.note,
        job_state=job_state,
    )


def overridden_options(overrides: str | None) -> tuple[str, ...]:
    """Return what a person changed, as users name it."""
    return tuple("rule" if name == "recurrence" else name for name in overridden_fields(overrides))


def _state(row: ScheduleRow, definition: Definition) -> ScheduleState:
    if row.removed_at is not None:
        return "removed"
    if row.paused_at is not None:
        return "paused"
    if row.next_at is not None:
        return "active"
    return "waiting" if definition.recurrence.is_after_finish and row.due_at is not None else "ended"


def _in_words(recurrence: Recurrence) -> str:
    try:
        return recurrence.in_words()
    except ScheduleError as error:  # stored by a machine that knows more zones or holidays than this one
        return f"unreadable: {error}"


def _said(definition: Definition, names: Sequence[str]) -> dict[str, Any]:
    return {name: _value(definition, name) for name in names}


def _value(definition: Definition, name: str) -> Any:
    """Return what a definition says under a name out of `overridden`, in the form in which a schedule shows it."""
    if name == "rule":
        return shown(definition.recurrence)
    value = getattr(definition if hasattr(definition, name) else definition.job, name)
    if name in _DURATIONS and value is not None:
        return _duration(value)
    return _arguments(value) if name == "args" else value


def _arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = msgspec.json.decode(text)
    return args, kwargs


def _duration(micros: int) -> timedelta:
    return timedelta(microseconds=micros)


def _datetime(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)
