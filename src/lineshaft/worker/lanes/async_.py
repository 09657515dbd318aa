"""The async lane: coroutine functions on one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from lineshaft.outcomes import Cause, Outcome
from lineshaft.worker.execute import stopped
from lineshaft.worker.lanes.base import Deliver, QueueingLane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.run import Run
from lineshaft.worker.stacks import task_stack, thread_stack

AExecute = Callable[[Run], Coroutine[Any, Any, Outcome]]

_START_SECONDS: Final = 10


class LoopThread:
    """An event loop in a thread of its own, shared by the async lanes of a worker."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self.thread = threading.Thread(target=self._work, name="lineshaft-loop", daemon=True)
        self.beats = 0
        self.lanes: list[AsyncLane] = []

    def start(self) -> None:
        """Start the loop."""
        self.thread.start()
        self._started.wait(_START_SECONDS)

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._started.set)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def beat(self) -> None:
        """Have the loop count one more turn; a watch compares to see whether something blocks it."""
        with suppress(RuntimeError):  # it has just been closed: nothing blocks it any more
            self.loop.call_soon_threadsafe(self._count)

    def _count(self) -> None:
        self.beats += 1

    def current_run(self) -> Run | None:
        """Return the job whose code the loop's thread runs at the moment; from any thread."""
        task = asyncio.current_task(self.loop)
        found = (lane.run_of(task) for lane in list(self.lanes)) if task is not None else ()
        return next((run for run in found if run is not None), None)

    def stack(self) -> str:
        """Return what the loop's thread is doing."""
        return thread_stack(self.thread.ident)

    def close(self) -> None:
        """Stop the loop; a job that blocks it is abandoned with its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)


class AsyncLane(QueueingLane):
    """Runs coroutine functions of one queue as tasks of the loop."""

    def __init__(self, places: Places, loop: LoopThread, execute: AExecute, deliver: Deliver) -> None:
        super().__init__()
        self._places = places
        places.join()
        self._loop, self._execute, self._deliver = loop, execute, deliver
        self._running: dict[Run, asyncio.Task[Outcome]] = {}
        self._replaced: set[Run] = set()
        loop.lanes.append(self)

    def submit(self, runs: Sequence[Run]) -> None:
        """Take jobs and have the loop start them; one call into the loop for all of them."""
        self._ready.extend(runs)
        if self._places.are_shared:
            self._places.want(self)
        else:
            self.wake()

    def wake(self) -> None:
        """Have the loop start what it can."""
        self._loop.loop.call_soon_threadsafe(self._fill)

    def stop(self, run: Run, cause: Cause) -> None:
        """Cancel the job's task."""
        self._loop.loop.call_soon_threadsafe(self._cancel, run, cause)

    def replace(self, run: Run) -> None:
        """Let another job take the slot."""
        self._loop.loop.call_soon_threadsafe(self._give_slot_away, run)

    def stack_of(self, run: Run) -> str:
        """Return the stack of the job's task, or of the loop while the job runs on it."""
        task = self._running.get(run)
        if task is None:
            return ""
        return task_stack(task) + self._loop.stack()

    def run_of(self, task: asyncio.Task[Any]) -> Run | None:
        """Return the job that a task of the loop runs."""
        return next((run for run, one in list(self._running.items()) if one is task), None)

    def close(self) -> None:
        """Leave the loop to its owner."""

    def _fill(self) -> None:
        while self._ready:
            if not self._places.take(self):
                return
            self._start_next()
        self._places.decline(self)

    def _start_next(self) -> None:
        """Start a job in a place that the lane holds, or give the place back."""
        try:
            run = self._ready.popleft()
        except IndexError:
            self._places.give()
            return
        if self._places.are_wanted and self._places.are_wanted_before(run):
            self._ready.appendleft(run)
            self._places.want(self)  # before the other lane gets it, which compares its own next job with this one
            self._places.give()
            return
        run.start()
        task = self._loop.loop.create_task(self._execute(run), context=contextvars.Context())
        self._running[run] = task
        task.add_done_callback(partial(self._ended, run))

    def _ended(self, run: Run, task: asyncio.Task[Outcome]) -> None:
        del self._running[run]
        # A task that is cancelled before its first step never enters `execute`, which would have caught it.
        outcome = stopped(run, asyncio.CancelledError()) if task.cancelled() else task.result()
        self._deliver(run, outcome)
        if run in self._replaced:
            self._replaced.remove(run)
        else:
            self._start_next()

    def _cancel(self, run: Run, cause: Cause) -> None:
        task = self._running.get(run)
        if task is not None and run.stop_cause is None:
            run.stop_cause = cause
            task.cancel()

    def _give_slot_away(self, run: Run) -> None:
        if run in self._running and run not in self._replaced:
            self._replaced.add(run)
            self._places.give()
            self._fill()
