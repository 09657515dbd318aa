"""The store thread: writes all outcomes that are waiting and claims the next jobs, in one transaction.

Batches grow by themselves: what ends while a transaction runs is written by the next one. Nothing waits for a timer.
Where the database has several writers, a large batch is written beside the claims (docs/decisions/0019).
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from lineshaft.clock import to_datetime
from lineshaft.config import Retention
from lineshaft.engines.base import Engine
from lineshaft.errors import StoreError
from lineshaft.events import JobStarted
from lineshaft.feature import Feature
from lineshaft.store.claim import Claimed
from lineshaft.store.upkeep import orphans
from lineshaft.transitions import Transition
from lineshaft.worker.admission import Admission
from lineshaft.worker.admitted import Admitted
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.dispatch import Dispatcher, split_expired
from lineshaft.worker.exchange import Exchange
from lineshaft.worker.finisher import Batch, Finisher
from lineshaft.worker.floor import Scout
from lineshaft.worker.unstarted import Unstarted
from lineshaft.worker.vacuum import Vacuum
from lineshaft.worker.writer import Writer

_log = logging.getLogger("lineshaft.worker")

_LONGEST_BACKOFF: Final = 2.0
_SHORTEST_WAIT: Final = 0.001
_MOST_HELD: Final = 10_000


class StoreLoop:
    """Drives the claimer and the finisher; `step` does one round and may be called without the thread."""

    def __init__(
        self,
        engine: Engine,
        worker: int,
        claimer: Claimer,
        finisher: Finisher,
        dispatcher: Dispatcher,
        admission: Admission,
        retention: Retention,
        features: Sequence[Feature] = (),
    ) -> None:
        self._engine, self._worker = engine, worker
        self._claimer, self._finisher, self._dispatcher = claimer, finisher, dispatcher
        self._admission, self._exchange = admission, Exchange(engine, claimer, finisher, admission)
        self._unstarted = Unstarted(engine, worker, admission, retention, features, dispatcher.subscribers)
        claimer.unwritten = finisher.unwritten
        self._bell = threading.Event()
        self._stepping = threading.Lock()
        self._wakes_at = 0.0
        self._empty = threading.Condition()
        self._closed = False
        self._is_drained = False
        self._grace_ended = False
        self._failures = 0
        self._is_in_doubt = False
        """Whether the store may hold us for the worker of jobs that we know nothing of."""
        self.vacuum = Vacuum(engine)
        self._writer = Writer(self._exchange.write, self.ring)
        admission.look = self.recall
        floors = {name: queue.floor for name, queue in claimer.queues.items()}
        self._scout = Scout(engine, floors, lambda queue: self.look([queue]))
        self._thread = threading.Thread(target=self._work, name="lineshaft-store", daemon=True)

    @property
    def is_connected(self) -> bool:
        """Whether the store answered the last time."""
        return self._failures == 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ring(self) -> None:
        """Have the loop look at once; from any thread."""
        if not self._bell.is_set():
            self._bell.set()

    def look(self, queues: Iterable[str] | None) -> None:
        """Note that these queues (None: all) may have jobs, and look."""
        self._claimer.look(queues)
        self.ring()

    def recall(self, queues: Collection[str]) -> None:
        """Note that jobs of these queues are back at places that they had long ago, and look."""
        self._claimer.recall(queues)
        self.ring()

    def hear(self, queues: Iterable[str] | None) -> None:
        """Note that these queues (None: all) may have jobs, and claim them in this thread if no round is under way.

        A wake-up that had to wake another thread first would come up to a tenth of a millisecond later.
        """
        self._claimer.look(queues)
        if not self._stepping.acquire(blocking=False):
            self.ring()
            return
        try:
            seconds = 0.0 if self._closed else self._guarded_step()
        finally:
            self._stepping.release()
        if self._engine.clock.monotonic() + seconds < self._wakes_at:
            self.ring()  # the store thread means to sleep for longer

    def drain(self) -> None:
        """Claim no more."""
        self._claimer.is_open = False
        self._is_drained = False  # a round that is under way may still claim: the store thread says when it is empty
        self.ring()

    def end_grace(self) -> None:
        """Have whoever waits in `wait_out_grace` stop waiting."""
        with self._empty:
            self._grace_ended = True
            self._empty.notify_all()

    def wait_out_grace(self, seconds: float | None) -> bool:
        """As `wait_until_empty`, at most until the grace is ended."""
        with self._empty:
            self._empty.wait_for(lambda: self._is_drained or self._grace_ended, timeout=seconds)
            return self._is_drained

    def wait_until_empty(self, seconds: float | None) -> bool:
        """Wait until no job is held and every outcome is written; False when the time (None: no limit) was over."""
        with self._empty:
            return self._empty.wait_for(lambda: self._is_drained, timeout=seconds)

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self.ring()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        with self._stepping:  # a round that the listener does is over by then
            self._writer.close()
            self.vacuum.close()
        self._scout.close()

    def _is_empty(self) -> bool:
        return not self._dispatcher.runs and self._finisher.is_empty

    def _work(self) -> None:
        while not self._closed:
            self._bell.clear()
            with self._stepping:
                seconds = self._guarded_step()
                self._wakes_at = self._engine.clock.monotonic() + seconds
            if seconds > 0 and not self._bell.wait(seconds):
                self._claimer.look_again()

    def _guarded_step(self) -> float:
        try:
            seconds = self.step()
        except StoreError as error:
            return self._bear(error)
        except Exception:  # noqa: BLE001 - a worker must outlive a defect in one round
            _log.exception("the store thread met an error and goes on")
            return self._back_off()
        if self._failures:
            _log.warning("the store is back after %d failures", self._failures)
        self._failures = 0
        return seconds

    def step(self) -> float:
        """Do one round and return the seconds until the next one is due (0: at once)."""
        now = self._engine.clock.now()
        self._collect(now)
        self._take(now)
        if self._is_in_doubt:
            self._reconcile(now)
        self._write_beside()
        if self._claimer.is_open:
            self._exchange.look_at_gates(now)
        if not self._may_write and not self._claimer.has_work(now):
            return self._rest(now)
        admitted = self._write_and_claim(now)
        if self._claimer.is_open:
            self._claimer.took(admitted.jobs)
            self._hand_out(admitted, now)
        else:  # it was told to stop while the claim was on its way
            self._unstarted.give_back(
                [one.held for one in admitted.jobs], now, admitted.left(admitted.jobs, leaves=False)
            )
        if self._admission.recalls():
            self._dispatcher.withdraw()
        self._scout.watch()
        self._tell_empty()
        return 0.0 if self._claimer.has_work(now) else self._wait(now)

    @property
    def _may_write(self) -> bool:
        return self._finisher.taken > 0 and not self._writer.is_busy

    def _collect(self, now: int) -> None:
        """Settle what the writer has written meanwhile."""
        written = self._writer.collect()
        if written is None:
            return
        if written.error is not None:
            self._finisher.give_back(written.batch)
            raise written.error
        self._settle(written.batch, written.transitions, now)

    def _write_beside(self) -> None:
        """Have a large batch written while we claim: the lanes would have nothing to do before its commit.

        One that frees places is not: those who wait for them are claimed in the same transaction.
        """
        least = self._engine.beside_from
        is_large = least is not None and self._finisher.taken >= least
        if is_large and not self._writer.is_busy and not self._finisher.frees_places:
            self._writer.begin(self._finisher.begin())

    def _write_and_claim(self, now: int) -> Admitted:
        """Write what was taken and claim, in one transaction; with nothing to write, only claim."""
        if not self._may_write:
            return self._exchange.claim(now)
        batch = self._finisher.begin()
        try:
            written, admitted = self._exchange.write_and_claim(batch, now)
        except BaseException:
            self._finisher.give_back(batch)
            raise
        self._settle(batch, written, now)
        return admitted

    def _settle(self, batch: Batch, written: list[Transition], now: int) -> None:
        self._finisher.settle(batch, written, now)
        self._claimer.wrote(written)
        self.vacuum.after(len(written))

    def _rest(self, now: int) -> float:
        self._tell_empty()
        return max(self._wait(now), _SHORTEST_WAIT)

    def _wait(self, now: int) -> float:
        if self._exchange.is_pressed:
            return 0.0
        return min(self._claimer.wait(now), self._admission.seconds_until_due(now))

    def _take(self, now: int) -> None:
        ended = self._finisher.take(now)
        if not ended:
            return
        seconds = self._finisher.lane_time.passed()
        counts: dict[str, int] = {}
        unstarted: dict[str, int] = {}
        for run in dict.fromkeys(ended):
            if not run.is_ended:  # one that was given up may end later all the same
                counts[run.queue] = counts.get(run.queue, 0) + 1
                if not run.is_started:
                    unstarted[run.queue] = unstarted.get(run.queue, 0) + 1
        for queue, count in counts.items():
            self._claimer.queues[queue].finished(count, unstarted.get(queue, 0), seconds)
            self._claimer.queues[queue].may_have_jobs = True
        self._dispatcher.ended(ended)

    def _hand_out(self, admitted: Admitted, now: int) -> None:
        if not admitted.jobs:
            return
        fresh, expired = split_expired(admitted.jobs, now)
        for one in expired:  # they take no place, whatever becomes of the write
            self._claimer.queues[one.queue].held -= 1
        self._tell_started(fresh, now)
        if len(self._dispatcher.runs) == self._finisher.waiting:
            self._finisher.lane_time.jobs_came()
        self._dispatcher.hand_out(fresh, self._claimer.queues, now, admitted)
        self._unstarted.expire(expired, now, admitted.left(expired))

    def _tell_started(self, claimed: list[Claimed], now: int) -> None:
        subscribers = self._dispatcher.subscribers
        if subscribers.want("started"):
            at = to_datetime(now)
            for one in claimed:
                subscribers.tell(JobStarted(one.held.id, one.name, one.queue, one.held.attempt, at))

    def _reconcile(self, now: int) -> None:
        """Give back jobs that a claim took whose commit's answer was lost: the store says we hold them, we do not."""
        held = self._engine.read(lambda tx: orphans(tx, self._worker, limit=_MOST_HELD))
        runs = [*self._dispatcher.runs.values(), *self._finisher.pending_runs()]
        # By claim: a round that puts a job back may take it again, and then holds it anew.
        known = {(run.id, run.claimed.held.claim) for run in runs}
        unknown = [one.held for one in held if (one.held.id, one.held.claim) not in known]
        self._unstarted.give_back(unknown, now)
        self._is_in_doubt = False

    def _tell_empty(self) -> None:
        if self._claimer.is_open:
            return
        if self._is_empty():
            with self._empty:
                self._is_drained = True
                self._empty.notify_all()
        elif (held := list(self._dispatcher.runs.values())) and all(run.is_hung for run in held):
            self.end_grace()  # more time would not help those that ignore being stopped

    def _bear(self, error: StoreError) -> float:
        if not self._failures:
            _log.warning("the store does not answer; outcomes are kept until it does: %s", error)
        return self._back_off()

    def _back_off(self) -> float:
        self._failures += 1
        self._is_in_doubt = True
        self._claimer.look()
        self._tell_empty()
        longest: float = min(0.05 * 2.0 ** min(self._failures, 8), _LONGEST_BACKOFF)
        return random.uniform(0.5, 1) * longest  # noqa: S311 - spreads workers, guards nothing
