"""Puts back the jobs of workers that are gone. Every worker does it on its own heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from lineshaft.clock import SECOND, to_datetime
from lineshaft.config import Retention, Settings
from lineshaft.engines.base import Engine, Tx
from lineshaft.events import JobRescued, Subscribers
from lineshaft.feature import Feature, show
from lineshaft.outcomes import WORKER_LOST, JobError
from lineshaft.store.finish import write_transitions
from lineshaft.store.gates import gates_of
from lineshaft.store.grants import revoke_worker
from lineshaft.store.lead import resign_lead
from lineshaft.store.upkeep import Orphan, Suspect, orphans, remove_worker, suspects, unregistered_holders
from lineshaft.transitions import PutBack, Transition, rescue
from lineshaft.worker.admission import Admission
from lineshaft.worker.admitted import NOTHING, Step
from lineshaft.worker.announce import event_of
from lineshaft.worker.ended import ended_job

_log = logging.getLogger("lineshaft.worker")


_Rescued = tuple[Orphan, Transition]


class Rescuer:
    """Looks for workers that are gone, and for the jobs that they held."""

    def __init__(
        self,
        engine: Engine,
        worker: int,
        settings: Settings,
        retention: Retention,
        subscribers: Subscribers,
        features: Sequence[Feature] = (),
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission
        self._engine, self._worker, self._settings = engine, worker, settings
        self._retention, self._subscribers, self._features = retention, subscribers, features
        self._last_step = 0
        self._judges_from = 0.0
        """When the age of a heartbeat tells something again, by the clock that nobody sets."""

    def step(self, now: int) -> int:
        """Rescue the jobs of every worker that is dead and return how many there were.

        After a gap of its own (a laptop that slept, a store that was away, a clock that was set) it gives the others
        one round to say that they live, for their heartbeats are as old as its own. For a lease's length from then on
        it takes only those for dead whose lock is free: a worker that cannot say that it lives gives up by then.
        """
        asked_at = self._engine.clock.now()
        had_gap = abs(now - self._last_step) > self._settings.silence
        self._last_step = now
        dead = [] if had_gap else self._dead(now)
        # It may also have slept, or the clock may have been set, while it looked.
        if had_gap or abs(self._engine.clock.now() - asked_at) > self._settings.silence:
            self._judges_from = self._engine.clock.monotonic() + self._settings.lease / SECOND
            return 0
        return sum(self._rescue(one) for one in dead)

    def sweep(self) -> int:
        """Rescue jobs whose worker has no row any more, and return how many there were."""
        holders = self._engine.read(unregistered_holders)
        return sum(self._rescue(Suspect(holder, True, "an unknown host", 0)) for holder in holders)

    def _dead(self, now: int) -> list[Suspect]:
        trusts_age = self._engine.clock.monotonic() >= self._judges_from

        def find(tx: Tx) -> list[Suspect]:
            silent = suspects(
                tx, worker=self._worker, now=now, silence=self._settings.silence, lease=self._settings.lease
            )
            unlocked = set(self._engine.dead_workers(tx, [one.id for one in silent])) if silent else set()
            return [one for one in silent if one.id in unlocked or (one.is_lease_over and trusts_age)]

        return self._engine.read(find)

    def _rescue(self, gone: Suspect) -> int:
        written, was_there, step = self._engine.write(lambda tx: self._bury(tx, gone))
        if self._admission is not None:
            self._admission.settle(step)
        for one, transition in written:
            self._tell(one, transition)
        if was_there:
            message = "worker %d (%s, process %d) is gone; %d of its jobs are put back"
            _log.warning(message, gone.id, gone.host, gone.pid, len(written))
        return len(written)

    def _bury(self, tx: Tx, gone: Suspect) -> tuple[list[_Rescued], bool, Step]:
        """Put back what it held and delete its row, tell whether that was there, and free the places that it took.

        In one transaction: a worker that lives after all, and found its row, would claim its jobs anew beside
        their code. If it led, all workers are woken, and one of them leads at once.
        """
        written: list[_Rescued] = []
        gates: dict[str, str] = {}
        revoke_worker(tx, gone.id)  # first: from here on it claims nothing of gated queues
        while held := orphans(tx, gone.id):
            gates |= gates_of(tx, [one.held.id for one in held])
            written += self._put_back(tx, held, gone)
        was_there = remove_worker(tx, gone.id)
        resign_lead(tx, gone.id)
        step = NOTHING if self._admission is None else self._admission.visit(tx, gates, self._engine.clock.now())
        return written, was_there, step

    def _put_back(self, tx: Tx, held: Sequence[Orphan], gone: Suspect) -> list[_Rescued]:
        """Write what becomes of jobs; their worker may have finished some of those that were found."""
        now = self._engine.clock.now()
        transitions = [self._decide(one, gone, now) for one in held]
        written = write_transitions(tx, transitions, worker=gone.id, now=now, keep=self._retention.until(now))
        by_held = {one.held: one for one in held}
        ended = [ended_job(by_held[one.held], one, by_held[one.held].started_at) for one in written]
        show(self._features, tx, ended, now, is_certain=written.is_certain)
        return [(by_held[one.held], one) for one in written]

    def _decide(self, one: Orphan, gone: Suspect, now: int) -> Transition:
        message = f"worker {gone.id} (process {gone.pid} on {gone.host}) was gone while it ran the job"
        return rescue(
            one.held,
            JobError(one.held.attempt, WORKER_LOST, message, None, now),
            is_isolated=one.is_isolated,
            is_cancel_requested=one.cancel_requested,
            max_losses=one.max_attempts - one.held.attempts_before,  # its limit counts those before a revival too
        )

    def _tell(self, one: Orphan, transition: Transition) -> None:
        now = self._engine.clock.now()
        rescued = JobRescued(one.held.id, one.name, one.queue, one.held.attempt, to_datetime(now))
        event = rescued if isinstance(transition, PutBack) else event_of(one, transition, now)
        if event is not None and self._subscribers.want(event.kind):
            self._subscribers.tell(event)
