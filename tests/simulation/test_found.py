"""What the simulation found, each as the shortest run that shows it, on every store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lineshaft import Lineshaft
from lineshaft.config import Retention
from lineshaft.engines.base import Engine
from lineshaft.errors import StoreUnavailableError
from lineshaft.events import Subscribers
from lineshaft.outcomes import Cause, Done, Snoozed
from lineshaft.store.upkeep import orphans
from lineshaft.testing.commits import around_commits
from lineshaft.transitions import Close, Complete, Reason, Stage, State
from lineshaft.worker.admission import Admission
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.dispatch import Dispatcher
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.lanes.base import QueueingLane
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.run import Run
from tests.plugins.engines import ERROR, WORKER, MakeJob, finish, new_row, row_of, store_rows


class HeldLane(QueueingLane):
    """Keeps what it is given; the test says how it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []

    def submit(self, runs: Sequence[Run]) -> None:
        """Take jobs."""
        self.runs += runs

    def stop(self, run: Run, cause: Cause) -> None:
        """Nothing is stopped here."""

    def replace(self, run: Run) -> None:
        """Nothing hangs here."""

    def stack_of(self, run: Run) -> str:  # noqa: ARG002 - as in lanes/base.py
        """Return nothing."""
        return ""

    def close(self) -> None:
        """Nothing is open."""


class Failure:
    """One failure of the store, at an edge of its n-th transaction that writes."""

    def __init__(self, edge: str, number: int) -> None:
        self._edge, self._left = edge, number

    def opening(self) -> None:
        """Fail later."""

    def committing(self) -> None:
        """Fail before the commit, if that is the edge."""
        self._left -= 1
        self._fail("committing")

    def committed(self) -> None:
        """Fail after the commit, if that is the edge."""
        self._fail("committed")

    def _fail(self, edge: str) -> None:
        if not self._left and edge == self._edge:
            self._left = -1
            raise StoreUnavailableError("the store failed once")


class Part:
    """The store thread's part of a worker, stepped by the test."""

    def __init__(self, app: Lineshaft) -> None:
        self.engine = app.runtime().engine
        self.lane = HeldLane()
        clock, kept = self.engine.clock, Retention()
        self.claimer = Claimer(self.engine, WORKER, {"default": 1}, 1, clock)
        self.finisher = Finisher(WORKER, clock, kept, Subscribers(), lambda: None)
        dispatcher = Dispatcher(app.runtime(), lambda *_: self.lane, self.finisher.deliver, lambda _: None)
        admission = Admission(WORKER, app, (), Subscribers(), None)
        self._loop = StoreLoop(self.engine, WORKER, self.claimer, self.finisher, dispatcher, admission, kept)

    def step(self, times: int = 1) -> None:
        """Do rounds as the thread does, and look each time as it does once a second."""
        for _ in range(times):
            self.claimer.look()
            self._loop._guarded_step()

    def held(self) -> int:
        """Return how many jobs the store says that the worker holds."""
        return len(self.engine.read(lambda tx: orphans(tx, WORKER)))


@pytest.fixture
def part(app: Lineshaft) -> Part:
    """The part, of an app with one task on each engine in turn."""

    @app.task(name="shop.render")
    def render() -> None:
        """Never really run."""

    return Part(app)


def test_a_job_claimed_again_in_the_round_of_its_release_is_not_forgotten(part: Part) -> None:
    """When the answer to a round is lost that put a job back and took it again, the job runs again all the same."""
    store_rows(part.engine, new_row())
    part.step()
    [first] = part.lane.runs
    part.finisher.deliver(first, Snoozed(0))
    with around_commits(part.engine, Failure("committed", 1)):
        part.step()
        part.step(4)
    assert len(part.lane.runs) == 2, f"the store says that {part.held()} job is held, and nobody runs it"
    part.finisher.deliver(part.lane.runs[1], Done("1"))
    part.step(2)
    assert part.held() == 0


@pytest.mark.parametrize("edge", ["committing", "committed"])
def test_a_job_that_expires_at_its_claim_frees_its_place(part: Part, edge: str) -> None:
    """When the store fails while a job is ended whose deadline has passed, the worker's place is free again."""
    late = new_row(deadline=1)
    store_rows(part.engine, late)
    number = 2 if part.engine.dialect == "sqlite" else 4  # after the claim, which PostgreSQL does in three statements
    with around_commits(part.engine, Failure(edge, number)):
        part.step(4)
    store_rows(part.engine, new_row())
    part.step(2)
    assert row_of(part.engine, late["id"]).stage == Stage.EXPIRED
    assert len(part.lane.runs) == 1
    assert part.claimer.queues["default"].held == 1


def test_a_completed_job_is_not_reported_dead(engine: Engine, make_job: MakeJob) -> None:
    """When the answer to a job's own commit is lost and the attempt fails for it, nobody is told that the job died."""
    held = make_job(State.RUNNING).held
    assert finish(engine, Complete(held, "1")) == [Complete(held, "1")]
    assert finish(engine, Close(held, Stage.DEAD, Reason.ERROR, ERROR)) == []
    assert finish(engine, Complete(held, "1")) == [Complete(held, "1")]
