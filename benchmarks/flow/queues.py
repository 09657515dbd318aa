"""Measures limits of a whole queue that bind nothing, and how queues share slots by weight."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from functools import partial
from typing import Final

from benchmarks.flow.draining import SLOTS, Drain, Drained, compare
from benchmarks.flow.site import Line, Site
from lineshaft import Lineshaft, Rate

LEAST: Final = 0.9
WEIGHTS: Final = {"critical": 6, "default": 3, "low": 1}
MOST_OFF: Final = 0.01
_JOBS: Final = 3_000
_PATIENCE_SECONDS: Final = 60.0


def measure_queue(site: Site, jobs: int, rounds: int) -> list[Line]:
    """Return how much throughput a queue keeps under a limit and under a rate that it never reaches."""
    with closing(Drain(site)) as drain:

        @drain.app.task(name="flow.free")
        def free(_number: int) -> None:
            drain.end()

        drain.app.queues.update("places", concurrency=1_000)
        drain.app.queues.update("tokens", rate=Rate(1_000_000, per="1s"))

        def run(queue: str) -> Drained:
            task = free.options(queue=queue)
            return drain.run([task.new(number) for number in range(jobs)], queue)

        found = {
            queue: compare(jobs, rounds, partial(run, "plain"), partial(run, queue)) for queue in ("places", "tokens")
        }
    told = {"places": "a queue with 1,000 places", "tokens": "a queue with a rate of 1,000,000/s"}
    return [one.line(site, f"{told[queue]}, of the unlimited throughput", LEAST) for queue, one in found.items()]


def measure_weights(site: Site) -> Line:
    """Return how queues that all have jobs share the slots."""
    order: list[str] = []
    is_over = threading.Event()
    with closing(Lineshaft(site.address)) as app:

        @app.task(name="flow.work")
        def work(queue: str) -> None:
            order.append(queue)
            if len(order) == _JOBS:
                is_over.set()

        for queue in WEIGHTS:
            work.options(queue=queue).enqueue_many([queue] * _JOBS)
        with app.worker(dict.fromkeys(WEIGHTS, SLOTS), weights=WEIGHTS):
            if not is_over.wait(_PATIENCE_SECONDS):
                msg = f"{len(order)} of {_JOBS} jobs ran within {_PATIENCE_SECONDS:.0f} s"
                raise TimeoutError(msg)
    return shares(site, order[:_JOBS])


def shares(site: Site, order: list[str]) -> Line:
    """Return the line for the jobs of queues as they started."""
    counts = Counter(order)
    total = sum(WEIGHTS.values())
    off = max(abs(counts[queue] / len(order) - weight / total) for queue, weight in WEIGHTS.items())
    weights, started = (":".join(f"{of[queue]}" for queue in WEIGHTS) for of in (WEIGHTS, counts))
    figure = f"weights {weights}, of the first {len(order):,} jobs"
    return Line(site.title, figure, started, f"± {MOST_OFF:.0%}", off <= MOST_OFF)
