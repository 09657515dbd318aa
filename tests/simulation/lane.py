# ruff: noqa: D102 - the methods of a lane are described in lanes/base.py
"""A lane whose jobs only take simulated time, and end as the seed says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lineshaft.errors import LeaseLostError, StoreError
from lineshaft.outcomes import (
    Cancelled,
    Cause,
    Done,
    Failed,
    Interrupted,
    JobError,
    Outcome,
    Rejected,
    Settled,
    Snoozed,
)
from lineshaft.worker.execute import stopped
from lineshaft.worker.lanes.base import Deliver, QueueingLane
from lineshaft.worker.run import Run
from lineshaft.worker.transaction import write_completion
from tests.simulation.threads import SECOND, Event, Thread

if TYPE_CHECKING:
    from tests.simulation.world import Host


class SimulatedLane(QueueingLane):
    """Starts each job in a simulated thread, at most `limit` at once."""

    def __init__(self, host: Host, limit: int, deliver: Deliver) -> None:
        super().__init__()
        self._host, self._limit, self._deliver = host, limit, deliver
        self._schedule = host.world.schedule
        self._running: dict[Run, Event] = {}
        self._replaced: set[Run] = set()

    def submit(self, runs: Sequence[Run]) -> None:
        self._ready.extend(runs)
        self._start_more()

    def stop(self, run: Run, cause: Cause) -> None:
        told = self._running.get(run)
        if told is not None and run.take_permit():
            run.stop_cause, run.stop_sent = cause, True
            told.set()

    def replace(self, run: Run) -> None:
        self._replaced.add(run)
        self._start_more()

    def stack_of(self, run: Run) -> str:  # noqa: ARG002 - as in lanes/base.py
        return "in a simulation"

    def close(self) -> None:
        """Its threads end with their jobs."""

    def _start_more(self) -> None:
        while self._ready and len(self._running) - len(self._replaced) < self._limit:
            run = self._ready.popleft()
            self._running[run] = Event(self._schedule)
            Thread(self._work, schedule=self._schedule, host=self._host, args=(run,), name="job").start()

    def _work(self, run: Run) -> None:
        run.start()
        self._host.world.began(self._host, run)
        try:
            outcome = self._run(run)
        finally:
            self._host.world.ended(self._host, run)
        del self._running[run]
        self._replaced.discard(run)
        self._deliver(run, outcome)
        self._start_more()

    def _run(self, run: Run) -> Outcome:
        random = self._schedule.random
        seconds = random.choice((0.01, 0.5, random.uniform(0, 4), random.uniform(0, 30)))
        is_deaf = random.random() < 0.1
        if is_deaf:
            self._schedule.sleep(seconds)
        else:
            self._running[run].wait(seconds)
        if run.stop_cause is not None:
            return stopped(run, Cancelled(run.stop_cause))
        return self._end(run) if run.take_permit() else Interrupted()

    def _end(self, run: Run) -> Outcome:
        random, most = self._schedule.random, _budget(run)
        match random.random():
            case x if x < 0.45:
                return Done(self._host.mark(run))
            case x if x < 0.6:
                return self._complete_in_transaction(run)
            case x if x < 0.75:
                return Failed(self._error(run), round(random.uniform(0, 8) * SECOND), most)
            case x if x < 0.85:
                return Failed(self._error(run), 0, most)
            case x if x < 0.97:
                return Snoozed(round(random.uniform(0, 8) * SECOND))
            case _:
                return Rejected(self._error(run))

    def _complete_in_transaction(self, run: Run) -> Outcome:
        """As `current_job().transaction()` does: an effect, and the completion with it."""
        world, engine = self._host.world, self._host.engine
        try:
            with engine.transaction() as tx:
                tx.connection.execute("insert into effect values (?)", (run.id,))  # type: ignore[attr-defined]
                write_completion(tx, run, self._host.mark(run), world.runtime_retention, engine.clock.now())
        except LeaseLostError:
            return Interrupted()
        except StoreError:
            return Failed(self._error(run), SECOND, _budget(run))
        return Settled()

    def _error(self, run: Run) -> JobError:
        return JobError(run.attempt, "SimulatedError", "the seed wanted it", None, run.clock.now())


def _budget(run: Run) -> int:
    """Return the attempts that the task's policy gives: the job's limit counts those before it was revived too."""
    return run.claimed.max_attempts - run.claimed.held.attempts_before
