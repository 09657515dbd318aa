"""What `lineshaft queues`, `workers` and `tasks` print."""

from __future__ import annotations

from typing import TypedDict

from lineshaft.cli.schemas.moment import Moment
from lineshaft.options import FairBy
from lineshaft.store.depth import OnFull


class QueueForm(TypedDict):
    """A queue; `depth` are the jobs that wait, `counts` the unfinished ones by state; `block_timeout` in seconds.

    `rate` as `100/m`; `holders` are workers' ids, with how many of its places each has.
    """

    name: str
    paused: bool
    paused_at: Moment | None
    paused_by: str | None
    pause_reason: str | None
    depth: int
    max_depth: int | None
    max_depth_per_tenant: int | None
    on_full: OnFull
    block_timeout: float | None
    concurrency: int | None
    rate: str | None
    burst: int | None
    fair: FairBy | None
    fair_weights: dict[str, int]
    holders: dict[str, int]
    counts: dict[str, int]


class Purged(TypedDict):
    """What `queues purge` did."""

    deleted: int


class Drained(TypedDict):
    """What `workers drain` did: the ids that were asked to end, those that there are not, whether it waited."""

    drained: list[int]
    unknown: list[int]
    has_ended: bool


class TaskForm(TypedDict):
    """A task; `timeout` in seconds."""

    name: str
    queue: str
    runs_in: str
    priority: int
    max_attempts: int
    timeout: float | None
    parameters: list[str]
