"""One worker process: the threads that claim, run, write and stay alive, and their orderly start and end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.options import Lane as LaneName
from lineshaft.outcomes import Cancelled, Interrupted
from lineshaft.store.rates import QueueLoad, WorkerLoad, dump_load
from lineshaft.worker import joblog
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.dispatch import Dispatcher
from lineshaft.worker.execute import aexecute, execute, stopped
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.hearing import Hearing
from lineshaft.worker.lanes.async_ import AsyncLane, LoopThread
from lineshaft.worker.lanes.base import Lane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.lanes.thread import ThreadLane
from lineshaft.worker.lease import LeaseGuard
from lineshaft.worker.lifespan import Lifespans
from lineshaft.worker.liveness import Liveness, Upkeep
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.pruner import Pruner, PruningThread
from lineshaft.worker.registration import register, say_draining, sign_off
from lineshaft.worker.rescuer import Rescuer
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime
from lineshaft.worker.stall import StallWatch
from lineshaft.worker.watch import Watch

_log = logging.getLogger("lineshaft.worker")

_JOIN_SECONDS: Final = 10
NO_QUEUES: Final[Mapping[str, int]] = {"default": 10}


class Worker:
    """Claims and runs jobs of some queues until it is told to stop.

    `queues` says how many jobs of each queue run at once, in the order in which the queues are served; `slots` limits
    all of them together. Jobs that ignore the stop are put back where the process ends at once; with `lingers` it may
    go on, so they keep their lease until their code has ended or the process has.
    """

    def __init__(
        self,
        runtime: Runtime,
        queues: Mapping[str, int],
        *,
        slots: int | None = None,
        version: str,
        lingers: bool = False,
    ) -> None:
        self.runtime, self.queues, self._version = runtime, dict(queues), version
        self._slots = slots or sum(queues.values())
        self._lingers = lingers
        self._retention = runtime.retention
        self._stopping = threading.Lock()
        self._stopped = threading.Event()
        self.ended = threading.Event()
        self.is_hung = False
        """Whether it ends because too many jobs ignored being stopped, or because its lease was lost."""
        self.has_abandoned_jobs = False
        """Whether code of jobs still runs in this process although the worker has ended."""
        self.is_drained = False
        """Whether it ends because somebody asked that of it through the store."""
        self._has_begun = False
        self._hung: list[Run] = []
        self._has_lost_lease = False

    def start(self) -> None:
        """Register and start the threads; raises `StoreError` when the store cannot be reached."""
        self.prepare()
        self.begin()

    def prepare(self) -> None:
        """Register and make all parts; whatever interrupts it leaves nothing behind. Raises as `start`."""
        joblog.install()
        self.id = register(self.runtime, self.queues, self._version)
        self._lock = self.runtime.engine.hold_worker_lock(self.id)
        self._loop_thread: LoopThread | None = None
        self._lifespans = Lifespans(self.runtime.lifespans, lambda: self._event_loop().loop)
        try:
            self._lifespans.enter()
            self._assemble()
        except BaseException:
            self.undo_preparation()
            raise

    def begin(self) -> None:
        """Start the threads: from here on jobs are claimed, and only `stop` ends the worker."""
        self.watch.start()
        self.liveness.start()
        self._lease_guard.start()
        self.pruning.start()
        self._hearing.start()
        self.loop.start()
        self._has_begun = True

    def undo_preparation(self) -> None:
        """Sign off a worker that has not begun."""
        self._exit_lifespans()
        if self._loop_thread is not None:
            self._loop_thread.close()
        sign_off(self.runtime.engine, self.id)
        self._lock.release()

    def _assemble(self) -> None:
        engine, settings = self.runtime.engine, self.runtime.settings
        clock = engine.clock
        self.finisher = Finisher(
            self.id, clock, self._retention, self.runtime.subscribers, self._ring, self.runtime.features
        )
        self.watch = Watch(clock, settings.stop_patience, self._note_hung)
        self.dispatcher = Dispatcher(self.runtime, self._make_lane, self.finisher.deliver, self._note_start)
        self.claimer = Claimer(engine, self.id, self.queues, self._slots, clock)
        self.loop = StoreLoop(
            engine, self.id, self.claimer, self.finisher, self.dispatcher, self._retention, self.runtime.features
        )
        self._hearing = Hearing(engine, self._heard, lambda: self.loop.look(None))
        rescuer = Rescuer(engine, self.id, settings, self._retention, self.runtime.subscribers, self.runtime.features)
        upkeep = Upkeep(
            engine,
            self.id,
            self._lock,
            settings,
            self._retention,
            rescuer,
            self.runtime.subscribers,
            self._held,
            self._cancel,
            self._lose_lease,
            on_drain=self._drain,
            load=self._load,
            features=self.runtime.features,
        )
        upkeep.step()
        self.pruning = PruningThread(Pruner(engine, self._retention, self.runtime.features, self.runtime.depot), clock)
        self.claimer.has_lease = upkeep.has_lease
        stalls = StallWatch(
            self.dispatcher,
            self.claimer.queues.__getitem__,
            lambda: self._loop_thread,
            lambda queue: self.loop.look([queue]),
        )
        upkeep.blocked = stalls.blocked
        self._lease_guard = LeaseGuard(upkeep.seconds_left, upkeep.margin_seconds, upkeep.give_up)
        self.liveness = Liveness(upkeep, settings, clock, has_progress=self._has_progress, look_for_stalls=stalls.step)

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no more jobs."""
        return self._stopped.is_set()

    @property
    def is_live(self) -> bool:
        """Whether its own threads go on; a store that is away does not count against it."""
        return self.is_stopping or self.liveness.is_live or not self.loop.is_connected

    def stop(self, grace: float | None = None) -> None:
        """Stop claiming, let running jobs finish for `grace` seconds, then put them back; returns when all is done.

        Called again, as when a worker that is drained gets a signal, the grace that ends sooner counts.
        """
        seconds = self.runtime.settings.grace / SECOND if grace is None else grace
        if self._is_first_to_stop():
            self._stop(seconds)
        elif not self.ended.wait(seconds):
            self.stop_at_once()
            self.ended.wait()

    def _is_first_to_stop(self) -> bool:
        with self._stopping:
            is_first = not self._stopped.is_set()
            self._stopped.set()
        return is_first

    def _drain(self) -> None:
        """End as somebody asked through the store: when every job that runs has finished, however long that takes."""
        if not self._has_begun or not self._is_first_to_stop():
            return
        _log.info("worker %d was told to drain: it takes no more jobs and ends when those that run have", self.id)
        self.is_drained = True
        threading.Thread(target=self._stop, args=(None,), name="lineshaft-drain", daemon=True).start()

    def _stop(self, seconds: float | None) -> None:
        self.loop.drain()
        if not self._has_lost_lease:  # else every moment counts, and its row is of no interest any more
            say_draining(self.runtime.engine, self.id)
        self.dispatcher.withdraw()
        try:
            if not self.loop.wait_out_grace(seconds):
                self._interrupt()
            if self._lingers and self._held():
                self._linger()
            else:
                self._close()
        finally:
            self.ended.set()

    def stop_at_once(self) -> None:
        """End the grace that a `stop` under way gives."""
        self.loop.end_grace()

    def _interrupt(self) -> None:
        patience = self.runtime.settings.stop_patience / SECOND
        stoppable = [run for run in self._held() if not run.is_hung]
        for run in stoppable:
            self._stop_run(run, "shutdown")
        if not self.loop.wait_until_empty(patience if stoppable else 0) and not self._lingers:
            for run in self._held():
                self._abandon(run)
            self.loop.wait_until_empty(patience)

    def _linger(self) -> None:
        """Hold the lease of jobs whose code goes on in this process: nobody else may run them meanwhile."""
        for run in self._held():
            _log.error(
                "job %s (%s) did not stop; no other worker takes it before it or this process ends", run.id, run.name
            )
        self._exit_lifespans()
        threading.Thread(target=self._close_when_empty, name="lineshaft-linger", daemon=True).start()

    def _close_when_empty(self) -> None:
        self.loop.wait_until_empty(None)
        self._close()

    def _abandon(self, run: Run) -> None:
        _log.error("job %s (%s) did not stop; it dies with this process", run.id, run.name)
        self.has_abandoned_jobs = True
        # One that ran out of time has used up its attempt: put back without that, it would hang worker after worker.
        was_told = run.stop_cause not in (None, "shutdown")
        self.finisher.deliver(run, stopped(run, Cancelled()) if was_told else Interrupted())

    def _close(self) -> None:
        self.liveness.close()
        self._lease_guard.close()
        self.pruning.close()
        self.loop.close()
        self.watch.close()
        for lane in self.dispatcher.lanes:
            lane.close()
        self._hearing.interrupt()
        self._exit_lifespans()
        if self._loop_thread is not None:
            self._loop_thread.close()
        if self.liveness.thread is not threading.current_thread():
            self.liveness.thread.join(_JOIN_SECONDS)
        self._hearing.join()
        sign_off(self.runtime.engine, self.id)
        self._lock.release()

    def _exit_lifespans(self) -> None:
        try:
            self._lifespans.exit()
        except Exception:  # noqa: BLE001 - a user's function
            _log.exception("a lifespan failed at its end")

    def _make_lane(self, queue: str, kind: LaneName, places: Places) -> Lane:
        deliver = self.finisher.deliver
        if kind == "thread":
            return ThreadLane(queue, places, lambda run: execute(run, self.runtime), deliver)
        if kind == "process":
            from lineshaft.worker.lanes.process import ProcessLane

            return ProcessLane(queue, places, self.runtime, deliver)
        return AsyncLane(places, self._event_loop(), lambda run: aexecute(run, self.runtime), deliver)

    def _event_loop(self) -> LoopThread:
        """Return the loop of the async jobs, which async lifespans share: pools belong to the loop that made them."""
        if self._loop_thread is None:
            self._loop_thread = LoopThread()
            self._loop_thread.start()
        return self._loop_thread

    def _heard(self, messages: set[str]) -> None:
        if "" in messages:
            self.loop.hear(None)
            self.liveness.poke()
        elif messages:
            self.loop.hear(messages)

    def _ring(self) -> None:
        self.loop.ring()

    def _held(self) -> list[Run]:
        return list(self.dispatcher.runs.values())

    def _load(self) -> str:
        failed, put_back = self.finisher.failed, self.finisher.put_back
        queues = {
            name: QueueLoad(queue.held, queue.ended, failed.get(name, 0), put_back.get(name, 0))
            for name, queue in self.claimer.queues.items()
        }
        return dump_load(WorkerLoad(self._slots, queues))

    def _has_progress(self) -> bool:
        return any(run.has_news for run in self._held())

    def _note_start(self, run: Run) -> None:
        lane = self.dispatcher.lane_of(run)
        if lane is not None and run.options.timeout is not None:
            self.watch.started(run, lane)

    def _cancel(self, run: Run) -> None:
        self._stop_run(run, "cancel")

    def _stop_run(self, run: Run, cause: str) -> None:
        lane = self.dispatcher.lane_of(run)
        if lane is not None:
            self.watch.stop(run, lane, cause)  # type: ignore[arg-type]

    def _note_hung(self, run: Run) -> None:
        self._hung = [one for one in (*self._hung, run) if not one.is_ended]
        self.claimer.queues[run.queue].hung.append(run)
        self.loop.look([run.queue])
        if len(self._hung) >= self.runtime.settings.max_hung and not self.is_stopping:
            _log.error("%d jobs ignore being stopped: this worker ends, to be started anew", len(self._hung))
            self.is_hung = True
            threading.Thread(target=self.stop, name="lineshaft-recycle", daemon=True).start()

    def _lose_lease(self, reason: str) -> None:
        if self._stopped.is_set():
            if self.is_drained:  # it may have let jobs run for long
                _log.error("worker %d stops its jobs: %s", self.id, reason)
                self.stop_at_once()
            return
        _log.error("worker %d stops its jobs: %s", self.id, reason)
        self.is_hung = self._has_lost_lease = True
        threading.Thread(target=self.stop, args=(0,), name="lineshaft-lease", daemon=True).start()
