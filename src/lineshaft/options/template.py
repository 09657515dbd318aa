"""A job as it is stored before it is enqueued: behind another one that it follows, or in a schedule."""

from __future__ import annotations

from typing import Any

import msgspec

from lineshaft.newjob import NewJob
from lineshaft.options.flow import dump_flow, orders_of
from lineshaft.options.pace import Debounce, Throttle
from lineshaft.options.unique import OnConflict, Unique


class StoredUnique(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `Unique` as it is stored, durations in microseconds; `quiet` and `at_most` debounce, `every` throttles."""

    by: tuple[str, ...] | None = None
    within: int | None = None
    states: tuple[str, ...] | None = None
    on_conflict: OnConflict = "skip"
    quiet: int | None = None
    at_most: int | None = None
    every: int | None = None


class JobTemplate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job will be when its time comes; durations and instants in microseconds, `args` the stored text."""

    name: str
    args: str
    queue: str
    max_attempts: int
    priority: int = 0
    delay: int | None = None
    run_at: int | None = None
    deadline: int | None = None
    deadline_in: int | None = None
    tenant: str | None = None
    tags: tuple[str, ...] = ()
    meta: dict[str, Any] | None = None
    unique: StoredUnique | None = None
    unique_text: str | None = None
    execution: dict[str, Any] = {}
    fair_text: str | None = None
    orders: tuple[dict[str, Any], ...] = ()
    """The strict orders in which it stands; other limits are those of its task, where it is run."""


def template_of(job: NewJob[Any]) -> JobTemplate:
    """Return a job that is not stored yet as a template; its `connection` and its blobs are no part of that."""
    options = job.options
    return JobTemplate(
        job.name,
        job.args,
        options.queue,
        options.retry.max_attempts,
        options.priority,
        options.delay,
        options.run_at,
        options.deadline,
        options.deadline_in,
        options.tenant,
        options.tags,
        None if options.meta is None else dict(options.meta),
        None if options.unique is None else _stored_unique(options.unique),
        job.unique_text,
        dict(job.execution),
        job.fair_text,
        tuple(dump_flow("concurrency", orders_of(options))),
    )


def _stored_unique(rule: Unique) -> StoredUnique:
    states = None if rule.states is None else tuple(sorted(state.value for state in rule.counting))
    pace = rule.pace
    return StoredUnique(
        rule.names,
        rule.window,
        states,
        rule.on_conflict,
        quiet=pace.silence if isinstance(pace, Debounce) else None,
        at_most=pace.longest if isinstance(pace, Debounce) else None,
        every=pace.interval if isinstance(pace, Throttle) else None,
    )
