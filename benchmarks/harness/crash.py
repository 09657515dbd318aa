"""What is measured once: a worker that has nothing to do, and one that is killed with jobs in flight."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from benchmarks import marks
from benchmarks.harness import figures
from benchmarks.harness.bench import Bench
from benchmarks.harness.processes import Group
from benchmarks.harness.results import Figures

IDLE_SECONDS: Final = 10
JOBS: Final = 200
SLOTS: Final = 8
WAIT_SECONDS: Final = 60
_SETTLE_SECONDS: Final = 3
_BEGIN_SECONDS: Final = 20
_FILL_SLOTS_SECONDS: Final = 5
"""Some systems run fewer jobs at once than they are asked to: then fewer are in flight."""


def measure_idle(bench: Bench) -> Figures:
    """Run some jobs, then measure what the worker uses while there are none."""
    count = 100
    first = bench.take_numbers(count)
    with bench.workers(1) as group:
        bench.client.ask("bulk", task="noop", first=first, count=count, seconds=_BEGIN_SECONDS)
        bench.await_marks(group, count, _BEGIN_SECONDS)
        time.sleep(_SETTLE_SECONDS)
        before = group.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        used = group.cpu_seconds() - before
        return {"idle_cpu_percent": 100 * used / IDLE_SECONDS, "idle_rss_mib": group.resident_mib()}


@dataclass(frozen=True, slots=True)
class Crash:
    """A crash that is being watched: a new worker runs what the killed one left."""

    bench: Bench
    jobs: range
    held: frozenset[int]
    killed_at_ns: int
    group: Group

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come, or the time is up."""
        since = (time.monotonic_ns() - self.killed_at_ns) / figures.NANO
        return since > WAIT_SECONDS or (self.recovery().lost == 0 and since > 2 * _SETTLE_SECONDS)

    def recovery(self) -> figures.Recovery:
        """Return what has become of the jobs by now."""
        found = marks.read(self.bench.marks)
        return figures.recovery(found, killed_at_ns=self.killed_at_ns, held=self.held, jobs=self.jobs)

    def finish(self) -> Figures:
        """Stop the worker and return the figures."""
        found = self.recovery()
        self.group.kill()
        again = {} if found.again_seconds is None else {"crash_again_seconds": found.again_seconds}
        return again | {
            "crash_in_flight": found.in_flight,
            "crash_again": found.again,
            "crash_lost": found.lost,
            "crash_doubled": found.doubled,
        }


def begin_crash(bench: Bench) -> Crash:
    """Kill a worker that holds eight of 200 jobs, start another one at once and let all jobs go on."""
    first = bench.take_numbers(JOBS)
    bench.new_marks()
    bench.client.ask("bulk", task="hold", first=first, count=JOBS, seconds=_BEGIN_SECONDS)
    victim = bench.start_workers(1, SLOTS)
    bench.await_marks(victim, SLOTS, _FILL_SLOTS_SECONDS)
    killed_at = time.monotonic_ns()
    victim.kill()
    held = figures.in_flight(marks.read(bench.marks))
    successor = bench.start_workers(1, SLOTS)
    marks.open_gate(bench.marks)
    return Crash(bench, range(first, first + JOBS), frozenset(held), killed_at, successor)
