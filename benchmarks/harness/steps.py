"""The measurements of one subject. Each takes a bench and returns figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks import marks
from benchmarks.harness import figures
from benchmarks.harness.bench import Bench, StepError, wait_until
from benchmarks.harness.peers import Subject
from benchmarks.harness.processes import Group
from benchmarks.harness.results import Figures

Say = Callable[[str], None]

MILLION: Final = 1_000_000
FAST_PER_SECOND: Final = 3_000
"""What drains the warm-up faster than this is given more jobs, so that its drain lasts longer than a moment."""
_PATIENCE_SECONDS: Final = 60
_SETTLE_SECONDS: Final = 1
"""What an idle worker does after its last job is over by then."""
_QUIET_SECONDS: Final = 0.03


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured; a count of jobs or a time, whichever is reached first."""

    warm_up: int = 500
    pick_ups: int = 100
    pick_up_seconds: float = 8.0
    singles: int = 5_000
    single_seconds: float = 2.0
    jobs: int = 10_000
    many_jobs: int = 50_000
    fill_seconds: float = 8.0
    drain_seconds: float = 20.0


class Steps:
    """The steps that are repeated, on one bench."""

    def __init__(self, bench: Bench, sizes: Sizes, say: Say) -> None:
        self._bench = bench
        self._sizes = sizes
        self._say = say
        self._waiting = 0
        """Jobs that are stored and were not seen to begin."""
        self._jobs = sizes.jobs

    @property
    def subject(self) -> Subject:
        """What is measured."""
        return self._bench.subject

    def warm_up_and_pick_up(self) -> Figures:
        """Run some jobs, so that everything was used once, then time jobs that an idle worker begins."""
        bench, sizes = self._bench, self._sizes
        self._say("warm-up and pick-up")
        self._fill(sizes.warm_up)
        with bench.workers(1) as group:
            bench.await_marks(group, sizes.warm_up, sizes.drain_seconds)
            found = marks.read(bench.marks)
            self._waiting -= len(found)
            if figures.drain_rate(found, sizes.drain_seconds) > FAST_PER_SECOND:
                self._jobs = sizes.many_jobs
            sent = self._send_to_idle(group, len(found))
            took = figures.pick_ups(sent, marks.read(bench.marks))
        if not took:
            raise StepError("pick-up: no job was begun")
        each = figures.latency(took)
        return {"pick_up_p50_ms": each.p50_ms, "pick_up_p99_ms": each.p99_ms}

    def enqueue_singly(self) -> Figures:
        """Time calls of the peer's enqueue, one after the other."""
        self._say("single enqueue")
        count, seconds = self._sizes.singles, self._sizes.single_seconds
        first = self._bench.take_numbers(count)
        took = self._bench.client.ask("single", task="noop", first=first, count=count, seconds=seconds)["took_ns"]
        self._waiting += len(took)
        each = figures.latency(took)
        return {
            "single_per_second": figures.rate(len(took), sum(took) / figures.NANO),
            "single_p50_ms": each.p50_ms,
            "single_p99_ms": each.p99_ms,
        }

    def enqueue_in_bulk(self) -> Figures:
        """Fill the store for a drain, with the peer's bulk call if it has one."""
        self._say("bulk enqueue")
        per_second = self._fill(self._jobs)
        return {"bulk_per_second": per_second} if self._bench.subject.peer.has_bulk else {}

    def drain(self, processes: int, key: str, jobs: int | None = None) -> Figures:
        """Let workers run what waits, topped up to `jobs`, and count starts."""
        bench = self._bench
        jobs = jobs or self._jobs
        if self._waiting < jobs:
            self._say(f"filling for {key.replace('_', ' ')}")
            self._fill(jobs - self._waiting, self._sizes.fill_seconds if jobs < MILLION else _PATIENCE_SECONDS)
        self._say(key.replace("_", " "))
        with bench.workers(processes) as group:
            bench.await_marks(group, self._waiting, self._sizes.drain_seconds)
        found = marks.read(bench.marks)
        self._waiting -= len({one.number for one in found})
        return {key: figures.drain_rate(found, self._sizes.drain_seconds)}

    def _fill(self, count: int, seconds: float | None = None) -> float:
        limit = self._sizes.fill_seconds if seconds is None else seconds
        first = self._bench.take_numbers(count)
        stored = self._bench.client.ask(
            "bulk", limit + _PATIENCE_SECONDS, task="noop", first=first, count=count, seconds=limit
        )
        self._waiting += stored["count"]
        return figures.rate(stored["count"], stored["seconds"])

    def _send_to_idle(self, group: Group, begun: int) -> dict[int, int]:
        """Send jobs one by one, each after the one before has begun; return when each was sent."""
        sent: dict[int, int] = {}
        end = time.monotonic() + self._sizes.pick_up_seconds
        time.sleep(_SETTLE_SECONDS)
        while len(sent) < self._sizes.pick_ups and time.monotonic() < end:
            number, at = self._send_one(group, begun + len(sent) + 1)
            sent[number] = at
        return sent

    def _send_one(self, group: Group, begun: int) -> tuple[int, int]:
        number = self._bench.take_numbers(1)
        at: int = self._bench.client.ask("send", task="noop", number=number)["at_ns"]
        time.sleep(_QUIET_SECONDS)  # looking for the mark at once would take the processor from the worker
        if not wait_until(lambda: marks.count(self._bench.marks) >= begun, _PATIENCE_SECONDS, _QUIET_SECONDS / 3):
            msg = f"pick-up: job {number} did not begin; the worker's last line: {group.last_line()}"
            raise StepError(msg)
        return number, at
