"""One worker process: the threads that claim, run, write and stay alive, and their orderly start and end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.options import Lane as LaneName
from lineshaft.store.rates import QueueLoad, WorkerLoad, dump_load
from lineshaft.worker import joblog
from lineshaft.worker.admission import Admission
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.dispatch import Dispatcher
from lineshaft.worker.ending import Ending, Parts
from lineshaft.worker.execute import aexecute, execute
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.hearing import Hearing
from lineshaft.worker.lanes.async_ import AsyncLane, LoopThread
from lineshaft.worker.lanes.base import Lane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.lanes.thread import ThreadLane
from lineshaft.worker.leading import Leading, NoLeader
from lineshaft.worker.lease import LeaseGuard
from lineshaft.worker.lifespan import Lifespans
from lineshaft.worker.liveness import Liveness, Upkeep
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.queue_order import QueueOrder
from lineshaft.worker.registration import register, sign_off
from lineshaft.worker.rescuer import Rescuer
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime
from lineshaft.worker.stall import StallWatch
from lineshaft.worker.watch import Watch

_log = logging.getLogger("lineshaft.worker")

NO_QUEUES: Final[Mapping[str, int]] = {"default": 10}


class Worker:
    """Claims and runs jobs of some queues until it is told to stop.

    `queues` says how many jobs of each queue run at once, in the order in which the queues are served unless `order`
    says otherwise; `slots` limits all of them together. Jobs that ignore the stop are put back where the process ends
    at once; with `lingers` it may go on, so they keep their lease until their code has ended or the process has.
    """

    def __init__(
        self,
        runtime: Runtime,
        queues: Mapping[str, int],
        *,
        slots: int | None = None,
        order: QueueOrder | None = None,
        version: str,
        lingers: bool = False,
    ) -> None:
        self.runtime, self.queues, self._version = runtime, dict(queues), version
        self.order = order or QueueOrder()
        self.slots = slots or sum(queues.values())
        self._lingers = lingers
        self._retention = runtime.retention
        self._stopping = threading.Lock()
        self._stopped = threading.Event()
        self.ended = threading.Event()
        self.is_hung = False
        """Whether it ends because too many jobs ignored being stopped, or because its lease was lost."""
        self.is_drained = False
        """Whether it ends because somebody asked that of it through the store."""
        self._has_begun = False
        self.leader: Leading = NoLeader()
        self._ending: Ending | None = None
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
        self.leader.start()
        self.liveness.start()
        self._lease_guard.start()
        self._hearing.start()
        self.loop.start()
        self._has_begun = True

    def undo_preparation(self) -> None:
        """Sign off a worker that has not begun."""
        self._lifespans.leave()
        self._close_event_loop()
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
        self._admission = Admission(
            self.id, self.runtime.tasks, self.runtime.features, self.runtime.subscribers, self.queues
        )
        self.claimer = Claimer(engine, self.id, self.queues, self.slots, clock, self.order)
        self.loop = StoreLoop(
            engine, self.id, self.claimer, self.finisher, self.dispatcher, self._admission, self._retention,
            self.runtime.features,
        )  # fmt: skip
        self._hearing = Hearing(engine, self._heard, self._began_to_hear)
        upkeep = self._make_upkeep()
        upkeep.hear_gated = self._hear_gated
        upkeep.hear_fair = self.claimer.hear_fair
        upkeep.step()
        self.claimer.has_lease = upkeep.has_lease
        self.leader = upkeep.leader = self.runtime.make_leader(self.id, upkeep.is_sure)
        self._keep_alive_by(upkeep)
        self._parts = Parts(
            engine, self._lock, self._lifespans, self.loop, self.dispatcher, self.finisher, self.watch, self.liveness,
            self._lease_guard, self._hearing, self.leader,
        )  # fmt: skip
        self._ending = Ending(
            self.id, self._parts, self._close_event_loop, settings.stop_patience, lingers=self._lingers
        )

    def _make_upkeep(self) -> Upkeep:
        engine, settings, retention = self.runtime.engine, self.runtime.settings, self._retention
        subscribers, features = self.runtime.subscribers, self.runtime.features
        return Upkeep(
            engine,
            self.id,
            self._lock,
            settings,
            retention,
            Rescuer(engine, self.id, settings, retention, subscribers, features, self._admission),
            subscribers,
            self._held,
            self._cancel,
            self._lose_lease,
            on_drain=self._drain,
            load=self._load,
            features=features,
            admission=self._admission,
        )

    def _keep_alive_by(self, upkeep: Upkeep) -> None:
        """Make the threads that say that the worker lives, and notice when it soon does not."""
        settings = self.runtime.settings
        stalls = StallWatch(
            self.dispatcher,
            self.claimer.queues.__getitem__,
            lambda: self._loop_thread,
            lambda queue: self.loop.look([queue]),
        )
        upkeep.blocked = stalls.blocked
        self._lease_guard = LeaseGuard(upkeep.seconds_left, upkeep.margin_seconds, upkeep.give_up)
        self.liveness = Liveness(
            upkeep,
            settings,
            self.runtime.engine.clock,
            has_progress=self._has_progress,
            look_for_stalls=stalls.step,
        )

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

    @property
    def has_abandoned_jobs(self) -> bool:
        """Whether code of jobs still runs in this process although the worker has ended."""
        return self._ending is not None and self._ending.has_abandoned_jobs

    def _stop(self, seconds: float | None) -> None:
        assert self._ending is not None, "only a worker that was prepared is stopped"
        try:
            # With a lost lease every moment counts, and its row is of no interest any more.
            self._ending.run(seconds, says_so=not self._has_lost_lease)
        finally:
            self.ended.set()

    def stop_at_once(self) -> None:
        """End the grace that a `stop` under way gives."""
        self.loop.end_grace()

    def _make_lane(self, queue: str, kind: LaneName, places: Places) -> Lane:
        deliver = self.finisher.deliver
        if kind == "thread":
            return ThreadLane(queue, places, lambda run: execute(run, self.runtime), deliver)
        if kind == "process":
            from lineshaft.worker.lanes.process import ProcessLane

            return ProcessLane(queue, places, self.runtime, deliver)
        return AsyncLane(places, self._event_loop(), lambda run: aexecute(run, self.runtime), deliver)

    def _close_event_loop(self) -> None:
        if self._loop_thread is not None:
            self._loop_thread.close()

    def _event_loop(self) -> LoopThread:
        """Return the loop of the async jobs, which async lifespans share: pools belong to the loop that made them."""
        if self._loop_thread is None:
            self._loop_thread = LoopThread()
            self._loop_thread.start()
        return self._loop_thread

    def _heard(self, messages: set[str]) -> None:
        if "" in messages:
            self.loop.hear(None)
            self.leader.wake()
            self.liveness.poke()
        elif messages:
            self.loop.hear(messages)

    def _began_to_hear(self) -> None:
        """Look at everything: what happened before was not heard."""
        self.loop.look(None)
        self.leader.wake()
        self.liveness.poke()

    def _hear_gated(self, gated: str | None) -> None:
        if self.claimer.grants.hear(gated):
            self._ring()

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
        return dump_load(WorkerLoad(self.slots, queues, self.leader.doing))

    def _has_progress(self) -> bool:
        return any(run.has_news for run in self._held())

    def _note_start(self, run: Run) -> None:
        lane = self.dispatcher.lane_of(run)
        if lane is not None and run.options.timeout is not None:
            self.watch.started(run, lane)

    def _cancel(self, run: Run) -> None:
        self._parts.stop_run(run, "cancel")

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
