"""The orderly end of a worker: claim no more, let jobs finish, stop those that do not, close everything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.engines.base import Engine, WorkerLock
from lineshaft.outcomes import Cancelled, Cause, Interrupted
from lineshaft.worker.dispatch import Dispatcher
from lineshaft.worker.execute import stopped
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.hearing import Hearing
from lineshaft.worker.leading import Leading
from lineshaft.worker.lease import LeaseGuard
from lineshaft.worker.lifespan import Lifespans
from lineshaft.worker.liveness import Liveness
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.registration import say_draining, sign_off
from lineshaft.worker.run import Run
from lineshaft.worker.watch import Watch

_log = logging.getLogger("lineshaft.worker")

_JOIN_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of, as far as its end concerns it."""

    engine: Engine
    lock: WorkerLock
    lifespans: Lifespans
    loop: StoreLoop
    dispatcher: Dispatcher
    finisher: Finisher
    watch: Watch
    liveness: Liveness
    lease_guard: LeaseGuard
    hearing: Hearing
    leader: Leading

    def held(self) -> list[Run]:
        """Return the runs that the worker holds."""
        return list(self.dispatcher.runs.values())

    def stop_run(self, run: Run, cause: Cause) -> None:
        """Tell a job to stop."""
        lane = self.dispatcher.lane_of(run)
        if lane is not None:
            self.watch.stop(run, lane, cause)


class Ending:
    """Ends a worker; where its process goes on (`lingers`), code of jobs that ignore the stop keeps its lease.

    `close_event_loop` ends the loop of the async jobs, if there is one; `patience` is how long a job that was told to
    stop may take, in microseconds.
    """

    def __init__(
        self, worker: int, parts: Parts, close_event_loop: Callable[[], None], patience: int, *, lingers: bool
    ) -> None:
        self._worker, self._parts, self._close_event_loop = worker, parts, close_event_loop
        self._patience, self._lingers = patience / SECOND, lingers
        self.has_abandoned_jobs = False
        """Whether code of jobs still runs in this process although the worker has ended."""

    def run(self, seconds: float | None, *, says_so: bool) -> None:
        """End the worker, giving its jobs so long to finish; `says_so`: others are to know that it drains."""
        parts = self._parts
        parts.loop.drain()
        parts.leader.retire()
        if says_so:
            say_draining(parts.engine, self._worker)
        parts.dispatcher.withdraw()
        if not parts.loop.wait_out_grace(seconds):
            self._interrupt()
        if self._lingers and parts.held():
            self._linger()
        else:
            self._close()

    def _interrupt(self) -> None:
        parts = self._parts
        stoppable = [run for run in parts.held() if not run.is_hung]
        for run in stoppable:
            parts.stop_run(run, "shutdown")
        if parts.loop.wait_until_empty(self._patience if stoppable else 0):
            return
        if not self._lingers:
            for run in parts.held():
                self._abandon(run)
        if not (self._lingers and parts.held()):
            parts.loop.wait_until_empty(self._patience)  # what has ended and is not written would be run again

    def _linger(self) -> None:
        """Hold the lease of jobs whose code goes on in this process: nobody else may run them meanwhile."""
        parts = self._parts
        for run in parts.held():
            _log.error(
                "job %s (%s) did not stop; no other worker takes it before it or this process ends", run.id, run.name
            )
        parts.lifespans.leave()
        threading.Thread(target=self._close_when_empty, name="lineshaft-linger", daemon=True).start()

    def _close_when_empty(self) -> None:
        self._parts.loop.wait_until_empty(None)
        self._close()

    def _abandon(self, run: Run) -> None:
        _log.error("job %s (%s) did not stop; it dies with this process", run.id, run.name)
        self.has_abandoned_jobs = True
        # One that ran out of time has used up its attempt: put back without that, it would hang worker after worker.
        was_told = run.stop_cause not in (None, "shutdown")
        self._parts.finisher.deliver(run, stopped(run, Cancelled()) if was_told else Interrupted())

    def _close(self) -> None:
        parts = self._parts
        parts.liveness.close()
        parts.lease_guard.close()
        parts.loop.close()
        parts.watch.close()
        for lane in parts.dispatcher.lanes:
            lane.close()
        parts.hearing.interrupt()
        parts.lifespans.leave()
        self._close_event_loop()
        if parts.liveness.thread is not threading.current_thread():
            parts.liveness.thread.join(_JOIN_SECONDS)
        parts.hearing.join()
        sign_off(parts.engine, self._worker)
        parts.lock.release()
