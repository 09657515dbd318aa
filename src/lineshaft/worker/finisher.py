"""Collects outcomes, decides what they mean, and writes them; what cannot be written is kept and tried again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lineshaft.clock import Clock
from lineshaft.config import Retention
from lineshaft.engines.base import Tx
from lineshaft.events import Subscribers
from lineshaft.feature import Feature, show
from lineshaft.outcomes import Done, Outcome
from lineshaft.store.finish import LogLines, Progress, Written, save_logs, save_progress, write_transitions
from lineshaft.transitions import Close, Complete, PutBack, Stage, Transition, decide
from lineshaft.worker.announce import event_of
from lineshaft.worker.departure import Departure, Departures
from lineshaft.worker.ended import ended_job
from lineshaft.worker.lanetime import LaneTime
from lineshaft.worker.run import Run

Ring = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Batch:
    """Outcomes that are written in one transaction."""

    decided: list[tuple[Run, Transition]]
    settled: list[Run]
    """Jobs whose own transaction wrote their completion; only their logs are left to be stored."""
    departures: list[Departure] = field(default_factory=list)
    """Those of them that limits concern, as their gates see it."""

    def departed(self, written: Written) -> list[Departure]:
        """Return those that have left: an end without effect is that of a claim whose job somebody else has by now.

        Those that a transaction before may have let go already, their own or one whose answer was lost, are marked.
        """
        if not self.departures or (len(written) == len(self.decided) and written.is_certain and not self.settled):
            return self.departures
        effective = {(one.held.id, one.held.claim): written.is_certain for one in written}
        effective.update(((run.id, run.claimed.held.claim), False) for run in self.settled)
        known = ((one, effective.get((one.held.id, one.held.claim))) for one in self.departures)
        return [one if is_now else one._replace(is_now=False) for one, is_now in known if is_now is not None]


class Finisher:
    """Outcomes on their way into the store."""

    def __init__(
        self,
        worker: int,
        clock: Clock,
        retention: Retention,
        subscribers: Subscribers,
        ring: Ring,
        features: Sequence[Feature] = (),
    ) -> None:
        self._worker, self._clock, self._retention = worker, clock, retention
        self._subscribers, self._ring, self._features = subscribers, ring, features
        self._departures = Departures(features)
        self._outcomes: deque[tuple[Run, Outcome]] = deque()
        self._taken = Batch([], [])
        self._under_way: list[Batch] = []
        self.lane_time = LaneTime(clock)
        self.failed: dict[str, int] = {}
        """How many attempts failed so far, by queue."""
        self.put_back: dict[str, int] = {}
        """How many attempts ended so far whose job was put back, by queue."""

    def deliver(self, run: Run, outcome: Outcome) -> None:
        """Take an outcome, from any thread, and wake the store thread."""
        self.lane_time.outcome_came()
        if run.passes is not None:
            run.stop_watch()
        self._outcomes.append((run, outcome))
        self._ring()

    @property
    def waiting(self) -> int:
        """How many outcomes wait to be taken."""
        return len(self._outcomes)

    @property
    def is_empty(self) -> bool:
        """Whether everything is written."""
        return not self._outcomes and not self.taken and not self._under_way

    @property
    def taken(self) -> int:
        """How many outcomes were taken whose writing has not begun."""
        return len(self._taken.decided) + len(self._taken.settled)

    @property
    def frees_places(self) -> bool:
        """Whether others may wait for the places of some of them."""
        return bool(self._taken.departures)

    def pending_runs(self) -> list[Run]:
        """Return the runs whose outcome is not known to be written."""
        decided = [run for batch in (self._taken, *self._under_way) for run, _ in batch.decided]
        return decided + [run for run, _ in list(self._outcomes)]

    def unwritten(self, queue: str, batch: Batch | None) -> int:
        """Return how many jobs of a queue have ended whose end is not written, nor is in this batch."""
        batches = [one for one in (self._taken, *self._under_way) if one is not batch]
        return sum(run.queue == queue for one in batches for run, _ in one.decided)

    def take(self, now: int) -> list[Run]:
        """Take all outcomes that are waiting, decide them, and return the runs that ended."""
        ended: list[Run] = []
        while self._outcomes:
            run, outcome = self._outcomes.popleft()
            ended.append(run)
            transition = decide(run.claimed.held, outcome, now)
            # Of a success that had no gates to pass, for they stood open, there is nobody to tell.
            if run.passes or (run.passes is not None and type(outcome) is not Done):
                self._note_departure(run, outcome, transition)
            if transition is None:
                self._taken.settled.append(run)
                continue
            self._taken.decided.append((run, transition))
            if not isinstance(transition, Complete):
                self._count(run.queue, transition)
        return ended

    def _note_departure(self, run: Run, outcome: Outcome, transition: Transition | None) -> None:
        comes_back = isinstance(transition, PutBack) and transition.stage is Stage.READY
        departure = self._departures.departed(run, outcome, leaves=not comes_back)
        if departure.freed or departure.samples:
            self._taken.departures.append(departure)

    def _count(self, queue: str, transition: Close | PutBack) -> None:
        if transition.error is not None:
            self.failed[queue] = self.failed.get(queue, 0) + 1
        if type(transition) is PutBack:
            self.put_back[queue] = self.put_back.get(queue, 0) + 1

    def begin(self) -> Batch:
        """Return everything that was taken; it is under way until `settle` or `give_back` is told what became of it."""
        batch, self._taken = self._taken, Batch([], [])
        self._under_way.append(batch)
        return batch

    def write(self, tx: Tx, batch: Batch, now: int) -> Written:
        """Write a batch, with the logs of its jobs, and return what took effect."""
        runs = [run for run, _ in batch.decided] + batch.settled
        last_words = [Progress(run.claimed.held, text) for run in runs if (text := run.unstored_progress)]
        if last_words:
            save_progress(tx, last_words, worker=self._worker)
        transitions = [one for _, one in batch.decided]
        written = write_transitions(tx, transitions, worker=self._worker, now=now, keep=self._keep(batch, now))
        self._show_ended(tx, batch, written, now)
        self._note_watched(tx, batch, written, now)
        logs = [LogLines(run.claimed.held, run.joblog.text()) for run in runs if run.joblog]
        if logs:
            save_logs(tx, logs, now=now)
        return written

    def settle(self, batch: Batch, written: Iterable[Transition], now: int) -> None:
        """Forget what is committed and tell who listens."""
        self._under_way.remove(batch)
        if self._subscribers:
            runs = {one.held: run for run, one in batch.decided}
            for one in written:
                self._tell(runs[one.held], one, now)
            for run in batch.settled:
                self._tell(run, Complete(run.claimed.held, None), now)

    def give_back(self, batch: Batch) -> None:
        """Take a batch that could not be written as if it had not begun."""
        self._under_way.remove(batch)
        taken = self._taken
        self._taken = Batch(
            batch.decided + taken.decided, batch.settled + taken.settled, batch.departures + taken.departures
        )

    def _show_ended(self, tx: Tx, batch: Batch, written: Written, now: int) -> None:
        carrying = [(run, one) for run, one in batch.decided if run.claimed.options is not None]
        if carrying:
            effective = set(map(id, written))
            ended = (ended_job(run.claimed, one, run.claimed_at) for run, one in carrying if id(one) in effective)
            show(self._features, tx, ended, now, is_certain=written.is_certain)

    def _note_watched(self, tx: Tx, batch: Batch, written: Written, now: int) -> None:
        for feature in self._features:
            if watched := feature.watched:
                completed = completed_tasks(batch, written, watched)
                if completed:
                    feature.after_completion(tx, completed, now)

    def _keep(self, batch: Batch, now: int) -> Callable[[Transition], int]:
        kept = {run.claimed.held: run.options.keep_result for run, _ in batch.decided if run.options.keep_result}
        retention = self._retention

        def keep(one: Transition) -> int:
            if type(one) is Complete:
                return now + kept.get(one.held, retention.completed)
            return now + retention.of(one)

        return keep

    def _tell(self, run: Run, one: Transition, now: int) -> None:
        event = event_of(run.claimed, one, now)
        if event is not None and self._subscribers.want(event.kind):
            self._subscribers.tell(event)


def completed_tasks(batch: Batch, written: Sequence[Transition], watched: frozenset[str]) -> set[str]:
    """Return those of the tasks of which a job of this batch has completed."""
    runs = [(run, one) for run, one in batch.decided if type(one) is Complete and run.name in watched]
    effective = set(map(id, written)) if runs else ()
    return {run.name for run, one in runs if id(one) in effective} | {run.name for run in batch.settled} & watched
