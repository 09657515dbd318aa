"""What `lineshaft jobs` prints."""

from __future__ import annotations

from typing import Any, TypedDict

from lineshaft.cli.schemas.moment import Moment
from lineshaft.transitions import Reason, State


class ProgressForm(TypedDict):
    """How far a job is."""

    fraction: float
    message: str | None
    at: Moment


class JobForm(TypedDict):
    """A job in a listing."""

    id: str
    name: str
    state: State
    reason: Reason | None
    queue: str
    priority: int
    attempt: int
    max_attempts: int
    tags: list[str]
    meta: dict[str, Any]
    tenant: str | None
    created_at: Moment
    run_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    deadline: Moment | None
    progress: ProgressForm | None
    args: list[Any]
    kwargs: dict[str, Any]


class ErrorForm(TypedDict):
    """A failed attempt."""

    attempt: int
    type: str
    message: str
    traceback: str | None
    at: Moment


class WholeJob(JobForm):
    """A job with its errors and its result."""

    errors: list[ErrorForm]
    result: Any


class LogForm(TypedDict):
    """A line that a job logged."""

    attempt: int
    at: Moment
    level: str
    logger: str
    message: str


class HoldForm(TypedDict):
    """A reason why a job does not go on; of a finished one, how it ended."""

    kind: str
    text: str
    until: Moment | None
    cure: str | None
    facts: dict[str, Any]


class WhyForm(TypedDict):
    """What holds a job, the most decisive reason first."""

    id: str
    state: State
    at: Moment
    holds: list[HoldForm]


class Cancelled(TypedDict):
    """What `jobs cancel` did; `failed` says why, by id."""

    cancelled: int
    failed: dict[str, str]


class Retried(TypedDict):
    """What `jobs retry` did; `failed` says why, by id."""

    retried: int
    failed: dict[str, str]


class Deleted(TypedDict):
    """What `jobs delete` did; `failed` says why, by id."""

    deleted: int
    failed: dict[str, str]
