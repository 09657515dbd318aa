"""Measures jobs of many keys, each limited to one at a time, against the same jobs without a limit."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from benchmarks.flow.draining import Drain, compare
from benchmarks.flow.site import Line, Site
from lineshaft import Concurrency

KEYS: Final = 1_000
LEAST: Final = 0.5


def measure_keys(site: Site, jobs: int, rounds: int) -> Line:
    """Return how much of the unlimited throughput is left."""
    with closing(Drain(site)) as drain:

        @drain.app.task(name="flow.free")
        def free(key: int) -> None:  # noqa: ARG001 - as the other one
            drain.end()

        @drain.app.task(name="flow.limited", concurrency=Concurrency(1, key="key"))
        def limited(key: int) -> None:  # noqa: ARG001 - read by the limit
            drain.end()

        found = compare(
            jobs,
            rounds,
            lambda: drain.run([free.new(one % KEYS) for one in range(jobs)]),
            lambda: drain.run([limited.new(one % KEYS) for one in range(jobs)]),
        )
    return found.line(site, f"{KEYS:,} keys, one at a time each, of the unlimited throughput", LEAST)
