"""What `lineshaft schedules` prints; durations are in seconds."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from lineshaft.cli.schemas.moment import Moment
from lineshaft.options.schedule import CatchUp, Overlap
from lineshaft.transitions import State


class ScheduleForm(TypedDict):
    """A schedule as it is in force; `declared` has what the code says of each field that was `overridden`."""

    name: str
    task: str | None
    in_words: str
    timezone: str
    rule: dict[str, Any]
    source: Literal["code", "runtime", "system"]
    declared_by: str | None
    state: Literal["active", "paused", "ended", "removed", "waiting"]
    next_at: Moment | None
    last_at: Moment | None
    last_job: str | None
    overdue_at: Moment | None
    overridden: list[str]
    declared: dict[str, Any]
    paused_at: Moment | None
    paused_by: str | None
    pause_reason: str | None
    catch_up: CatchUp
    catch_up_limit: int
    grace: float
    overlap: Overlap
    jitter: float
    finish_within: float | None
    start: Moment | None
    end: Moment | None
    queue: str | None
    priority: int | None
    tenant: str | None
    tags: list[str]
    args: list[Any]
    kwargs: dict[str, Any]
    created_at: Moment
    updated_at: Moment


class TickForm(TypedDict):
    """What became of a tick; `job_state` is None when it has no job, or none that is still kept."""

    schedule: str
    at: Moment
    run: str
    state: Literal["waiting", "open", "enqueued", "skipped", "missed"]
    job_id: str | None
    job_state: State | None
    decided_at: Moment
    note: str | None


class WholeSchedule(ScheduleForm):
    """A schedule with its next times and its last ticks."""

    next: list[Moment]
    ticks: list[TickForm]


class NextForm(TypedDict):
    """The next times of a schedule, the soonest first."""

    name: str
    timezone: str
    next: list[Moment]


class RuleForm(TypedDict):
    """A rule, in words too, with its next times, the soonest first."""

    in_words: str
    timezone: str
    rule: dict[str, Any]
    next: list[Moment]


class BackfillForm(TypedDict):
    """A backfill; `next_at` is the first tick that it has not enqueued, None when none is left."""

    id: str
    schedule: str
    since: Moment
    until: Moment
    at_most: int
    only_missing: bool
    state: Literal["running", "done", "cancelled"]
    next_at: Moment | None
    enqueued: int
    unfinished: int
    created_at: Moment
    ended_at: Moment | None


class SchedulesDeleted(TypedDict):
    """What `schedules delete` did: the names of those that are gone."""

    deleted: list[str]
