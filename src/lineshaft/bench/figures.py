"""What a bench found, and the arithmetic behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MILLI = 1_000


@dataclass(frozen=True, slots=True)
class Latency:
    """How long each of `count` calls took, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Rate:
    """How many jobs went through in how many seconds."""

    count: int
    seconds: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What bare SQL does on this store with the same durability, on one connection: no Lineshaft in between."""

    durability: str
    """The setting that says what a commit waits for, such as `synchronous_commit=on`."""
    round_trip_ms: float
    """The median time to the database and back; on SQLite that of a call."""
    commits: Rate
    """Commits of one row, one after the other."""
    commit: Latency
    drain: Rate
    """Claim and finish of 100 jobs in a transaction, until none is left, for eight seconds at most; no job is run."""


@dataclass(frozen=True, slots=True)
class Drain:
    """How fast worker processes ran what was waiting."""

    what: str
    lane: str
    processes: int
    slots: int
    """Jobs at once in each process."""
    rate: Rate
    run_ms: float
    """How long one job runs on an idle worker, above one that does nothing."""
    cores: float
    """How many cores the workers kept busy, on average."""
    machine: float
    """Which part of all cores was busy, from 0 to 1: with what else runs here, such as the database."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The result of a bench."""

    store: str
    engine: Literal["sqlite", "postgres"]
    task: str | None
    """The user's task; None for the bench's own, which do nothing."""
    single_enqueue: Rate
    single_enqueue_latency: Latency
    bulk_enqueue: Rate
    drains: tuple[Drain, ...]
    pick_up: Latency
    limits: Limits | None
    limits_missing: str | None
    """Why there are no limits."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of the bare SQL's rate was reached; above 1 where batches of another size served better."""

    single_enqueue: float
    drains: tuple[float, ...]
    """One for each of the figures' drains."""


def shares(figures: Figures) -> Shares | None:
    """Return Lineshaft's share of the raw limit, None where that was not measured."""
    limits = figures.limits
    if limits is None:
        return None
    return Shares(
        round(figures.single_enqueue.per_second / limits.commits.per_second, 3),
        tuple(round(one.rate.per_second / limits.drain.per_second, 3) for one in figures.drains),
    )


def rate(count: int, seconds: float) -> Rate:
    """Return the rate of `count` jobs in `seconds`."""
    return Rate(count, round(seconds, 6), round(count / seconds, 1))


def latency(micros: Sequence[float]) -> Latency:
    """Return the middle and the 99th percentile (nearest rank) of times in microseconds."""
    return Latency(len(micros), _percentile(micros, 50), _percentile(micros, 99))


def count_for(seconds: float, run_ms: float, cpu_ms: float, slots: int, *, most: int) -> int:
    """Return how many jobs one worker process runs in about so many seconds: at least one a slot, `most` at most.

    Threads share one interpreter: what a job computes (`cpu_ms` of its `run_ms`) it computes alone.
    """
    each_ms = max(run_ms / slots, cpu_ms)
    return most if each_ms <= 0 else max(slots, min(most, int(seconds * MILLI / each_ms)))


def _percentile(micros: Sequence[float], percent: int) -> float:
    ordered = sorted(micros)
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[rank - 1] / MILLI, 3)
