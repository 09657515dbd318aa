"""A job as JSON shows it; docs/cli.md lists the keys, which stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lineshaft.transitions import State

if TYPE_CHECKING:
    from lineshaft import Job

_PLAIN = (
    "id", "name", "state", "reason", "queue", "priority", "attempt", "max_attempts", "tags", "meta", "tenant",
    "created_at", "run_at", "started_at", "finished_at", "deadline",
)  # fmt: skip


def job_object(job: Job[Any]) -> dict[str, Any]:
    """Return a job as a listing shows it."""
    args, kwargs = job.args
    return {name: getattr(job, name) for name in _PLAIN} | {"progress": _progress(job), "args": args, "kwargs": kwargs}


def whole_job(job: Job[Any]) -> dict[str, Any]:
    """Return a job with its errors and its result."""
    return job_object(job) | {"errors": job.errors, "result": stored_result(job)}


def stored_result(job: Job[Any]) -> Any:
    """Return the result of a completed job as plain JSON values; None when it has none, or none that was kept."""
    text = job.result_json
    return msgspec.json.decode(text) if job.state is State.COMPLETED and text is not None else None


def _progress(job: Job[Any]) -> dict[str, Any] | None:
    progress = job.progress
    if progress is None:
        return None
    return {"fraction": progress.fraction, "message": progress.message, "at": progress.at}
