"""A job as JSON shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from lineshaft.cli.schemas import ErrorForm, JobForm, ProgressForm, WholeJob
from lineshaft.transitions import State

if TYPE_CHECKING:
    from lineshaft import Job


def job_object(job: Job[Any]) -> JobForm:
    """Return a job as a listing shows it."""
    args, kwargs = job.args
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "reason": job.reason,
        "queue": job.queue,
        "priority": job.priority,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "tags": job.tags,
        "meta": job.meta,
        "tenant": job.tenant,
        "created_at": job.created_at,
        "run_at": job.run_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "deadline": job.deadline,
        "progress": _progress(job),
        "args": args,
        "kwargs": kwargs,
    }


def whole_job(job: Job[Any]) -> WholeJob:
    """Return a job with its errors and its result."""
    return {**job_object(job), "errors": cast(list[ErrorForm], job.errors), "result": stored_result(job)}


def stored_result(job: Job[Any]) -> Any:
    """Return the result of a completed job as plain JSON values; None when it has none, or none that was kept."""
    text = job.result_json
    return msgspec.json.decode(text) if job.state is State.COMPLETED and text is not None else None


def _progress(job: Job[Any]) -> ProgressForm | None:
    progress = job.progress
    if progress is None:
        return None
    return {"fraction": progress.fraction, "message": progress.message, "at": progress.at}
