"""What a caller of `app.schedules` says, as the definition that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from lineshaft.app.schedules.said import changed_recurrence
from lineshaft.app.schedules.schedule import overridden_options
from lineshaft.declaration import Declaration, refused_at
from lineshaft.errors import ScheduleError
from lineshaft.features.schedules.definition import Definition, schedulable
from lineshaft.newjob import NewJob
from lineshaft.options import Options
from lineshaft.options.schedule import CHECKS, JOB, RULE, check_agreement, checked_ticks
from lineshaft.recurrence import recurrence_of

_CREATED: Final = RULE | CHECKS.keys()
_CHANGED: Final = _CREATED | JOB | {"new_job"}
_STORED: Final = {"rule": "recurrence"}


def declared_definition(declaration: Declaration) -> Definition:
    """Return what a schedule of the code is stored as; raises `ScheduleError`, with the place."""
    job = declaration.new_job()
    with refused_at(declaration.name, declaration.place):
        return Definition(declaration.recurrence, job=schedulable(job), **declaration.ticks)


def created_definition(name: str, new_job: NewJob[Any], given: Mapping[str, Any], now: int) -> Definition:
    """Return what a schedule that is made at run time is stored as; raises `ScheduleError`."""
    with refused_at(name):
        _refuse_unknown(given, _CREATED)
        recurrence = recurrence_of(**{one: value for one, value in given.items() if one in RULE}, now=now)
        ticks = checked_ticks({one: value for one, value in given.items() if one in CHECKS})
        check_agreement(recurrence, ticks, now)
        return Definition(recurrence, job=schedulable(_job(new_job)), **ticks)


def changed_definition(name: str, held: Definition, given: Mapping[str, Any], now: int) -> Definition:
    """Return a definition with what is given in its place; raises `ScheduleError`."""
    with refused_at(name):
        _refuse_unknown(given, _CHANGED if held.action == "enqueue" else RULE)
        changes: dict[str, Any] = {"recurrence": changed_recurrence(held.recurrence, given, now)}
        changes |= checked_ticks({one: value for one, value in given.items() if one in CHECKS})
        if given.keys() & (JOB | {"new_job"}):
            changes["job"] = _changed_job(held, given)
        changed = msgspec.structs.replace(held, **changes)
        if changed.job is None and changed.recurrence.is_after_finish:
            msg = "since='finish' counts from the end of jobs of the schedule, and this one has none; leave it out"
            raise ScheduleError(msg)
        check_agreement(changed.recurrence, {"jitter": changed.jitter, "finish_within": changed.finish_within}, now)
        return changed


def _changed_job(held: Definition, given: Mapping[str, Any]) -> Any:
    assert held.job is not None  # who enqueues nothing has a rule only
    job = schedulable(_job(given["new_job"])) if "new_job" in given else held.job
    said = {one: value for one, value in given.items() if one in JOB}
    checked = Options().but(**said)
    return msgspec.structs.replace(job, **{one: getattr(checked, one) for one in said})


def _job(given: Any) -> NewJob[Any]:
    if not isinstance(given, NewJob):
        msg = f"{given!r} is not a job that is not stored yet; give task.new(...)"
        raise ScheduleError(msg)
    return given


def _refuse_unknown(given: Mapping[str, Any], known: Any) -> None:
    if unknown := sorted(given.keys() - known):
        msg = f"unexpected {unknown[0]!r}; it takes {', '.join(sorted(known))}"
        raise TypeError(msg)


def reset_overrides(name: str, overrides: str | None, fields: Sequence[str]) -> str | None:
    """Return a person's changes without those of these names, as users say them; without any, when none is named.

    Raises `ScheduleError` for a name that is not among the changes.
    """
    held = {} if overrides is None else msgspec.json.decode(overrides)
    if not fields:
        return None
    changed = overridden_options(overrides)
    if unknown := [one for one in fields if one not in changed]:
        msg = f"schedule {name!r}: {unknown[0]!r} is not overridden; what is: {', '.join(changed) or 'nothing'}"
        raise ScheduleError(msg)
    stored = {_STORED.get(one, one) for one in fields}
    job = {one: value for one, value in held.get("job", {}).items() if one not in stored}
    rest = {one: value for one, value in held.items() if one not in stored and one != "job"}
    left = {**rest, "job": job} if job else rest
    return msgspec.json.encode(left).decode() if left else None
