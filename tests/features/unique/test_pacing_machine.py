"""Any order of enqueues, resends, passing time and workers that come and go, against a model of four fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lineshaft.clock import SECOND
from lineshaft.ids import new_id
from lineshaft.options import Unique
from lineshaft.store.claim import claim_jobs, promote_due
from lineshaft.store.inspect import Filter, list_jobs
from lineshaft.transitions import Complete
from tests.features.unique.conftest import WORKER, Store

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.feature import Incoming
    from lineshaft.transitions import Held

QUIET, MOST, EVERY = 5, 12, 10
RULES = {
    "debounce": Unique.debounce("5s"),
    "bounded": Unique.debounce("5s", at_most="12s"),
    "throttle": Unique.throttle("10s"),
}


@dataclass
class Line:
    """What should become of the jobs of one key; instants in seconds."""

    kind: str
    waiting: str | None = None
    """The arguments of the one job that waits."""
    first_at: int = 0
    run_at: int = 0
    started: list[tuple[int, str]] = field(default_factory=list)

    def come(self, args: str, now: int) -> None:
        """One more is enqueued."""
        is_first = self.waiting is None
        self.waiting = args
        self.first_at = now if is_first else self.first_at
        if self.kind == "throttle":
            self.run_at = self._free_at(now) if is_first else self.run_at
        else:
            self.run_at = min(now + QUIET, self.first_at + MOST if self.kind == "bounded" else now + QUIET)

    def start(self, now: int) -> None:
        """Workers take what is due."""
        if self.waiting is not None and self.run_at <= now:
            self.started.append((now, self.waiting))
            self.waiting = None

    def _free_at(self, now: int) -> int:
        return max(now, self.started[-1][0] + EVERY) if self.started else now


class PaceMachine(RuleBasedStateMachine):
    """One key of each kind in a queue of its own, with producers and a worker."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.store = Store(engine, engine.clock.now())
        self.epoch, self.text = self.store.now, f'["{new_id()}"]'
        self.lines = {kind: Line(kind) for kind in RULES}
        self.found: dict[str, list[tuple[int, str]]] = {kind: [] for kind in RULES}
        self.running: list[Held] = []
        self.latest: tuple[list[Incoming], list[str]] | None = None
        self.number = 0

    @property
    def now(self) -> int:
        """How many seconds have passed."""
        return (self.store.now - self.epoch) // SECOND

    @rule(kinds=st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=4))
    def enqueue(self, kinds: list[str]) -> None:
        """Enqueue some in one call, twins among them perhaps."""
        jobs = [self._new(kind) for kind in kinds]
        self.latest = jobs, self.store.enqueue(*jobs)

    @precondition(lambda self: self.latest is not None)
    @rule()
    def send_again(self) -> None:
        """Send the last call again, as after a lost answer; workers may have taken its jobs by now."""
        assert self.latest is not None
        jobs, answers = self.latest
        self.latest = None
        assert self.store.enqueue(*jobs, is_resend=True) == answers

    @rule(seconds=st.integers(1, 7), has_worker=st.booleans())
    def pass_time(self, seconds: int, *, has_worker: bool) -> None:
        """Let time pass, with or without somebody who takes jobs as they fall due."""
        self.latest = None
        for _ in range(seconds):
            self.store.now += SECOND
            if has_worker:
                self._work()

    @rule()
    def work(self) -> None:
        """Take what is due at this moment."""
        if self.latest is not None and any(job.existing_id is not None for job in self.latest[0]):
            self.latest = None  # arguments that a job has run with would be sent as new ones
        self._work()

    @precondition(lambda self: self.running)
    @rule()
    def complete(self) -> None:
        """Complete what runs."""
        for held in self.running:
            self.store.write(Complete(held, "null"))
        self.running.clear()

    @invariant()
    def started_as_the_model_says(self) -> None:
        """Each kind has started what the model says, then, with those arguments, and the same waits."""
        assert self.found == {kind: line.started for kind, line in self.lines.items()}
        for kind, line in self.lines.items():
            expected = [] if line.waiting is None else [(line.run_at, line.waiting)]
            assert self._waiting(kind) == expected

    def _new(self, kind: str) -> Incoming:
        self.number += 1
        self.lines[kind].come(f"[{self.number}]", self.now)
        own = {"name": kind, "queue": self._queue(kind), "args": f"[{self.number}]"}
        return self.store.new(RULES[kind], self.text, **own)

    def _queue(self, kind: str) -> str:
        return f"{kind} {self.text[2:-2]}"

    def _work(self) -> None:
        self.store.engine.write(lambda tx: promote_due(tx, self.store.now))
        for kind, line in self.lines.items():
            claimed = self.store.engine.write(
                lambda tx, kind=kind: claim_jobs(
                    tx, queue=self._queue(kind), limit=9, worker=WORKER, now=self.store.now
                )
            )
            self.found[kind] += [(self.now, job.args) for job in claimed]
            self.running += [job.held for job in claimed]
            line.start(self.now)

    def _waiting(self, kind: str) -> list[tuple[int, str]]:
        chosen = Filter(queue=self._queue(kind))
        rows = self.store.engine.read(lambda tx: list_jobs(tx, chosen, limit=100, cursor=None))
        waiting = [row for row in rows if row.worker is None and row.finished_at is None]
        return [((row.run_at - self.epoch) // SECOND, row.args) for row in waiting]


@pytest.mark.timeout(300)  # a failure takes time to be made small
def test_any_order_on_sqlite(memory_engine: Engine) -> None:
    """On SQLite, whatever happens in whatever order, jobs start when the model says, with the newest arguments."""
    drive(memory_engine, examples=60)


@pytest.mark.timeout(300)  # a failure takes time to be made small
def test_any_order_on_postgres(postgres_engine: Engine) -> None:
    """On PostgreSQL likewise."""
    drive(postgres_engine, examples=15)


def drive(engine: Engine, examples: int) -> None:
    chosen = settings(max_examples=examples, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(lambda: PaceMachine(engine), settings=chosen)
