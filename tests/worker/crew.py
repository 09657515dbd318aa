"""The store thread's part of several workers of one app, each stepped by the test, without lanes that run anything."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lineshaft import Lineshaft
from lineshaft.config import Retention
from lineshaft.events import Subscribers
from lineshaft.outcomes import Cause, Done, Outcome
from lineshaft.worker.admission import Admission
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.dispatch import Dispatcher
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.lanes.base import QueueingLane
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.run import Run


def key_of(args: str) -> int:
    """Return the first argument, which is called `key`, of a job's stored arguments."""
    positional, named = msgspec.json.decode(args)
    key: int = positional[0] if positional else named["key"]
    return key


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

    def stack_of(self, run: Run) -> str:  # noqa: ARG002 - the shape of a lane
        """Return nothing."""
        return ""

    def close(self) -> None:
        """Nothing is open."""


class Hand:
    """One worker's part: `step` does a round as its thread does, `end` says how a job ended that it holds."""

    def __init__(self, app: Lineshaft, worker: int, *, slots: int = 10, queue: str = "default") -> None:
        runtime = app.runtime()
        self.engine, self.lane, self.subscribers = runtime.engine, HeldLane(), Subscribers()
        clock, kept, features = self.engine.clock, Retention(), runtime.features
        self.admission = Admission(worker, app, features, self.subscribers, {queue})
        self.claimer = Claimer(self.engine, worker, {queue: slots}, slots, clock)
        self.finisher = Finisher(worker, clock, kept, self.subscribers, lambda: None, features)
        dispatcher = Dispatcher(runtime, lambda *_: self.lane, self.finisher.deliver, lambda _: None)
        self._loop = StoreLoop(
            self.engine, worker, self.claimer, self.finisher, dispatcher, self.admission, kept, features
        )

    @property
    def runs(self) -> list[Run]:
        """What it holds, the oldest first."""
        return self.lane.runs

    def step(self, times: int = 1) -> None:
        """Do rounds, and look each time as the thread does once a second; a store that fails is borne."""
        for _ in range(times):
            self.claimer.look()
            self._loop._guarded_step()

    def end(self, *runs: Run, outcome: Outcome | None = None) -> None:
        """Have jobs end that it holds (none: all), completed unless the outcome is another."""
        for run in runs or list(self.runs):
            self.runs.remove(run)
            run.start()
            self.finisher.deliver(run, Done(None) if outcome is None else outcome)

    def started(self) -> list[str]:
        """Return the names and arguments of what it holds."""
        return [f"{run.name} {run.claimed.args}" for run in self.runs]

    def close(self) -> None:
        """End its threads."""
        self._loop.close()
