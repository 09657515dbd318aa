"""What a schedule says: when, what is done at its ticks, and how; stored as JSON, and a person's changes beside it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from lineshaft.clock import MINUTE
from lineshaft.errors import ConfigError, PayloadTooLargeError
from lineshaft.newjob import NewJob
from lineshaft.options import JobTemplate, template_of
from lineshaft.options.schedule import CatchUp, Overlap
from lineshaft.recurrence import Recurrence

Action = Literal["enqueue", "check", "chore"]
Source = Literal["code", "runtime", "system"]

SCHEDULE, TICK = "schedule", "tick"
"""The keys in the `meta` of a schedule's job under which its name and the time of the tick stand."""

# Every row that is due is read with its template.
_MOST_BYTES: Final = 1_048_576
_KNOWN_TEXTS: Final = 20_000


class Definition(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One schedule; durations in microseconds. A field that is not known here makes all of it unreadable."""

    recurrence: Recurrence
    action: Action = "enqueue"
    """`enqueue`: a job of `job`; `check`: one of `task` must have completed; `chore`: the store's housekeeping."""
    job: JobTemplate | None = None
    task: str | None = None
    chore: str | None = None
    jitter: int = 0
    catch_up: CatchUp = "one"
    catch_up_limit: int = 100
    grace: int = MINUTE
    overlap: Overlap = "allow"
    finish_within: int | None = None

    def __post_init__(self) -> None:
        """Refuse an action without what it acts on, which msgspec makes one of its own errors when it reads."""
        acts_on = {"enqueue": self.job, "check": self.task, "chore": self.chore}[self.action]
        if acts_on is None:
            msg = f"the action {self.action!r} says not what of"
            raise ValueError(msg)

    @property
    def follows_jobs(self) -> bool:
        """Whether it matters when its jobs end; else a tick is done with when its job is enqueued."""
        return self.overlap != "allow" or self.finish_within is not None or self.recurrence.is_after_finish

    @property
    def task_name(self) -> str | None:
        """The task that it is about."""
        return self.task if self.job is None else self.job.name


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Definition).decode
_load_object: Final = msgspec.json.Decoder(dict[str, Any]).decode


def stored_text(definition: Definition) -> str:
    """Return a definition as it is stored; equal ones have equal texts."""
    return _encode(definition).decode()


@lru_cache(maxsize=_KNOWN_TEXTS)
def read_definition(declared: str, overrides: str | None = None) -> Definition:
    """Return what holds: what was declared, with a person's changes over it.

    Raises `msgspec.MsgspecError` when another version wrote it in a way that is not known here.
    """
    return _decode(declared if overrides is None else _encode(_merged(_load_object(declared), _load_object(overrides))))


def changes_between(declared: Definition, wanted: Definition) -> str | None:
    """Return what makes of the one the other, as it is stored in `overrides`; None when they are the same."""
    changes = _changes(msgspec.to_builtins(declared), msgspec.to_builtins(wanted))
    return _encode(changes).decode() if changes else None


def overridden_fields(overrides: str | None) -> tuple[str, ...]:
    """Return the names of what a person changed, in alphabetical order: fields, and those of the job for `job`.

    None where another version wrote it in a way that is not known here.
    """
    try:
        said = {} if overrides is None else _load_object(overrides)
    except msgspec.MsgspecError:
        return ()
    job = said.pop("job", None)
    return tuple(sorted({*said, *(job if isinstance(job, dict) else ())}))


def schedulable(job: NewJob[Any]) -> JobTemplate:
    """Return what a schedule keeps of the job that it enqueues.

    Raises `ConfigError` when it cannot be enqueued again and again, `PayloadTooLargeError` above 1 MiB.
    """
    reason = _refusal(job)
    if reason:
        msg = f"a schedule cannot enqueue this job of {job.name}: it {reason}"
        raise ConfigError(msg)
    template = template_of(job)
    if (size := len(_encode(template))) > _MOST_BYTES:
        msg = f"the job of {job.name} takes {size} bytes in a schedule, the limit is {_MOST_BYTES}; pass a reference"
        raise PayloadTooLargeError(msg)
    return template


def _refusal(job: NewJob[Any]) -> str | None:
    options = job.options
    reserved = sorted({SCHEDULE, TICK} & set(options.meta or ()))
    if options.connection is not None:
        return "has a connection=, but the leader stores it; leave it out"
    if options.run_at is not None:
        return "has a run_at, but runs at the schedule's ticks; leave it out, or give a delay"
    if options.deadline is not None:
        return "has one deadline for all ticks; give a duration, which counts from each tick"
    if options.unique is not None and options.unique.on_conflict == "error":
        return "has a Unique with on_conflict='error', and nobody to tell of it; use 'skip' or 'replace'"
    if reserved:
        return f"has {reserved[0]!r} in its meta, which the schedule fills; give it another name"
    if job.blobs:
        return "takes a Blob, which is written for one job only; have the task itself fetch it"
    return None


def _merged(declared: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(declared)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        elif name == "job" and isinstance(merged.get(name), dict) and isinstance(value, dict):
            merged[name] = _merged(merged[name], value)
        else:
            merged[name] = value
    return merged


def _changes(declared: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    changed = {name: wanted.get(name) for name in {**declared, **wanted} if declared.get(name) != wanted.get(name)}
    if changed.get("job") and declared.get("job"):
        changed["job"] = _changes(declared["job"], wanted["job"])
    return changed
