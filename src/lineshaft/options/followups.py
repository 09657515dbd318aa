"""The jobs that `on_success` and `on_failure` name, as they are stored with the job that they follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from lineshaft.errors import ConfigError, PayloadTooLargeError
from lineshaft.newjob import NewJob
from lineshaft.options.template import JobTemplate, template_of

PARENT: Final = "after"
"""The key in the `meta` of a follow-up under which the id of the job before it stands."""
Followed = Literal["on_success", "on_failure"]
FOLLOWED: Final[tuple[Followed, ...]] = ("on_success", "on_failure")

# They are read with the job at each claim, and a chain made in a loop has to have an end.
_MOST_BYTES: Final = 1_048_576
_DEEPEST: Final = 50


def check_follow_ups(option: str, value: NewJob[Any] | Sequence[NewJob[Any]] | None) -> dict[str, Any]:
    """Return the option as a tuple of jobs; raises `ConfigError`, naming the option, when one cannot follow a job."""
    jobs = () if value is None else (value,) if isinstance(value, NewJob) else value
    if not isinstance(jobs, list | tuple) or not all(isinstance(one, NewJob) for one in jobs):
        msg = f"{option}={value!r} must be a job that is not stored yet, task.new(...), or a list of them"
        raise ConfigError(msg)
    for one in jobs:
        _check(option, one)
    return {option: tuple(jobs)}


def follow_ups_of(option: str, jobs: Sequence[NewJob[Any]]) -> list[JobTemplate]:
    """Return the jobs of an option as they are stored with the job that they follow."""
    stored = [template_of(one) for one in jobs]
    if (depth := max(map(_depth, stored))) > _DEEPEST:
        msg = f"{option} is {depth} jobs deep, at most {_DEEPEST} may follow each other; let a job enqueue the next one"
        raise ConfigError(msg)
    if (size := len(msgspec.json.encode(stored))) > _MOST_BYTES:
        msg = f"{option} takes {size} bytes with its arguments, the limit is {_MOST_BYTES}; pass a reference instead"
        raise PayloadTooLargeError(msg)
    return stored


def _check(option: str, job: NewJob[Any]) -> None:
    options = job.options
    reason = None
    if options.connection is not None:
        reason = "has a connection=, but it is stored by whoever ends the job before it"
    elif options.unique is not None and options.unique.on_conflict == "error":
        reason = "has a Unique with on_conflict='error', which would keep the job before it from ending"
    elif options.meta is not None and PARENT in options.meta:
        reason = f"has {PARENT!r} in its meta, where the id of the job before it will stand"
    elif job.blobs:
        reason = "takes a Blob, which is written when its own job is stored; have the job before it enqueue it, or"
    if reason:
        msg = f"{option}: the job of {job.name} {reason}; give it without"
        raise ConfigError(msg)


def _depth(job: JobTemplate) -> int:
    return 1 + max(map(_depth, _next(job)), default=0)


def _next(job: JobTemplate) -> Iterator[JobTemplate]:
    for option in FOLLOWED:
        yield from job.execution.get(option, ())
