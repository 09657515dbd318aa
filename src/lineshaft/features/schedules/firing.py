"""From a tick to its job: the row that it becomes, and how it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from lineshaft.clock import to_datetime
from lineshaft.errors import QueueFull
from lineshaft.feature import Feature, Incoming, announce
from lineshaft.features.schedules.definition import SCHEDULE, TICK, Definition, read_definition
from lineshaft.features.schedules.records import BY_CLOCK, MANUAL, ScheduleRow, TickState
from lineshaft.ids import derived_id
from lineshaft.newjob import shared_row
from lineshaft.options import JobTemplate, Options, job_of
from lineshaft.store.placing import store_incoming
from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx

_encode: Final = msgspec.json.Encoder().encode
_KNOWN_JOBS: Final = 20_000


class _Prepared(NamedTuple):
    """What all jobs of one schedule have in common."""

    template: JobTemplate
    options: Options
    row: dict[str, Any]


def state_of_tick(definition: Definition, run: str) -> TickState:
    """Return what a tick is when its job is stored: open, if it matters when that ends."""
    return TickState.OPEN if _matters(definition, run) else TickState.ENQUEUED


def check_job(row: ScheduleRow) -> None:
    """Raise `ConfigError` when the job of a schedule that enqueues is none that this version can make."""
    if read_definition(row.declared, row.overrides).job is not None:
        _prepared(row.declared, row.overrides)


def job_of_tick(row: ScheduleRow, run: str, at: int, now: int) -> Incoming:
    """Return the job of a tick; its id comes of the tick, so that whoever makes it makes the same.

    Raises `msgspec.MsgspecError` for a definition of another version.
    """
    definition = read_definition(row.declared, row.overrides)
    template, options, shared = _prepared(row.declared, row.overrides)
    run_at = max(now, at + _jitter(row.name, at, definition.jitter) if run == BY_CLOCK else now) + (options.delay or 0)
    own = {
        "id": derived_id(at, row.name, run, at),
        "run_at": run_at,
        "stage": int(Stage.SCHEDULED if run_at > now else Stage.READY),
        "created_at": now,
        "deadline": None if options.deadline_in is None else now + options.deadline_in,
        "meta": _encode({**(template.meta or {}), SCHEDULE: row.name, TICK: _iso(at)}).decode(),
    }
    if _matters(definition, run):
        own["options"] = _encode({**template.execution, SCHEDULE: (row.name, run, at)}).decode()
    return Incoming({**shared, **own}, options, template.unique_text, fair_text=template.fair_text)


def store_jobs(tx: Tx, features: Sequence[Feature], jobs: Sequence[Incoming], now: int) -> dict[str, str]:
    """Store the jobs of ticks; return why not, for those that could not be, by their ids.

    `features` are those that look at new jobs. A queue that is full refuses its own jobs only.
    """
    announce(features, tx, jobs, now)
    refused = {one.row["id"]: note_of_key(one.existing_id) for one in jobs if one.existing_id is not None}
    refused.update(_store(tx, [one for one in jobs if one.existing_id is None], now))
    return refused


def note_of_key(job_id: str) -> str:
    """Return what is noted of a tick that got no job because of this one."""
    return f"job {job_id} has its unique key"


def _store(tx: Tx, jobs: list[Incoming], now: int) -> Iterator[tuple[str, str]]:
    if not jobs:
        return
    try:
        store_incoming(tx, jobs, now)
    except QueueFull:
        if len(jobs) == 1:
            yield jobs[0].row["id"], f"queue {jobs[0].row['queue']!r} was full"
            return
        jobs.sort(key=lambda one: (one.row["queue"], one.row["run_at"]))  # in halves: a full queue is found soon
        half = len(jobs) // 2
        yield from _store(tx, jobs[:half], now)
        yield from _store(tx, jobs[half:], now)


def _matters(definition: Definition, run: str) -> bool:
    return definition.follows_jobs or run not in (BY_CLOCK, MANUAL)


@lru_cache(maxsize=_KNOWN_JOBS)
def _prepared(declared: str, overrides: str | None) -> _Prepared:
    template = read_definition(declared, overrides).job
    assert template is not None  # whoever fires has looked at the action
    job = job_of(template, meta={})
    return _Prepared(template, job.options, {**shared_row(job, 0, None), "args": job.args})


def _jitter(name: str, at: int, jitter: int) -> int:
    """Return by how much a tick's job is put off: by chance, but the same for everybody who asks."""
    if not jitter:
        return 0
    return int.from_bytes(hashlib.sha256(f"{name}\0{at}".encode()).digest()[:8], "big") % (jitter + 1)


@lru_cache(maxsize=1_024)
def _iso(at: int) -> str:
    return to_datetime(at).isoformat()
