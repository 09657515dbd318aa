"""Bringing the store's schedules in line with those that an app's code declares.

Every worker process does it when it starts, fifty at once maybe. Most find nothing to do; those that do take turns, and
compare again when it is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from lineshaft.engines.base import ConflictError, Tx
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules.definition import Definition, read_definition
from lineshaft.features.schedules.records import ScheduleRow, insert_schedule, lock_schedule, update_schedule
from lineshaft.store.queries import Statements

SQL: Final = Statements("declared", "lineshaft.features.schedules")


class Synced(NamedTuple):
    """The names of the schedules that were brought in line with the code."""

    added: tuple[str, ...] = ()
    """Not known before, or removed once and declared again."""
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def list_declared(tx: Tx, declared_by: str, names: Sequence[str]) -> list[ScheduleRow]:
    """Return the schedules that an app has declared, those removed since too, and whatever has one of these names."""
    return [ScheduleRow._make(row) for row in tx.run(SQL.list_declared, {"declared_by": declared_by, "names": names})]


def out_of_line(rows: Sequence[ScheduleRow], wanted: Mapping[str, str], declared_by: str) -> list[str]:
    """Return the names of what has to be written, in order; `wanted` are the stored texts of definitions by name.

    Raises `ScheduleError` for a name that belongs to somebody else.
    """
    known = {row.name: row for row in rows}
    gone = {row.name for row in rows if _is_gone(row, wanted, declared_by)}
    return sorted(gone | {name for name in wanted if not _is_in_line(known.get(name), wanted[name], declared_by)})


def bring_in_line(tx: Tx, wanted: Mapping[str, str], declared_by: str, now: int) -> Synced:
    """Write what differs, unless somebody has done it meanwhile; one process at a time, so that no two deploys mix."""
    tx.run(SQL.lock_declared, {})
    names = out_of_line(list_declared(tx, declared_by, list(wanted)), wanted, declared_by)
    rows = {name: lock_schedule(tx, name) for name in names}
    done: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    for name, row in rows.items():
        done[_written(tx, name, row, wanted.get(name), declared_by, now)].append(name)
    return Synced(*map(tuple, done.values()))


def _written(tx: Tx, name: str, row: ScheduleRow | None, text: str | None, declared_by: str, now: int) -> str:
    """Write one schedule as the code wants it, and return what was done."""
    if row is None:
        assert text is not None  # what is not wanted was found in the store
        if not insert_schedule(tx, new_row(name, "code", text, declared_by, now)):
            msg = f"schedule {name!r} was created at run time in this very moment"
            raise ConflictError(msg)  # done anew, it is refused for good
        return "added"
    if text is None:
        update_schedule(tx, timed(row._replace(removed_at=now), None, now))
        return "removed"
    update_schedule(tx, _declared_anew(row, text, declared_by, now))
    return "changed" if row.removed_at is None else "added"


def new_row(name: str, source: str, declared: str, declared_by: str | None, now: int) -> ScheduleRow:
    """Return a schedule that begins now."""
    row = ScheduleRow(name, source, declared_by, declared, None, None, 1, now, now)
    return timed(row, None, now)


def timed(row: ScheduleRow, before: Definition | None, now: int) -> ScheduleRow:
    """Return a changed schedule with what follows of it: its next tick, and that the leader has to look at it.

    `before` is what held until now; with the same rule no tick is lost or doubled. None: it begins anew.
    """
    row = row._replace(updated_at=now, overdue_at=None)
    if row.removed_at is not None or row.paused_at is not None:
        return row._replace(next_at=None, due_at=now)
    held = read_definition(row.declared, row.overrides)
    row = row._replace(watches=held.task if held.action == "check" else None)
    if before is None or before.recurrence != held.recurrence:
        return row._replace(next_at=held.recurrence.first(now), due_at=now)
    return row._replace(due_at=now if row.due_at is None else min(row.due_at, now))


def readable(declared: str, overrides: str | None = None) -> Definition | None:
    """Return what holds; None when another version wrote it in a way that is not known here."""
    try:
        return read_definition(declared, overrides)
    except msgspec.MsgspecError:
        return None


def _declared_anew(row: ScheduleRow, text: str, declared_by: str, now: int) -> ScheduleRow:
    before = readable(row.declared, row.overrides) if row.removed_at is None else None
    return timed(row._replace(declared=text, declared_by=declared_by, removed_at=None), before, now)


def _is_gone(row: ScheduleRow, wanted: Mapping[str, str], declared_by: str) -> bool:
    is_ours = row.source == "code" and row.declared_by == declared_by
    return is_ours and row.removed_at is None and row.name not in wanted


def _is_in_line(row: ScheduleRow | None, text: str, declared_by: str) -> bool:
    if row is None:
        return False
    if row.source != "code":
        msg = (
            f"schedule {row.name!r} was created at run time, and this code declares one of that name; "
            "give one another name=, or delete that one"
        )
        raise ScheduleError(msg)
    is_elsewhere = row.declared_by != declared_by and row.removed_at is None
    if is_elsewhere and _task_of(row.declared) not in (None, _task_of(text)):
        msg = (
            f"schedule {row.name!r} is declared by {row.declared_by} for another task; "
            "give one of them another name=, or delete that one with force if that app is no more"
        )
        raise ScheduleError(msg)
    return row.removed_at is None and row.declared == text and row.declared_by == declared_by


def _task_of(declared: str) -> str | None:
    definition = readable(declared)
    return None if definition is None else definition.task_name
