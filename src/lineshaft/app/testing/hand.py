"""A worker by hand: each job is taken, run and finished when it is told to, in the thread that tells it to.

Only the lanes differ from a worker in service: one job at a time, and nothing that could stop it.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lineshaft.app.crossing import in_store_thread
from lineshaft.app.testing.ticking import Ticking
from lineshaft.clock import DAY, SECOND, to_datetime
from lineshaft.engines.base import Tx
from lineshaft.events import JobStarted
from lineshaft.feature import show
from lineshaft.options import Lane as LaneName
from lineshaft.outcomes import Cause, Interrupted, Outcome
from lineshaft.store.claim import (
    Claimed,
    Expired,
    Place,
    claim_jobs,
    expire_overdue,
    first_before,
    place_of,
    promote_due,
)
from lineshaft.store.control import delete_jobs
from lineshaft.store.finish import write_transitions
from lineshaft.store.inspect import count_by_queue
from lineshaft.store.upkeep import register_worker
from lineshaft.transitions import PutBack, Stage, Transition, expire
from lineshaft.version import VERSION
from lineshaft.worker.admission import Admission
from lineshaft.worker.admitted import Admitted, Step
from lineshaft.worker.departure import Departure
from lineshaft.worker.dispatch import Dispatcher, split_expired
from lineshaft.worker.ended import ended_job, expired_jobs
from lineshaft.worker.execute import aexecute, execute
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.lanes.async_ import LoopThread
from lineshaft.worker.lanes.base import QueueingLane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.lifespan import Lifespans
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime
from lineshaft.worker.slots import QueueSlots

OnError = Callable[[Run, BaseException], None]

_LAST: Final = Place(rank=1_000, turn=2**62, id="~")
"""Comes after every job."""
_JOIN_SECONDS: Final = 10
_NO_LIMIT: Final = 1_000_000
_PATIENCE: Final = 30 * DAY
"""When looks at gates have been put off for longer than this, none is expected to help any more."""


class HandLane(QueueingLane):
    """Keeps the job that was handed out until it is run."""

    def submit(self, runs: Sequence[Run]) -> None:
        """Take a job."""
        self._ready.extend(runs)

    def stop(self, run: Run, cause: Cause) -> None:
        """Tell a job that asks: nothing can be raised in the thread of the test."""
        run.stop_cause = cause

    def replace(self, run: Run) -> None:
        """Let the job be: it has the only slot, and nothing waits for that."""

    def stack_of(self, run: Run) -> str:
        """Name the job: its stack is that of the test."""
        return run.name

    def close(self) -> None:
        """Forget what was not run."""
        self._ready.clear()


class HandWorker:
    """Claims and runs the jobs of every queue of one store, one at a time; registered like any worker."""

    def __init__(self, runtime: Runtime, on_error: OnError, *, obeys_limits: bool) -> None:
        self._runtime, self._on_error, self._obeys_limits = runtime, on_error, obeys_limits
        self._engine, self._clock = runtime.engine, runtime.engine.clock
        self._loop_thread: LoopThread | None = None
        self._lifespans = Lifespans(runtime.lifespans, lambda: self._own_loop().loop)
        self._has_async_lifespan = any(map(inspect.isasyncgenfunction, runtime.lifespans))
        self._lane = HandLane()
        self._is_started = False
        self.id = self._register()
        self._finisher = Finisher(
            self.id, self._clock, runtime.retention, runtime.subscribers, lambda: None, runtime.features
        )
        self._admission = Admission(self.id, runtime.tasks, runtime.features, runtime.subscribers, None)
        self._barren = 0
        """For how long a look at gates is put off after several of which no job came to run, in microseconds."""
        self.ticking = Ticking(runtime)
        self._dispatcher = Dispatcher(runtime, self._make_lane, self._finisher.deliver, lambda _: None)

    def start(self) -> None:
        """Enter the lifespans, before the first job; raises what one of them raises."""
        if not self._is_started:
            self._lifespans.enter()
            self._is_started = True

    def close(self) -> None:
        """Leave the lifespans and end the event loop, if one was started."""
        self._lane.close()
        try:
            self._lifespans.exit()
        finally:
            if self._loop_thread is not None:
                self._loop_thread.close()
                self._loop_thread.thread.join(_JOIN_SECONDS)

    def keep_up(self) -> None:
        """Let due jobs into their queues and end those whose deadline has passed, as workers do all the time."""
        now = self._clock.now()
        expires_at = now + self._runtime.retention.expired
        while self._engine.write(lambda tx: promote_due(tx, now)):
            continue

        def expire_overdue_ones(tx: Tx) -> list[Expired]:
            expired = expire_overdue(tx, now=now, expires_at=expires_at)
            show(self._runtime.features, tx, expired_jobs(expired, now), now)
            return expired

        while self._engine.write(expire_overdue_ones):
            continue
        self._admission.look_around(self._engine.read)
        if self._admission.is_due(now):
            self._look_at_gates(now)

    def next_look(self) -> int | None:
        """Return when some gate may let a waiting job go; None when time alone does not seem to move any line."""
        due = self._admission.due
        return None if due is None or self._barren > _PATIENCE else max(due, self._clock.now() + self._barren)

    def _look_at_gates(self, now: int) -> None:
        step = self._engine.write(lambda tx: self._admission.open_due(tx, now))
        self._admission.settle(step)
        self._barren = max(2 * self._barren, SECOND)

    def first(self, queue: str | None) -> tuple[str, Place] | None:
        """Return where the next job stands, by priority, time and id, in a queue or in any."""

        def find(tx: Tx) -> list[tuple[Place, str]]:
            names = {row[0] for row in count_by_queue(tx)} if queue is None else {queue}
            found = ((first_before(tx, name, _LAST), name) for name in names)
            return [(place, name) for place, name in found if place is not None]

        place, name = min(self._engine.read(find), default=(None, ""))
        return None if place is None else (name, place)

    def place_of(self, job_id: str) -> Place:
        """Return where an unfinished job stands in its queue."""
        return self._engine.read(lambda tx: place_of(tx, job_id)) or _LAST

    def claim(self, queue: str, place: Place, *, obeys_limits: bool = True) -> Admitted:
        """Take the job at a place of a queue; none when it is gone, or a limit holds it back."""
        now = self._clock.now()

        def operate(tx: Tx) -> Admitted:
            # One at a time is within any limit of a queue; rates of queues count in service only.
            claimed = claim_jobs(tx, queue=queue, limit=1, worker=self.id, now=now, start=place, is_granted=True)
            is_judged = obeys_limits and self._obeys_limits
            return self._admission.admit(tx, claimed, (), now) if is_judged else Admitted(claimed)

        admitted = self._engine.write(operate)
        self._admission.settle(admitted.step)
        if admitted.jobs:
            self._barren = 0
        return admitted

    def hand_out(self, admitted: Admitted) -> Run | None:
        """Return the run of a claimed job; None when it has expired, or cannot start, which is then written."""
        now = self._clock.now()
        fresh, expired = split_expired(admitted.jobs, now)
        self._expire(expired, admitted.left(expired))
        self._tell_started(fresh)
        slots = {one.queue: QueueSlots(one.queue, _NO_LIMIT) for one in fresh}
        self._dispatcher.hand_out(fresh, slots, now, admitted)
        if self._lane.next_run() is not None:
            [run] = self._lane.withdraw()
            run.on_error = self._on_error
            return run
        self.settle()
        return None

    def execute(self, run: Run) -> None:
        """Run a job to its end: a plain function in this thread, a coroutine function on a loop of our own."""
        run.start()
        if run.task.is_async:
            loop = self._own_loop().loop
            # Without a context of its own the job would see that of the test.
            started = contextvars.Context().run(asyncio.run_coroutine_threadsafe, aexecute(run, self._runtime), loop)
            outcome = started.result()
        elif is_on_loop():
            with ThreadPoolExecutor(1) as thread:  # a plain function may start a loop, which this thread has already
                outcome = thread.submit(execute, run, self._runtime).result()
        else:
            outcome = execute(run, self._runtime)
        self._end(run, outcome)

    async def aexecute(self, run: Run) -> None:
        """As `execute`; a coroutine function runs on the loop that awaits, unless a lifespan lives on our own."""
        if run.task.is_async and not self._has_async_lifespan and is_on_loop():
            run.start()
            self._end(run, await self._on_this_loop(run))
        else:
            await in_store_thread(self.execute, run)

    async def _on_this_loop(self, run: Run) -> Outcome:
        coroutine = aexecute(run, self._runtime)
        task = asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:  # of the test, not of the job: it is put back
            run.stop_cause = "shutdown"
            task.cancel()
            self._end(run, await task)
            raise
        return task.result()

    def release(self, runs: list[Run]) -> None:
        """Put back jobs that were claimed and not run; no attempt is counted."""
        for run in runs:
            self._finisher.deliver(run, Interrupted())
        self.settle()

    def count_attempt(self, claimed: list[Claimed]) -> None:
        """Put back claimed jobs as if an attempt had been made."""
        now = self._clock.now()
        back = [PutBack(one.held, Stage.READY, None) for one in claimed]
        if back:
            self._engine.write(lambda tx: self._write(tx, back, now))

    def forget(self, job_id: str) -> None:
        """Delete a job that does not run."""
        self._engine.write(lambda tx: delete_jobs(tx, [job_id]))

    def settle(self) -> None:
        """Write what has ended and tell who listens."""
        now = self._clock.now()
        self._dispatcher.ended(self._finisher.take(now))
        batch = self._finisher.begin()

        def write(tx: Tx) -> tuple[list[Transition], Step]:
            written = self._finisher.write(tx, batch, now)
            return written, self._admission.depart(tx, batch.departed(written), now)

        written, step = self._engine.write(write)
        self._finisher.settle(batch, written, now)
        self._admission.settle(step)

    def _end(self, run: Run, outcome: Outcome) -> None:
        self._finisher.deliver(run, outcome)
        self.settle()

    def _expire(self, claimed: list[Claimed], departures: Sequence[Departure]) -> None:
        now = self._clock.now()

        def end(tx: Tx) -> Step:
            self._write(tx, [expire(one.held) for one in claimed], now)
            show(self._runtime.features, tx, [ended_job(one, expire(one.held), now) for one in claimed], now)
            return self._admission.depart(tx, departures, now)

        if claimed:
            self._admission.settle(self._engine.write(end))

    def _write(self, tx: Tx, transitions: Sequence[Transition], now: int) -> None:
        expires_at = now + self._runtime.retention.expired
        write_transitions(tx, transitions, worker=self.id, now=now, keep=lambda _: expires_at)

    def _tell_started(self, claimed: list[Claimed]) -> None:
        subscribers = self._runtime.subscribers
        if subscribers.want("started"):
            at = to_datetime(self._clock.now())
            for one in claimed:
                subscribers.tell(JobStarted(one.held.id, one.name, one.queue, one.held.attempt, at))

    def _make_lane(self, queue: str, kind: LaneName, places: Places) -> HandLane:  # noqa: ARG002 - the port's
        return self._lane

    def _own_loop(self) -> LoopThread:
        if self._loop_thread is None:
            self._loop_thread = LoopThread()
            self._loop_thread.start()
        return self._loop_thread

    def _register(self) -> int:
        tasks = sorted(task.name for task in self._runtime.tasks)
        queues = dict.fromkeys((task.defaults.queue for task in self._runtime.tasks), 1)
        return self._engine.write(
            lambda tx: register_worker(
                tx,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=VERSION,
                queues=queues,
                tasks=tasks,
                now=self._clock.now(),
            )
        )


def is_on_loop() -> bool:
    """Tell whether an asyncio event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
