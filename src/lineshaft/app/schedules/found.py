"""What a name of `app.schedules` stands for: the row and its definition, or the error that says why there is none."""

from __future__ import annotations

from lineshaft.errors import ScheduleError, ScheduleNotFound
from lineshaft.features.schedules.declared import readable
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.records import ScheduleRow


def found(row: ScheduleRow | None, name: str) -> ScheduleRow:
    """Return the row that was looked for; raises `ScheduleNotFound` when there is none."""
    if row is None:
        raise no_schedule(name)
    return row


def no_schedule(name: str) -> ScheduleNotFound:
    """Return the error about a name that no schedule has."""
    msg = f"no schedule is named {name!r}; app.schedules.list() and 'lineshaft schedules list' name them"
    return ScheduleNotFound(msg)


def definition_of(row: ScheduleRow) -> Definition:
    """Return what holds; raises `ScheduleError` when another version wrote it in a way that is not known here."""
    definition = readable(row.declared, row.overrides)
    if definition is None:
        msg = f"schedule {row.name!r} was written by another version of Lineshaft and says nothing to this one"
        raise ScheduleError(msg)
    return definition
