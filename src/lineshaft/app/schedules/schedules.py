"""`app.schedules`: what there is, when it ticks, and what a person does about it."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from lineshaft.app.crossing import twin
from lineshaft.app.queues import check_note
from lineshaft.app.schedules.backfills import BackfillCalls
from lineshaft.app.schedules.changes import changed_definition, created_definition, reset_overrides
from lineshaft.app.schedules.expectations import ExpectCalls
from lineshaft.app.schedules.found import definition_of, found
from lineshaft.app.schedules.manual import Fired, fire
from lineshaft.app.schedules.schedule import Schedule, Tick, schedule_of, tick_of
from lineshaft.app.schedules.synchronise import synchronise
from lineshaft.clock import to_datetime, to_instant
from lineshaft.counts import checked_count
from lineshaft.declaration import refused_at
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules import records
from lineshaft.features.schedules.declared import Synced, new_row, readable, timed
from lineshaft.features.schedules.definition import changes_between, read_definition, stored_text
from lineshaft.features.schedules.history import job_states
from lineshaft.features.schedules.records import ScheduleRow
from lineshaft.options.schedule import checked_name
from lineshaft.recurrence.zones import zone_of

if TYPE_CHECKING:
    from lineshaft.app.intake import Intake
    from lineshaft.app.store import Store
    from lineshaft.declaration import Declaration
    from lineshaft.engines.base import Tx
    from lineshaft.feature import Feature
    from lineshaft.job import Job
    from lineshaft.newjob import NewJob
    from lineshaft.options.schedule import ChangedOptions, TickOptions

_MOST: Final = 1_000


class Schedules(BackfillCalls, ExpectCalls):
    """The schedules of a store: those that code declares, those created here, and the store's own.

    All calls raise `ScheduleNotFound` for a name that there is not, and `ScheduleError`, in one line that says why, for
    what cannot be done; nothing is changed then.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        features: Sequence[Feature],
        declarations: Callable[[], Sequence[Declaration]],
        declared_by: Callable[[], str],
    ) -> None:
        self._store, self._intake, self._features = store, intake, features
        self._declarations, self._declared_by = declarations, declared_by

    # --- looking ---------------------------------------------------------------------------------------------------

    def list(self) -> list[Schedule]:
        """Return all schedules by name, those that no code declares any more (`removed`) too."""
        rows: builtins.list[ScheduleRow] = []
        while page := self._store.read(partial(records.list_schedules, after=rows[-1].name if rows else "")):
            rows += page
        return [schedule_of(row) for row in rows]

    def get(self, name: str) -> Schedule:
        """Return one schedule."""
        return schedule_of(self._row(name))

    def next(self, name: str, n: int = 10) -> builtins.list[datetime]:
        """Return the next `n` ticks, aware, in the schedule's time zone, without the jitter of its jobs.

        For one that is paused or removed: those that it would have if it went on now. For one that counts from the end
        of its jobs: at most the next one.
        """
        checked_count("n", n, _MOST)
        row = self._row(name)
        recurrence = definition_of(row).recurrence
        tick = row.next_at if row.next_at is not None else recurrence.first(self._now())
        ticks: builtins.list[int] = []
        while tick is not None and len(ticks) < n:
            ticks.append(tick)
            tick = None if recurrence.is_after_finish else recurrence.after(tick)
        return [to_datetime(one).astimezone(zone_of(recurrence.timezone)) for one in ticks]

    def history(self, name: str, *, limit: int = 100, before: datetime | None = None) -> builtins.list[Tick]:
        """Return what became of up to `limit` ticks, the latest first; with `before`, of those before that time."""
        checked_count("limit", limit, _MOST)
        after = None if before is None else (to_instant(before, "before"), "")
        self._row(name)

        def read(tx: Tx) -> builtins.list[Tick]:
            rows = records.list_ticks(tx, name, before=after, limit=limit)
            states = job_states(tx, [row.job for row in rows if row.job is not None])
            return [tick_of(row, states.get(row.job or "")) for row in rows]

        return self._store.read(read)

    # --- changing --------------------------------------------------------------------------------------------------

    def create(
        self, name: str, new_job: NewJob[Any], *, exist_ok: bool = False, **options: Unpack[TickOptions]
    ) -> Schedule:
        """Store a schedule that enqueues a job like `new_job` (`task.new(...)`) at each tick.

        One of `cron`, `every`, `at` and `days` says when; the options are those of `@app.schedule`. With `exist_ok` a
        schedule of this name that was created at run time becomes like this one. Raises `ScheduleError`.
        """
        with refused_at(str(name)):
            checked_name(name)
        text = stored_text(created_definition(name, new_job, options, self._now()))
        return self._create(name, text, exist_ok=exist_ok)

    def update(self, name: str, **changes: Unpack[ChangedOptions]) -> Schedule:
        """Change a schedule: another rule, other options, another `new_job`, `paused`.

        What is not named stays. One that code declares keeps what the code says beside it: `Schedule.overridden` names
        the changes, `reset` takes them back. The store's own can have another rule or pause, nothing else.
        """
        options = dict(changes)
        paused = options.pop("paused", None)

        def change(row: ScheduleRow, now: int) -> ScheduleRow:
            held = definition_of(row)
            wanted = changed_definition(name, held, options, now)
            if row.source == "runtime":
                row = row._replace(declared=stored_text(wanted))
            elif wanted != held:
                row = row._replace(overrides=changes_between(read_definition(row.declared), wanted))
            if paused is None or paused == (row.paused_at is not None):
                return row
            return _paused(row, now) if paused else _resumed(row)

        return self._change(name, change)

    def reset(self, name: str, *fields: str) -> Schedule:
        """Take back what a person changed of a schedule: all of it, or what `fields` names out of `overridden`."""
        return self._change(name, lambda row, _: row._replace(overrides=reset_overrides(name, row.overrides, fields)))

    def delete(self, name: str, *, force: bool = False) -> None:
        """Delete a schedule that was created at run time, with its history; jobs that are stored stay.

        One that code declares would come back when its app's next worker starts, so that is refused, save with `force`:
        for what an app has left that is no more.
        """
        row = self._row(name)
        reason = _keeping(row, force=force)
        if reason:
            msg = f"schedule {name!r} cannot be deleted: {reason}"
            raise ScheduleError(msg)
        while self._store.write(lambda tx, _: records.delete_ticks(tx, name)):
            continue
        self._store.write(lambda tx, _: records.delete_schedule(tx, name))

    def pause(self, name: str, *, by: str | None = None, reason: str | None = None) -> Schedule:
        """Have a schedule tick no more until it is resumed; its jobs go on.

        `by` and `reason`, texts of up to 1,000 characters, are shown with it.
        """
        check_note("by", by)
        check_note("reason", reason)
        return self._change(name, lambda row, now: _paused(row, now, by, reason))

    def resume(self, name: str) -> Schedule:
        """Have a paused schedule tick again, from its next tick on: those during the pause are not made up for."""
        return self._change(name, lambda row, _: _resumed(row))

    def run(self, name: str) -> Job[Any]:
        """Enqueue a job of a schedule now, also when it is paused, and whatever its `overlap` says; return the job.

        Its next tick stays what it is. Raises as `enqueue` does.
        """
        at = self._now()

        def write(tx: Tx, is_resend: bool) -> Fired:  # noqa: FBT001 - the store's port
            row = _locked(tx, name)
            return fire(tx, self._features, row, definition_of(row), at, is_resend=is_resend)

        fired = self._store.write(write)
        return self._intake.adopt(fired.job_id, fired.new)

    def sync(self) -> Synced:
        """Bring the store in line with what this app's code declares, as its workers do when they start.

        Returns the names of those `added`, `changed` and `removed`. Raises `ScheduleError` when a name is taken.
        """
        return synchronise(self._store, self._declarations(), self._declared_by())

    alist = twin(list)
    aget = twin(get)
    anext = twin(next)
    ahistory = twin(history)
    acreate = twin(create)
    aupdate = twin(update)
    areset = twin(reset)
    adelete = twin(delete)
    apause = twin(pause)
    aresume = twin(resume)
    arun = twin(run)
    async_ = twin(sync)  # `async` is a word of Python's own

    # --- within ----------------------------------------------------------------------------------------------------

    def _create(self, name: str, declared: str, *, exist_ok: bool) -> Schedule:
        def write(tx: Tx, is_resend: bool) -> ScheduleRow:  # noqa: FBT001 - the store's port
            now = self._now()
            row = new_row(name, "runtime", declared, None, now)
            if records.insert_schedule(tx, row):
                return row
            held = _locked(tx, name)
            if held.source != "runtime" or not (exist_ok or (is_resend and held.declared == declared)):
                raise ScheduleError(_taken(held))
            return _written(tx, held, held._replace(declared=declared, overrides=None), now)

        return schedule_of(self._store.write(write))

    def _now(self) -> int:
        return self._store.engine.clock.now()

    def _row(self, name: str) -> ScheduleRow:
        row = self._store.read(lambda tx: records.get_schedule(tx, name))
        return found(row, name)

    def _change(self, name: str, change: Callable[[ScheduleRow, int], ScheduleRow]) -> Schedule:
        def write(tx: Tx) -> ScheduleRow:
            now = self._now()
            row = _locked(tx, name)
            return _written(tx, row, change(row, now), now)

        return schedule_of(self._store.write(lambda tx, _: write(tx)))


def _written(tx: Tx, before: ScheduleRow, after: ScheduleRow, now: int) -> ScheduleRow:
    """Store a changed schedule as its next version; one that is as it was is left alone."""
    if after == before:
        return before
    held = readable(before.declared, before.overrides)
    was_active = before.paused_at is None and before.removed_at is None
    after = timed(after, held if was_active else None, now)
    records.update_schedule(tx, after)
    return after._replace(version=after.version + 1)


def _locked(tx: Tx, name: str) -> ScheduleRow:
    return found(records.lock_schedule(tx, name), name)


def _paused(row: ScheduleRow, now: int, by: str | None = None, reason: str | None = None) -> ScheduleRow:
    if row.paused_at is not None and by is None and reason is None:
        return row  # who paused it, and why, is still so
    return row._replace(paused_at=row.paused_at or now, paused_by=by, pause_reason=reason)


def _resumed(row: ScheduleRow) -> ScheduleRow:
    return row._replace(paused_at=None, paused_by=None, pause_reason=None)


def _keeping(row: ScheduleRow, *, force: bool) -> str | None:
    """Return why a schedule is kept, None when it may go."""
    if row.source == "system":
        return "it is the store's own; pause it, or give it another rule"
    if row.source == "code" and row.removed_at is None and not force:
        return f"{row.declared_by} declares it; remove it from the code, or pause it"
    return None


def _taken(held: ScheduleRow) -> str:
    if held.source == "runtime":
        return f"schedule {held.name!r} exists already; change it with update(), or create it with exist_ok=True"
    if held.removed_at is not None:
        return f"schedule {held.name!r} was declared by {held.declared_by} and is removed; delete it first"
    return f"schedule {held.name!r} is declared by {held.declared_by or 'the store itself'}; take another name"
