"""The arithmetic of the benchmark: from times and marks to figures. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.marks import Kind, Mark

NANO: Final = 1_000_000_000
NANOS_IN_MS: Final = 1_000_000


class Latency(NamedTuple):
    """The middle and the 99th percentile of some times, in milliseconds."""

    p50_ms: float
    p99_ms: float


class Spread(NamedTuple):
    """The median of a figure's repetitions, the least and the greatest."""

    median: float
    low: float
    high: float


class Recovery(NamedTuple):
    """What became of held jobs whose worker was killed.

    `again_seconds` is the time from the kill until the last job that was in flight began again; None: not all did.
    """

    in_flight: int
    again: int
    lost: int
    doubled: int
    again_seconds: float | None


def rate(count: int, seconds: float) -> float:
    """Return jobs per second; 0 for no time at all."""
    return count / seconds if seconds > 0 else 0.0


def percentile(values: Collection[float], percent: float) -> float:
    """Return the nearest-rank percentile; raises `ValueError` without values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def latency(nanos: Collection[float]) -> Latency:
    """Return the percentiles of times in nanoseconds."""
    return Latency(percentile(nanos, 50) / NANOS_IN_MS, percentile(nanos, 99) / NANOS_IN_MS)


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and greatest; raises `ValueError` without values."""
    return Spread(statistics.median(values), min(values), max(values))


def drain_rate(marks: Iterable[Mark], seconds: float) -> float:
    """Return starts per second between the first start and the last one within `seconds` of it; a job counts once."""
    first_starts = _first_starts(marks)
    if not first_starts:
        return 0.0
    begin = min(first_starts.values())
    within = [at for at in first_starts.values() if at - begin <= seconds * NANO]
    return rate(len(within) - 1, (max(within) - begin) / NANO)


def pick_ups(sent: Mapping[int, int], marks: Iterable[Mark]) -> list[int]:
    """Return for each job that was sent at an instant, and began, the nanoseconds between."""
    began = _first_starts(marks)
    return [began[number] - at for number, at in sent.items() if number in began]


def in_flight(marks: Iterable[Mark]) -> set[int]:
    """Return the jobs that began and have not ended."""
    marks = list(marks)
    return {one.number for one in marks if one.kind == Kind.START} - _ended(marks).keys()


def recovery(marks: Sequence[Mark], *, killed_at_ns: int, held: Collection[int], jobs: Collection[int]) -> Recovery:
    """Return what became of `jobs` after their worker was killed with `held` in flight."""
    ended = _ended(marks)
    again = _first_starts(one for one in marks if one.number in held and one.at_ns > killed_at_ns)
    is_whole = held and len(again) == len(held)
    return Recovery(
        in_flight=len(held),
        again=len(again),
        lost=sum(number not in ended for number in jobs),
        doubled=sum(times > 1 for times in ended.values()),
        again_seconds=(max(again.values()) - killed_at_ns) / NANO if is_whole else None,
    )


def _first_starts(marks: Iterable[Mark]) -> dict[int, int]:
    starts: dict[int, int] = {}
    for one in marks:
        if one.kind == Kind.START and one.at_ns < starts.get(one.number, one.at_ns + 1):
            starts[one.number] = one.at_ns
    return starts


def _ended(marks: Iterable[Mark]) -> Counter[int]:
    return Counter(one.number for one in marks if one.kind == Kind.END)
