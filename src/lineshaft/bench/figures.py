"""What a bench found, and the arithmetic behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
class Figures:
    """The result of a bench."""

    store: str
    single_enqueue: Rate
    single_enqueue_latency: Latency
    bulk_enqueue: Rate
    drain_threads: Rate
    drain_async: Rate
    pick_up: Latency


def rate(count: int, seconds: float) -> Rate:
    """Return the rate of `count` jobs in `seconds`."""
    return Rate(count, round(seconds, 6), round(count / seconds, 1))


def latency(micros: Sequence[float]) -> Latency:
    """Return the middle and the 99th percentile (nearest rank) of times in microseconds."""
    return Latency(len(micros), _percentile(micros, 50), _percentile(micros, 99))


def _percentile(micros: Sequence[float], percent: int) -> float:
    ordered = sorted(micros)
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[rank - 1] / MILLI, 3)
