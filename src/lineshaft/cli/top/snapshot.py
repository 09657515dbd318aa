"""What `lineshaft top` shows: a store at one moment, and how fast jobs go through it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Rates:
    """Jobs a second; None until two looks could be compared."""

    enqueued: float | None
    finished: float | None
    """Jobs and attempts that ended, well or not."""
    failed: float | None
    """Attempts that failed."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue."""

    name: str
    paused: bool
    waiting: int
    scheduled: int
    retrying: int
    running: int
    """Jobs that ran in workers when these were last heard of."""
    is_partial: bool
    """Whether there are more than were counted: then the counts are the least that there are."""
    oldest_seconds: float | None
    """For how long the first waiting job could have run."""
    rate_in: float | None
    """Jobs a second that came; None where not all were counted."""
    rate_out: float | None
    """Jobs and attempts a second that ended."""
    rate_failed: float | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker."""

    id: int
    host: str
    pid: int
    version: str
    state: Literal["running", "draining", "silent"]
    slots: int
    busy: int
    rate: float | None
    """Jobs and attempts a second that ended in it."""
    heartbeat_seconds: float
    """How long ago it was heard of."""
    queues: list[str]
    duty: str | None = None
    """What it does as the leader, such as when the next schedule is due; None when it does not lead."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A store at one moment."""

    at: datetime
    store: str
    rates: Rates
    queues: list[QueueView]
    workers: list[WorkerView]
    read_ms: float
    """How long it took to ask the store."""
