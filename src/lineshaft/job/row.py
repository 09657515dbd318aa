"""A job as it is stored."""

from __future__ import annotations

from typing import NamedTuple


class JobRow(NamedTuple):
    """A job as stored; instants are microseconds since the epoch, JSON columns still text."""

    id: str
    queue: str
    name: str
    rank: int
    run_at: int
    stage: int
    created_at: int
    started_at: int | None
    worker: int | None
    claim: int
    attempt: int
    max_attempts: int
    deadline: int | None
    cancel_requested: bool
    tenant: str | None
    tags: str | None
    meta: str | None
    args: str
    progress: str | None
    errors: str | None
    reason: str | None
    result: str | None
    finished_at: int | None
