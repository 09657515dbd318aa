"""What a run found, as it is kept in JSON; reading and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.harness.figures import Spread, spread

LATEST: Final = Path(__file__).parents[1] / "results" / "latest.json"

Figures = dict[str, float]
"""Figures by the names of `METRICS`."""


class Metric(NamedTuple):
    """A figure that is measured, as tables show it."""

    key: str
    title: str
    unit: str
    digits: int


METRICS: Final = {
    one.key: one
    for one in (
        Metric("drain_one", "drain, 1 process", "/s", 0),
        Metric("drain_two", "drain, 2 processes", "/s", 0),
        Metric("drain_million", "drain of 1,000,000", "/s", 0),
        Metric("single_per_second", "single enqueue", "/s", 0),
        Metric("single_p50_ms", "single enqueue p50", "ms", 2),
        Metric("single_p99_ms", "single enqueue p99", "ms", 2),
        Metric("bulk_per_second", "bulk enqueue", "/s", 0),
        Metric("pick_up_p50_ms", "pick-up p50", "ms", 1),
        Metric("pick_up_p99_ms", "pick-up p99", "ms", 1),
        Metric("idle_cpu_percent", "idle CPU", "%", 2),
        Metric("idle_rss_mib", "idle memory", "MiB", 0),
        Metric("crash_in_flight", "in flight at the kill", "", 0),
        Metric("crash_again", "of these run again", "", 0),
        Metric("crash_lost", "not ended 60 s later", "", 0),
        Metric("crash_doubled", "ended twice", "", 0),
        Metric("crash_again_seconds", "run again after", "s", 1),
    )
}


class SubjectResult(msgspec.Struct):
    """All repetitions of one subject; a limit is a subject too, of the kind `limit`."""

    name: str
    label: str
    kind: str
    """`lineshaft`, `peer` or `limit`."""
    store: str
    peer: str = ""
    variant: str = ""
    settings: str = ""
    keeps_result: bool = True
    has_bulk: bool = True
    versions: dict[str, str] = {}
    repetitions: list[Figures] = []
    problems: list[str] = []

    def values(self, key: str) -> list[float]:
        """Return what the repetitions found for a metric."""
        return [one[key] for one in self.repetitions if key in one]

    def spread(self, key: str) -> Spread | None:
        """Return a metric's median and range, None when it was not measured."""
        values = self.values(key)
        return spread(values) if values else None

    def median(self, key: str) -> float | None:
        """Return a metric's median, None when it was not measured."""
        found = self.spread(key)
        return found.median if found else None


class Run(msgspec.Struct):
    """One run of the benchmark."""

    at: str
    machine: dict[str, str]
    settings: dict[str, str]
    subjects: list[SubjectResult]
    minutes: float = 0.0
    is_whole: bool = False

    def find(self, name: str) -> SubjectResult | None:
        """Return the subject of this name."""
        return next((one for one in self.subjects if one.name == name), None)

    def of_kind(self, kind: str) -> list[SubjectResult]:
        """Return the subjects of a kind."""
        return [one for one in self.subjects if one.kind == kind]


def save(run: Run, path: Path) -> None:
    """Write a run as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(run), indent=1)
    partial = path.with_suffix(".partial")
    partial.write_bytes(text + b"\n")
    partial.replace(path)


def load(path: Path = LATEST) -> Run:
    """Read a run."""
    return msgspec.json.decode(path.read_bytes(), type=Run)
