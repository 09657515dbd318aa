"""Collects outcomes, decides what they mean, and writes them; what cannot be written is kept and tried again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from lineshaft.clock import Clock, to_datetime
from lineshaft.config import Retention
from lineshaft.engines.base import Tx
from lineshaft.events import (
    JobCancelled,
    JobCompleted,
    JobDead,
    JobEvent,
    JobExpired,
    JobReleased,
    JobRetrying,
    JobSnoozed,
    Subscribers,
)
from lineshaft.outcomes import Outcome
from lineshaft.store.finish import LogLines, Progress, save_logs, save_progress, write_transitions
from lineshaft.transitions import Close, Complete, PutBack, Stage, Transition, decide
from lineshaft.worker.run import Run

Ring = Callable[[], None]


class Finisher:
    """Outcomes on their way into the store."""

    def __init__(self, worker: int, clock: Clock, retention: Retention, subscribers: Subscribers, ring: Ring) -> None:
        self._worker, self._clock, self._retention = worker, clock, retention
        self._subscribers, self._ring = subscribers, ring
        self._outcomes: deque[tuple[Run, Outcome]] = deque()
        self._pending: list[tuple[Run, Transition]] = []
        self._settled: list[Run] = []
        """Jobs whose own transaction wrote their completion; only their logs are left to be stored."""

    def deliver(self, run: Run, outcome: Outcome) -> None:
        """Take an outcome, from any thread, and wake the store thread."""
        self._outcomes.append((run, outcome))
        self._ring()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be written."""
        return not self._outcomes and not self._pending and not self._settled

    @property
    def has_taken(self) -> bool:
        """Whether outcomes were taken that are not written yet."""
        return bool(self._pending or self._settled)

    def pending_runs(self) -> list[Run]:
        """Return the runs whose outcome is not written yet."""
        return [run for run, _ in self._pending] + [run for run, _ in list(self._outcomes)]

    def take(self, now: int) -> list[Run]:
        """Take all outcomes that are waiting, decide them, and return the runs that ended."""
        ended: list[Run] = []
        while self._outcomes:
            run, outcome = self._outcomes.popleft()
            ended.append(run)
            transition = decide(run.claimed.held, outcome, now)
            if transition is None:
                self._settled.append(run)
            else:
                self._pending.append((run, transition))
        return ended

    def write(self, tx: Tx, now: int) -> list[Transition]:
        """Write what was taken, with the logs of those jobs, and return what took effect."""
        runs = [run for run, _ in self._pending] + self._settled
        last_words = [Progress(run.claimed.held, text) for run in runs if (text := run.unstored_progress)]
        if last_words:
            save_progress(tx, last_words, worker=self._worker)
        transitions = [one for _, one in self._pending]
        written = write_transitions(tx, transitions, worker=self._worker, now=now, keep=self._keep(now))
        logs = [LogLines(run.claimed.held, run.joblog.text()) for run in runs if run.joblog]
        if logs:
            save_logs(tx, logs, now=now)
        return written

    def settle(self, written: Iterable[Transition], now: int) -> None:
        """Forget what is committed and tell who listens."""
        pending, settled = self._pending, self._settled
        self._pending, self._settled = [], []
        if self._subscribers:
            runs = {one.held: run for run, one in pending}
            for one in written:
                self._tell(runs[one.held], one, now)
            for run in settled:
                self._tell(run, Complete(run.claimed.held, None), now)

    def _keep(self, now: int) -> Callable[[Transition], int]:
        kept = {run.claimed.held: run.options.keep_result for run, _ in self._pending if run.options.keep_result}
        retention = self._retention

        def keep(one: Transition) -> int:
            if type(one) is Complete:
                return now + kept.get(one.held, retention.completed)
            is_dead = isinstance(one, Close) and one.stage == Stage.DEAD
            return now + (retention.dead if is_dead else retention.other)

        return keep

    def _tell(self, run: Run, one: Transition, now: int) -> None:
        event = event_of(run, one, now)
        if event is not None and self._subscribers.want(event.kind):
            self._subscribers.tell(event)


def event_of(run: Run, one: Transition, now: int) -> JobEvent | None:
    """Return the event of a transition."""
    held = run.claimed.held
    common: dict[str, Any] = {
        "job_id": held.id,
        "name": run.name,
        "queue": run.queue,
        "attempt": held.attempt,
        "at": to_datetime(now),
    }
    match one:
        case Complete():
            return JobCompleted(**common)
        case Close(stage=Stage.DEAD, reason=reason, error=error):
            return JobDead(**common, reason=str(reason), error=error.message if error else "")
        case Close(stage=Stage.CANCELLED):
            return JobCancelled(**common)
        case Close(stage=Stage.EXPIRED):
            return JobExpired(**common)
        case PutBack(error=None, stage=Stage.SCHEDULED, unknown_since=None):
            return JobSnoozed(**common)
        case PutBack(error=None):
            return JobReleased(**common)
        case PutBack(error=error):
            return JobRetrying(**common, error=error.message if error else "")
        case _:
            return None
