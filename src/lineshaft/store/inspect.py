"""Reading jobs, queues, workers and logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from heapq import merge
from typing import Any, Final, NamedTuple

from lineshaft.engines.base import Row, Statement, Tx
from lineshaft.job import JobRow
from lineshaft.store.queries import Statements
from lineshaft.transitions import Stage, State

SQL: Final = Statements("inspect")

_CHUNK: Final = 250


class WorkerRow(NamedTuple):
    """A worker as stored."""

    id: int
    host: str
    pid: int
    version: str
    queues: str
    tasks: str
    started_at: int
    heartbeat_at: int
    is_idle: bool
    is_draining: bool
    load: str | None
    """JSON: what it said with its last heartbeat of what it does (`store.rates.WorkerLoad`)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are meant; None means any."""

    states: tuple[State, ...] | None = None
    queue: str | None = None
    name: str | None = None
    tag: str | None = None
    tenant: str | None = None
    since: int | None = None
    search: str | None = None


class _Part(NamedTuple):
    """One place where a kind of jobs is kept, and what of the filter's states lies there."""

    list_all: Statement
    count_all: Statement
    states: dict[State, dict[str, Any]]


_ANY: Final = {"is_held": None, "is_cancelling": None}
_PARTS: Final = (
    _Part(
        SQL.list_live,
        SQL.count_live,
        {
            State.SCHEDULED: {"stages": [Stage.SCHEDULED], **_ANY},
            State.RETRYING: {"stages": [Stage.RETRYING], **_ANY},
            State.QUEUED: {"stages": [Stage.READY, Stage.PARKED], "is_held": False, "is_cancelling": None},
            State.RUNNING: {"stages": [Stage.READY], "is_held": True, "is_cancelling": False},
            State.CANCELLING: {"stages": [Stage.READY], "is_held": True, "is_cancelling": True},
        },
    ),
    _Part(
        SQL.list_unsuccessful,
        SQL.count_unsuccessful,
        {State[stage.name]: {"stages": [stage]} for stage in Stage if stage > Stage.COMPLETED},
    ),
    _Part(SQL.list_completed, SQL.count_completed, {State.COMPLETED: {"stages": [Stage.COMPLETED]}}),
)


def get_job(tx: Tx, job_id: str) -> JobRow | None:
    """Return a job, finished or not, or None when there is none of this id."""
    rows = tx.run(SQL.get_job, {"id": job_id})
    return JobRow._make(rows[0]) if rows else None


def get_jobs(tx: Tx, ids: Sequence[str]) -> dict[str, JobRow]:
    """Return those of the jobs that there are, finished or not, by id."""
    chunks = (list(ids[start : start + _CHUNK]) for start in range(0, len(ids), _CHUNK))
    return {row[0]: JobRow._make(row) for chunk in chunks for row in tx.run(SQL.get_jobs, {"ids": chunk})}


def list_jobs(tx: Tx, wanted: Filter, *, limit: int, cursor: str | None) -> list[JobRow]:
    """Return up to `limit` jobs, the newest first; `cursor` is the id of the last one of the page before."""
    pages = [
        map(JobRow._make, tx.run(part.list_all, _params(wanted, where) | {"limit": limit, "cursor": cursor}))
        for part, where in _places(wanted)
    ]
    newest_first: Iterable[JobRow] = merge(*pages, key=lambda row: row.id, reverse=True)
    return [row for row, _ in zip(newest_first, range(limit), strict=False)]


def count_jobs(tx: Tx, wanted: Filter) -> int:
    """Return how many jobs the filter means."""
    tx.run(SQL.plan_for_values, {})
    return sum(int(tx.run(part.count_all, _params(wanted, where))[0][0]) for part, where in _places(wanted))


def _places(wanted: Filter) -> list[tuple[_Part, dict[str, Any]]]:
    if wanted.states is None:
        return [(part, {"stages": None, **_ANY}) for part in _PARTS]
    return [
        (part, part.states[state]) for part in _PARTS for state in dict.fromkeys(wanted.states) if state in part.states
    ]


def _params(wanted: Filter, where: dict[str, Any]) -> dict[str, Any]:
    stages = where["stages"]
    return {**asdict(wanted), **_ANY, **where, "stages": stages and [int(one) for one in stages]}


def mark_awaited(tx: Tx, ids: Sequence[str], *, is_followed: bool = False) -> set[str]:
    """Have the end of these jobs announced, or all that happens to them, and return those that are not finished."""
    return {row[0] for row in tx.run(SQL.mark_awaited, {"ids": list(ids), "is_followed": is_followed})}


def still_unfinished(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Return those of the jobs that are not finished."""
    return {row[0] for row in tx.run(SQL.still_unfinished, {"ids": list(ids)})}


def glance_at_jobs(tx: Tx, ids: Sequence[str]) -> dict[str, Row]:
    """Return what a move of a job, or a word of its progress, changes: of those that are not finished, by id."""
    return {row[0]: row for row in tx.run(SQL.glance_at_jobs, {"ids": list(ids)})}


def get_logs(tx: Tx, job_id: str) -> list[Row]:
    """Return (attempt, JSON lines) of each claim of a job that logged something, in order."""
    return tx.run(SQL.get_logs, {"id": job_id})


def list_workers(tx: Tx) -> list[WorkerRow]:
    """Return the workers whose rows have not been removed."""
    return [WorkerRow._make(row) for row in tx.run(SQL.list_workers, {})]


def running_by_worker(tx: Tx) -> dict[int, int]:
    """Return how many jobs each worker holds."""
    return dict(tx.run(SQL.running_by_worker, {}))


def list_queues(tx: Tx) -> list[Row]:
    """Return the queues that have settings.

    Each is (name, paused_at, max_depth, paused_by, pause_reason, max_depth_per_tenant, on_full, block_timeout).
    """
    return tx.run(SQL.list_queues, {})


def count_by_queue(tx: Tx) -> list[Row]:
    """Return (queue, stage, is_held, count) of the unfinished jobs."""
    return tx.run(SQL.count_by_queue, {})
