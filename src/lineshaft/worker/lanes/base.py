"""What a lane is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

from lineshaft.outcomes import Cause, Outcome
from lineshaft.worker.run import Run

Deliver = Callable[[Run, Outcome], None]
"""Hands an outcome to the finisher; from any thread, at once."""


class Lane(ABC):
    """Runs jobs of one queue, each in one of the queue's places; what it cannot start yet waits in it, in order."""

    @abstractmethod
    def submit(self, runs: Sequence[Run]) -> None:
        """Take jobs; returns at once."""

    @abstractmethod
    def stop(self, run: Run, cause: Cause) -> None:
        """Tell a started job to stop: once, and never the job that runs after it."""

    @abstractmethod
    def replace(self, run: Run) -> None:
        """Give the slot of a job that ignores being stopped to others; the job keeps what it holds until it ends."""

    @abstractmethod
    def stack_of(self, run: Run) -> str:
        """Return where a job is at the moment, as text."""

    @abstractmethod
    def withdraw(self) -> list[Run]:
        """Take back the jobs that have not started."""

    def next_run(self) -> Run | None:
        """Return the job that is started next; None too where jobs may have to wait for a process to start."""
        return None

    @abstractmethod
    def close(self) -> None:
        """End the lane; no job runs in it any more, or it is abandoned."""


class QueueingLane(Lane):
    """A lane inside the worker's process: its jobs wait in one row, `_ready`, until a slot is free."""

    def __init__(self) -> None:
        self._ready: deque[Run] = deque()

    def foremost(self) -> Run | None:
        """Return the job that waits in front."""
        try:
            return self._ready[0]
        except IndexError:
            return None

    def withdraw(self) -> list[Run]:
        """Take back what has not started; the slots take from the row at the same time."""
        taken: list[Run] = []
        while True:
            try:
                taken.append(self._ready.popleft())
            except IndexError:
                return taken

    def next_run(self) -> Run | None:
        """Return the job that is started next."""
        return self.foremost()
