"""Measures fair queues: how soon a lone tenant's job starts while a million of another wait, and what a turn costs.

Jobs of new tenants come one at a time, at any moment, and must start with the next slot that frees. A claim that is
under way when a job is stored does not see it yet: one of twenty may be behind such a claim.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from benchmarks.flow.site import Line, Site
from lineshaft import Lineshaft

MOST_MS: Final = 50.0
"""How long after the next slot was free a lone job may start."""
JOB_SECONDS: Final = 0.1
_BATCH: Final = 10_000
_LONE: Final = 60
_SLOTS: Final = 4
_ENQUEUED: Final = 400
_PATIENCE_SECONDS: Final = 30.0
_moments: Final = random.Random(7)  # noqa: S311 - guards nothing


class Start(NamedTuple):
    """How a lone job started."""

    seconds: float
    """From its enqueue on."""
    late: float
    """Since the first job that started after its enqueue: that one took the next slot."""
    between: int
    """How many others started in that time."""


class Watched:
    """An app whose jobs note when they start."""

    def __init__(self, site: Site) -> None:
        self.app = Lineshaft(site.address)
        self.started: deque[tuple[float, str]] = deque()
        self._came = threading.Condition()

        @self.app.task(name="flow.turn")
        def work(seconds: float, tenant: str = "large") -> None:
            with self._came:
                self.started.append((time.monotonic(), tenant))
                self._came.notify_all()
            time.sleep(seconds)

        self.work = work

    def fill(self, count: int) -> None:
        """Have so many jobs of one tenant wait in a fair queue."""
        self.app.queues.update("default", fair="tenant")
        large = self.work.options(tenant="large")
        for first in range(0, count, _BATCH):
            large.enqueue_many([(JOB_SECONDS,)] * min(_BATCH, count - first))

    def lone(self, number: int) -> Start:
        """Enqueue a job of a tenant that has none, and wait until it starts."""
        tenant = f"lone-{number}"
        self.work.options(tenant=tenant).enqueue(0.0, tenant=tenant)
        enqueued = time.monotonic()
        with self._came:
            if not self._came.wait_for(lambda: any(one == tenant for _, one in self.started), _PATIENCE_SECONDS):
                msg = f"the job of {tenant} did not start in {_PATIENCE_SECONDS:.0f} s"
                raise TimeoutError(msg)
            found = start_of(tenant, enqueued, self.started)
            self.started.clear()
        return found


def start_of(tenant: str, enqueued: float, started: Sequence[tuple[float, str]]) -> Start:
    """Return how the one job of a tenant started, by what started when."""
    at = next(at for at, one in started if one == tenant)
    between = [start for start, one in started if one != tenant and enqueued < start < at]
    return Start(max(0.0, at - enqueued), at - min([at, *between]), len(between))


def measure_turns(site: Site, waiting: int) -> Iterator[Line]:
    """Return how late lone jobs start, and what an enqueue costs."""
    watched = Watched(site)
    with closing(watched.app):
        plain = _cpu_of(lambda: watched.work.options(queue="plain").enqueue(0.0), site)
        watched.fill(waiting)
        large = watched.work.options(tenant="large")
        fair = _cpu_of(lambda: large.enqueue(JOB_SECONDS), site)
        with watched.app.worker({"default": _SLOTS}):
            watched.lone(-1)  # the worker has started, and its claims are what they will be
            starts = [_at_any_moment(watched, number) for number in range(_LONE)]
    yield late_line(site, waiting, starts)
    figure = "processor time of an enqueue into a fair queue, and into any other"
    yield Line(site.title, figure, f"{fair * 1e6:.0f} µs, {plain * 1e6:.0f} µs", "")


def _at_any_moment(watched: Watched, number: int) -> Start:
    time.sleep(_moments.uniform(0.0, JOB_SECONDS))
    return watched.lone(number)


def late_line(site: Site, waiting: int, starts: Sequence[Start]) -> Line:
    """Return the line for lone jobs as they started."""
    late = sorted(one.late * 1_000 for one in starts)
    p50, p95 = (late[-(-len(late) * percent // 100) - 1] for percent in (50, 95))
    others = statistics.mean(one.between for one in starts)
    figure = f"a lone job beside {waiting:,} of another tenant, after the next slot was free, p50 / p95 / most"
    value = f"{p50:.1f} / {p95:.1f} / {late[-1]:.1f} ms, {others:.1f} others before it"
    return Line(site.title, figure, value, f"p95 ≤ {MOST_MS:.0f} ms", p95 <= MOST_MS)


def _cpu_of(enqueue: Callable[[], object], site: Site) -> float:
    for _ in range(_ENQUEUED // 4):
        enqueue()
    before = site.cpu_seconds()
    for _ in range(_ENQUEUED):
        enqueue()
    return (site.cpu_seconds() - before) / _ENQUEUED
