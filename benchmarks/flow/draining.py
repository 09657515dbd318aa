"""Runs jobs that do nothing as fast as it goes, and compares what they take with and without a limit."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from benchmarks.flow.site import Line, Site
from lineshaft import Lineshaft, NewJob

SLOTS: Final = 10
_PATIENCE_SECONDS: Final = 120.0


class Drained(NamedTuple):
    """What jobs took from the start of their worker to the end of the last one, in seconds."""

    cpu: float
    wall: float


class Ratio(NamedTuple):
    """How many limited jobs run in the time of a free one: medians of pairs."""

    by_cpu: float
    by_clock: float
    micros: float
    """Processor time of a free job."""

    def line(self, site: Site, figure: str, least: float) -> Line:
        """Return its line of the table: both have to reach the target."""
        value = (
            f"{self.by_clock:.2f} by the clock, {self.by_cpu:.2f} by processor time ({self.micros:.0f} µs a free job)"
        )
        return Line(site.title, figure, value, f"≥ {least}", min(self.by_cpu, self.by_clock) >= least)


class Drain:
    """One app, and how many of its jobs have ended."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.app = Lineshaft(site.address)
        self._ended = threading.Semaphore(0)

    def end(self) -> None:
        """Be told that a job has done all it does."""
        self._ended.release()

    def run(self, jobs: Sequence[NewJob[Any]], queue: str = "default") -> Drained:
        """Enqueue jobs of one queue in one call, and run them all."""
        count = len(self.app.enqueue_many(jobs))
        gc.collect()
        gc.freeze()  # as a worker process does when it starts
        wall, cpu = time.perf_counter(), self.site.cpu_seconds()
        with self.app.worker({queue: SLOTS}):
            for _ in range(count):
                if not self._ended.acquire(timeout=_PATIENCE_SECONDS):
                    msg = f"a job of queue {queue!r} did not run within {_PATIENCE_SECONDS:.0f} s"
                    raise TimeoutError(msg)
            wall = time.perf_counter() - wall
        return Drained(self.site.cpu_seconds() - cpu, wall)

    def close(self) -> None:
        """Close the app."""
        self.app.close()


def compare(jobs: int, rounds: int, free: Callable[[], Drained], limited: Callable[[], Drained]) -> Ratio:
    """Run both in turns, after once to warm up; `jobs` is how many each runs."""
    free(), limited()
    pairs = [(free(), limited()) for _ in range(rounds)]
    return Ratio(
        statistics.median(one.cpu / other.cpu for one, other in pairs),
        statistics.median(one.wall / other.wall for one, other in pairs),
        statistics.median(one.cpu for one, _ in pairs) / jobs * 1e6,
    )
