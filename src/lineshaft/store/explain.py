"""What is asked of the store to tell why a job does not run: each answer costs no more than a bounded look."""

from __future__ import annotations

from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.job import JobRow
from lineshaft.store.queries import Statements

SQL: Final = Statements("explain")

_ROW: Final = len(JobRow._fields)


class StoredJob(NamedTuple):
    """A job as stored, with what only an explanation needs."""

    row: JobRow
    attempts_before: int
    """Attempts used up before a person last had the job retried."""
    is_isolated: bool
    """Whether its next attempt runs alone, since a worker was lost under it."""
    unknown_since: int | None
    """When a worker first put it back because it did not know the task."""
    options: str | None
    cancel_requested_at: int | None
    gate: str | None = None
    """The gate that it belongs to, or in whose line it stands."""
    turn: int | None = None
    """Its place where its queue is fair."""
    sequence: str | None = None
    """The strict order that it belongs to."""
    fair: str | None = None
    """Whose turn it takes."""


class Pause(NamedTuple):
    """Since when a queue is paused, by whom and why."""

    at: int
    by: str | None
    reason: str | None


class HeldJob(NamedTuple):
    """A job that a worker holds."""

    worker: int
    id: str
    name: str
    started_at: int


def stored_job(tx: Tx, job_id: str) -> StoredJob | None:
    """Return a job, finished or not; None when there is none of this id."""
    for found in tx.run(SQL.explain_job, {"id": job_id}):
        before, is_isolated, *rest = found[_ROW:]
        return StoredJob(JobRow._make(found[:_ROW]), before, bool(is_isolated), *rest)
    return None


def queue_pause(tx: Tx, queue: str) -> Pause | None:
    """Return what is noted of a queue's pause; None when it is not paused."""
    rows = tx.run(SQL.queue_pause, {"queue": queue})
    return Pause._make(rows[0]) if rows else None


def count_ahead(tx: Tx, job: StoredJob, *, limit: int) -> int:
    """Count the ready jobs that come before this one in its queue, up to `limit`."""
    row = job.row
    turn = row.run_at if job.turn is None else job.turn
    place = {"queue": row.queue, "rank": row.rank, "turn": turn, "id": row.id}
    return int(tx.run(SQL.count_ahead, {**place, "limit": limit})[0][0])


def held_at_head(tx: Tx, queue: str, *, limit: int) -> list[HeldJob]:
    """Return the jobs that workers hold among the first `limit` ready and running ones of a queue."""
    return [HeldJob._make(row) for row in tx.run(SQL.held_at_head, {"queue": queue, "limit": limit})]
