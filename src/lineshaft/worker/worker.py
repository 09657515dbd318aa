"""One worker process: the threads that claim, run, write and stay alive, and their orderly start and end."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.engines.base import Listener, Tx
from lineshaft.errors import StoreError
from lineshaft.options import Lane as LaneName
from lineshaft.outcomes import Interrupted
from lineshaft.store.finish import write_transitions
from lineshaft.store.upkeep import ensure_history, orphans, register_worker, remove_worker, set_draining
from lineshaft.transitions import decide
from lineshaft.worker import joblog
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.dispatch import Dispatcher
from lineshaft.worker.execute import aexecute, execute
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.lanes.async_ import AsyncLane, LoopThread
from lineshaft.worker.lanes.base import Lane
from lineshaft.worker.lanes.thread import ThreadLane
from lineshaft.worker.lifespan import Lifespans
from lineshaft.worker.liveness import Liveness, Upkeep
from lineshaft.worker.loop import StoreLoop
from lineshaft.worker.rescuer import Rescuer
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime
from lineshaft.worker.watch import Watch

_log = logging.getLogger("lineshaft.worker")

_JOIN_SECONDS: Final = 10
_LISTEN_AGAIN_SECONDS: Final = 0.5
NO_QUEUES: Final[Mapping[str, int]] = {"default": 10}


class Worker:
    """Claims and runs jobs of some queues until it is told to stop.

    `queues` says how many jobs of each queue run at once, in the order in which the queues are served; `slots` limits
    all of them together.
    """

    def __init__(self, runtime: Runtime, queues: Mapping[str, int], *, slots: int | None = None, version: str) -> None:
        self.runtime, self.queues, self._version = runtime, dict(queues), version
        self._slots = slots or sum(queues.values())
        self._retention = runtime.retention
        self._stopped = threading.Event()
        self.ended = threading.Event()
        self.is_hung = False
        """Whether it ended because too many jobs ignored being stopped."""
        self._hung = 0

    def start(self) -> None:
        """Register and start the threads; raises `StoreError` when the store cannot be reached."""
        joblog.install()
        engine, settings = self.runtime.engine, self.runtime.settings
        self.id = self._register()
        self._lock = engine.hold_worker_lock(self.id)
        self._loop_thread: LoopThread | None = None
        self._lifespans = Lifespans(self.runtime.lifespans, lambda: self._event_loop().loop)
        self._lifespans.enter()
        clock = engine.clock
        self.finisher = Finisher(self.id, clock, self._retention, self.runtime.subscribers, self._ring)
        self.watch = Watch(clock, settings.stop_patience, self._note_hung)
        self.dispatcher = Dispatcher(self.runtime, self._make_lane, self.finisher.deliver, self._note_start)
        self.claimer = Claimer(engine, self.id, self.queues, self._slots, clock)
        self.loop = StoreLoop(engine, self.id, self.claimer, self.finisher, self.dispatcher, self._retention)
        rescuer = Rescuer(engine, self.id, settings, self._retention, self.runtime.subscribers)
        upkeep = Upkeep(
            engine,
            self.id,
            self._lock,
            settings,
            self._retention,
            rescuer,
            self.runtime.features,
            self._held,
            self._cancel,
            self._lose_lease,
        )
        upkeep.step()
        self.liveness = Liveness(upkeep, settings, has_progress=self._has_progress)
        self._start_threads()

    def _start_threads(self) -> None:
        self._listener: Listener | None = None
        self._listening = threading.Thread(target=self._listen, name="lineshaft-listener", daemon=True)
        self.watch.start()
        self.liveness.start()
        self._listening.start()
        self.loop.start()

    def stop(self, grace: float | None = None) -> None:
        """Stop claiming, let running jobs finish for `grace` seconds, then put them back; returns when all is done."""
        if self._stopped.is_set():
            self.ended.wait()
            return
        self._stopped.set()
        seconds = self.runtime.settings.grace / SECOND if grace is None else grace
        self._say_draining()
        self.loop.drain()
        self.dispatcher.withdraw()
        if not self.loop.wait_out_grace(seconds):
            self._interrupt()
        self._close()

    def stop_at_once(self) -> None:
        """End the grace that a `stop` under way gives."""
        self.loop.end_grace()

    def _interrupt(self) -> None:
        for run in self._held():
            self._stop_run(run, "shutdown")
        if not self.loop.wait_until_empty(self.runtime.settings.stop_patience / SECOND):
            for run in self._held():
                _log.error("job %s (%s) did not stop; it is put back and dies with this process", run.id, run.name)
                self.finisher.deliver(run, Interrupted())
            self.loop.wait_until_empty(self.runtime.settings.stop_patience / SECOND)

    def _close(self) -> None:
        self.liveness.close()
        self.loop.close()
        self.watch.close()
        for lane in self.dispatcher.lanes:
            lane.close()
        if self._listener is not None:
            self._listener.interrupt()
        self._lifespans.exit()
        if self._loop_thread is not None:
            self._loop_thread.close()
        for thread in (self.liveness.thread, self._listening):
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)
        self._sign_off()
        self._lock.release()
        self.ended.set()

    def _say_draining(self) -> None:
        try:
            self.runtime.engine.write(lambda tx: set_draining(tx, worker=self.id))
        except StoreError as error:
            _log.warning("worker %d stops without telling the store: %s", self.id, error)

    def _sign_off(self) -> None:
        """Delete this worker's row, and first give back what it still holds: rescue looks for rows, not for jobs."""
        try:
            while self.runtime.engine.write(self._give_back):
                continue
            self.runtime.engine.write(lambda tx: remove_worker(tx, self.id))
        except StoreError as error:
            _log.warning("worker %d could not sign off; others will notice: %s", self.id, error)

    def _give_back(self, tx: Tx) -> int:
        now = self.runtime.engine.clock.now()
        held = [decide(one.held, Interrupted(), now) for one in orphans(tx, self.id)]
        return len(write_transitions(tx, [one for one in held if one], worker=self.id, now=now, keep=lambda _: now))

    def _register(self) -> int:
        engine = self.runtime.engine
        tasks = sorted(task.name for task in self.runtime.tasks)
        now = engine.clock.now()
        engine.write(lambda tx: ensure_history(tx, now=now))
        return engine.write(
            lambda tx: register_worker(
                tx,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=self._version,
                queues=self.queues,
                tasks=tasks,
                now=now,
            )
        )

    def _make_lane(self, queue: str, kind: LaneName, limit: int) -> Lane:
        deliver = self.finisher.deliver
        if kind == "thread":
            return ThreadLane(queue, limit, lambda run: execute(run, self.runtime), deliver)
        if kind == "process":
            from lineshaft.worker.lanes.process import ProcessLane

            return ProcessLane(queue, limit, self.runtime, deliver)
        return AsyncLane(limit, self._event_loop(), lambda run: aexecute(run, self.runtime), deliver)

    def _event_loop(self) -> LoopThread:
        """Return the loop of the async jobs, which async lifespans share: pools belong to the loop that made them."""
        if self._loop_thread is None:
            self._loop_thread = LoopThread()
            self._loop_thread.start()
        return self._loop_thread

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listener = self.runtime.engine.listen("worker")
                self.loop.look(None)
                while not self._stopped.is_set():
                    self._heard(self._listener.receive(None))
            except StoreError:
                self._stopped.wait(_LISTEN_AGAIN_SECONDS)
            finally:
                if self._listener is not None:
                    self._listener.close()

    def _heard(self, messages: set[str]) -> None:
        if "" in messages:
            self.liveness.poke()
            self.loop.look(None)
        elif messages:
            self.loop.look(messages)

    def _ring(self) -> None:
        self.loop.ring()

    def _held(self) -> list[Run]:
        return list(self.dispatcher.runs.values())

    def _has_progress(self) -> bool:
        return any(
            run.progress_text is not None or (run.joblog is not None and run.joblog.is_changed) for run in self._held()
        )

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

    def _note_hung(self, _run: Run) -> None:
        self._hung += 1
        if self._hung >= self.runtime.settings.max_hung:
            _log.error("%d jobs ignore being stopped: this worker ends, to be started anew", self._hung)
            self.is_hung = True
            threading.Thread(target=self.stop, name="lineshaft-recycle", daemon=True).start()

    def _lose_lease(self, reason: str) -> None:
        if self._stopped.is_set():
            return
        _log.error("worker %d stops its jobs: %s", self.id, reason)
        self.is_hung = True
        threading.Thread(target=self.stop, args=(0,), name="lineshaft-lease", daemon=True).start()
