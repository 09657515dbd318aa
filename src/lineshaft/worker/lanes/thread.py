"""The thread lane: plain functions, each in a thread of a pool that grows up to the queue's concurrency."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from collections.abc import Callable, Sequence

from lineshaft.outcomes import Cancelled, Cause, Outcome
from lineshaft.worker.execute import rolled_back
from lineshaft.worker.lanes.base import Deliver, QueueingLane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.lanes.unraisable import note_lost_stops
from lineshaft.worker.run import Run
from lineshaft.worker.stacks import thread_stack

Execute = Callable[[Run], Outcome]

_numbers = itertools.count(1)


class ThreadLane(QueueingLane):
    """Threads that take from one shared row of jobs: a slow job delays none of those behind it."""

    def __init__(self, queue: str, places: Places, execute: Execute, deliver: Deliver) -> None:
        super().__init__()
        self._places = places
        places.join()
        self._queue = queue
        self._execute, self._deliver = execute, deliver
        self._lock = threading.Lock()
        self._sleepers: list[_Slot] = []
        self._slots: dict[int, _Slot] = {}
        self._closed = False
        note_lost_stops()

    def submit(self, runs: Sequence[Run]) -> None:
        """Take jobs and wake one thread; it wakes the next, so that a burst of tiny jobs wakes few."""
        self._ready.extend(runs)
        if self._places.are_shared:
            self._places.want(self)
        else:
            self.wake()

    def wake(self) -> None:
        """Wake a thread that sleeps, or start one while there are fewer than places."""
        with self._lock:
            if self._sleepers:
                self._sleepers.pop().bell.release()
            elif len(self._slots) < self._places.limit and not self._closed:
                slot = _Slot(self, f"lineshaft-{self._queue}-{next(_numbers)}")
                self._slots[id(slot)] = slot
                slot.thread.start()

    def stop(self, run: Run, cause: Cause) -> None:
        """Raise `Cancelled` in the thread of a job, at the next line of Python that it runs."""
        slot = next((one for one in list(self._slots.values()) if one.run is run), None)
        if slot is None:
            return
        run.stop_wanted = cause
        if not run.take_permit():
            return
        run.stop_cause = cause
        if slot.run is run:
            _raise_in(slot.thread, Cancelled)
        run.stop_sent = True

    def replace(self, run: Run) -> None:
        """Give the place of a thread that hangs to others; it ends with its job."""
        with self._lock:
            slot = next((one for one in self._slots.values() if one.run is run), None)
            if slot is not None:
                slot.is_replaced = True
                del self._slots[id(slot)]
        if slot is not None and slot.leave():
            self._places.give()
        if self._ready:
            self.wake()

    def stack_of(self, run: Run) -> str:
        """Return the stack of the job's thread."""
        for thread in threading.enumerate():
            if getattr(thread, "lineshaft_run", None) is run and thread.ident is not None:
                return thread_stack(thread.ident)
        return ""

    def close(self) -> None:
        """Let the threads end."""
        with self._lock:
            self._closed = True
            for slot in self._sleepers:
                slot.bell.release()
            self._sleepers.clear()

    def work(self, slot: _Slot) -> None:
        """Run jobs until the lane closes."""
        while not slot.is_replaced:
            run = self._next(slot)
            if run is not None:
                if self._ready and (self._sleepers or len(self._slots) < self._places.limit):
                    self._wake_another()
                self._run(slot, run)
            elif not self._sleep(slot):
                return
        if slot.leave():
            self._places.give()

    def _next(self, slot: _Slot) -> Run | None:
        """Return a job that has a place to run in, which the thread keeps while there are jobs for it."""
        if not slot.place:
            if not self._places.take(self):
                return None
            slot.place.append(True)
        try:
            run = self._ready.popleft()
        except IndexError:
            if slot.leave():
                self._places.give()
            return None
        if self._places.are_wanted and self._places.are_wanted_before(run):
            self._ready.appendleft(run)
            self._places.want(self)  # before the other lane gets it, which compares its own next job with this one
            if slot.leave():
                self._places.give()
            return None
        return run

    def _wake_another(self) -> None:
        if self._places.are_free:
            self.wake()
        else:
            self._places.want(self)

    def _sleep(self, slot: _Slot) -> bool:
        with self._lock:
            if self._closed:
                return False
            if self._ready and not self._places.keeps_waiting(self):
                return True
            self._sleepers.append(slot)
        slot.bell.acquire()
        return True

    def _run(self, slot: _Slot, run: Run) -> None:
        slot.thread.lineshaft_run = run  # type: ignore[attr-defined]
        outcome = self._outcome(slot, run)
        slot.run = None
        slot.thread.lineshaft_run = None  # type: ignore[attr-defined]
        self._deliver(run, outcome)

    def _outcome(self, slot: _Slot, run: Run) -> Outcome:
        """Run a job; once this has returned, no stop meant for it can arrive in this thread any more."""
        outcome: Outcome | None = None
        while True:
            try:
                if outcome is None:
                    slot.run = run  # from here on a stop can arrive, on any line
                    run.start()
                    outcome = self._execute(run)
                if not run.take_permit():
                    _swallow_late_stop(run)
            except Cancelled as error:  # it arrived before the job's first line or after its last
                outcome = outcome or rolled_back(run, error)
            else:
                return outcome


class _Slot:
    """One thread of the lane, and the job that it runs at the moment."""

    def __init__(self, lane: ThreadLane, name: str) -> None:
        self.run: Run | None = None
        self.is_replaced = False
        self.place: list[bool] = []
        """Holds one entry while the thread has a place; whoever takes it out gives the place to others."""
        self.bell = threading.Semaphore(0)
        self.thread = threading.Thread(target=lane.work, args=(self,), name=name, daemon=True)

    def leave(self) -> bool:
        """Take the thread's place out; False when it has none. Popping from a list is atomic."""
        try:
            self.place.pop()
        except IndexError:
            return False
        return True


def _swallow_late_stop(run: Run) -> None:
    """Wait until the stop that is under way was sent, and use it up, so that it cannot hit the next job.

    Nobody can tell whether it has arrived: the job may have caught it. So it is replaced by one that is sure to be
    pending, and that one is awaited. Taking a pending exception back instead (passing NULL) leaves CPython 3.11 to
    look for it for ever, which stops every thread of a process that is traced, by coverage or a debugger.
    """
    while not run.stop_sent:
        time.sleep(0)
    try:
        _raise_in(threading.current_thread(), Cancelled)
        while True:
            time.sleep(0)
    except Cancelled:
        return


def _raise_in(thread: threading.Thread, error: type[BaseException]) -> None:
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))
