"""Stops jobs: at their timeout, on request, at shutdown; and reports those that will not stop."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Final

from lineshaft.clock import SECOND, Clock
from lineshaft.outcomes import Cause
from lineshaft.worker.lanes.base import Lane
from lineshaft.worker.run import Run

_log = logging.getLogger("lineshaft.worker")
_FAR: Final = 3600.0


class Watch:
    """A thread with one row of alarms: a timeout for each job that has one, then the patience with what was stopped."""

    def __init__(self, clock: Clock, patience: int, on_hung: Callable[[Run], None]) -> None:
        self._clock, self._patience, self._on_hung = clock, patience / SECOND, on_hung
        self._alarms: list[tuple[float, int, Run, Lane, Cause | None]] = []
        self._numbers = itertools.count()
        self._condition = threading.Condition(threading.RLock())
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="lineshaft-watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def started(self, run: Run, lane: Lane) -> None:
        """Have a job with a timeout stopped when it is over; called as the job starts."""
        if run.options.timeout is not None:
            self._add(run.options.timeout / SECOND, run, lane, "timeout")

    def stop(self, run: Run, lane: Lane, cause: Cause) -> None:
        """Tell a job to stop now, and look again when the patience is over."""
        lane.stop(run, cause)
        self._add(self._patience, run, lane, None)

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def _add(self, seconds: float, run: Run, lane: Lane, cause: Cause | None) -> None:
        with self._condition:
            alarm = (self._clock.monotonic() + seconds, next(self._numbers), run, lane, cause)
            heapq.heappush(self._alarms, alarm)
            if self._alarms[0] is alarm:
                self._condition.notify()

    def _work(self) -> None:
        while not self._closed:
            self.step(self._clock.monotonic())
            with self._condition:
                if not self._closed:
                    self._condition.wait(self._next_in())

    def step(self, now: float) -> float:
        """Ring the alarms that are due and return the seconds until the next."""
        for run, lane, cause in self._due(now):
            if run.is_ended:
                continue
            if cause is not None:
                self.stop(run, lane, cause)
            elif run.is_stop_lost and run.stop_cause is not None:
                run.is_stop_lost = False
                self.stop(run, lane, run.stop_cause)
            else:
                self._report(run, lane)
        return self._next_in()

    def _due(self, now: float) -> list[tuple[Run, Lane, Cause | None]]:
        # Taken first, rung afterwards and without the lock: a lane may need a moment, and jobs that start need it too.
        due = []
        with self._condition:
            while self._alarms and self._alarms[0][0] <= now:
                due.append(heapq.heappop(self._alarms)[2:])
        return due

    def _next_in(self) -> float:
        with self._condition:
            return max(0.0, self._alarms[0][0] - self._clock.monotonic()) if self._alarms else _FAR

    def _report(self, run: Run, lane: Lane) -> None:
        _log.error(
            "job %s (%s) ignores being stopped (%s); its slot is replaced. It is here:\n%s",
            run.id,
            run.name,
            run.stop_cause,
            lane.stack_of(run),
        )
        run.is_hung = True
        lane.replace(run)
        self._on_hung(run)
