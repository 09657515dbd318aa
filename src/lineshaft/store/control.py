"""What a person does to jobs and queues: cancel, retry, reschedule, delete, pause, limit, purge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lineshaft.engines.base import Row, Tx
from lineshaft.feature import Ended, Feature, show
from lineshaft.store.queries import Statements
from lineshaft.transitions import Reason, Stage

SQL: Final = Statements("control")

_CHUNK: Final = 1_000


def cancel_jobs(
    tx: Tx,
    ids: Sequence[str],
    *,
    now: int,
    expires_at: int,
    features: Sequence[Feature] = (),
    reason: Reason | None = None,
) -> tuple[set[str], set[str]]:
    """Cancel jobs: (those cancelled at once because nobody held them, those running that were asked to stop).

    `features` are shown the former, which keep the `reason`; the latter end later, and are shown by whoever ends them.
    """
    gone = tx.run(SQL.cancel_waiting, {"ids": list(ids), "now": now, "expires_at": expires_at, "reason": reason})
    show(features, tx, (_ended(row, now) for row in gone if row[3] is not None), now)
    cancelled = {row[0] for row in gone}
    rest = [one for one in ids if one not in cancelled]
    asked = {row[0] for row in tx.run(SQL.request_cancel, {"ids": rest, "now": now})} if rest else set()
    return cancelled, asked


def revive_jobs(tx: Tx, ids: Sequence[str], *, now: int) -> int:
    """Have dead, cancelled and expired jobs tried again with a fresh budget, and return how many."""
    return int(tx.run(SQL.revive_jobs, {"ids": list(ids), "now": now})[0][0])


def reschedule_job(tx: Tx, job_id: str, *, run_at: int, now: int) -> bool:
    """Give a waiting job another time; False when it is not waiting."""
    stage = Stage.SCHEDULED if run_at > now else Stage.READY
    return bool(tx.run(SQL.reschedule_job, {"id": job_id, "run_at": run_at, "stage": int(stage)})[0][0])


def delete_jobs(tx: Tx, ids: Sequence[str]) -> int:
    """Delete jobs that are not running, with their logs, and return how many."""
    return int(tx.run(SQL.delete_jobs, {"ids": list(ids)})[0][0])


def purge_queue(tx: Tx, queue: str) -> int:
    """Delete up to 1,000 of a queue's waiting jobs and return how many."""
    return int(tx.run(SQL.purge_queue, {"queue": queue, "limit": _CHUNK})[0][0])


def pause_queue(tx: Tx, queue: str, *, now: int, by: str | None = None, reason: str | None = None) -> None:
    """Let workers take no more of this queue; `by` and `reason` are for people."""
    tx.run(SQL.set_paused, {"queue": queue, "paused_at": now, "paused_by": by, "pause_reason": reason})


def resume_queue(tx: Tx, queue: str) -> None:
    """Let workers take this queue's jobs again."""
    tx.run(SQL.set_paused, {"queue": queue, "paused_at": None, "paused_by": None, "pause_reason": None})


def limit_queue(
    tx: Tx,
    queue: str,
    max_depth: int | None,
    max_depth_per_tenant: int | None = None,
    on_full: str | None = None,
    block_timeout: int | None = None,
) -> None:
    """Let a queue hold at most this many waiting jobs; None takes a limit away. `block_timeout` in microseconds."""
    limits = {"max_depth": max_depth, "max_depth_per_tenant": max_depth_per_tenant}
    tx.run(SQL.set_limits, {"queue": queue, **limits, "on_full": on_full, "block_timeout": block_timeout})


def lock_queue(tx: Tx, queue: str) -> Row:
    """Return (max_depth, max_depth_per_tenant, on_full, block_timeout) of a queue, which nobody else changes now."""
    return tx.run(SQL.lock_queue, {"queue": queue})[0]


def drain_workers(tx: Tx, ids: Sequence[int]) -> set[int]:
    """Ask workers to take no more jobs and to end; they hear it with their next heartbeat. Returns those there are."""
    return {row[0] for row in tx.run(SQL.drain_workers, {"ids": list(ids)})}


def _ended(row: Row, now: int) -> Ended:
    job_id, claim, tenant, options, context = row
    return Ended(job_id, claim, Stage.CANCELLED, tenant, options, context, now)
