"""The process lane: each job in a child process that can be killed with everything it started.

Children are started on demand, kept warm, and replaced after many jobs or when they grow. One thread owns them all:
it starts, feeds, hears, kills and reaps them, and delivers the outcomes; it sleeps until something happens.

A stop reaches the job's code first, as `Cancelled`: at a timeout it has 0.2 s to clean up, after a cancel and at
shutdown 1 s (less, where `stop_patience` is shorter than twice that); then the child is killed. The outcome is
delivered when the job's code has ended or its process is reaped, whichever comes first. A child whose job was
stopped is not used again.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

from lineshaft.clock import SECOND
from lineshaft.outcomes import Cause, Outcome
from lineshaft.worker.lanes.base import Deliver, Lane
from lineshaft.worker.lanes.child_process import Child, Phase
from lineshaft.worker.lanes.wire import Broken, Ended, Note, Ready, ShowStack, Stack, Stop, outcome_of
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime

_log = logging.getLogger("lineshaft.worker")

_CLEAN_UP_SECONDS: Final[dict[Cause, float]] = {"timeout": 0.2, "cancel": 1.0, "shutdown": 1.0}
# An app may load a large model before its first job; beyond this it is taken to hang.
_START_SECONDS: Final = 300.0
_STARTS_BEFORE_REJECTING: Final = 3
_START_AGAIN_SECONDS: Final = (0.2, 1.0)
_REAP_AGAIN_SECONDS: Final = 0.01
_LONGEST_REAP_SECONDS: Final = 1.0
_STACK_SECONDS: Final = 1.0
_PRESENT: Final = (Phase.STARTING, Phase.IDLE, Phase.BUSY)


class ProcessLane(Lane):
    """Child processes that take from one shared row of jobs; of the isolated jobs, one runs at a time."""

    def __init__(self, queue: str, limit: int, runtime: Runtime, deliver: Deliver) -> None:
        self._queue, self._limit = queue, limit
        self._runtime, self._deliver = runtime, deliver
        self._clock, self._settings = runtime.engine.clock, runtime.settings
        self._ready: deque[Run] = deque()
        self._isolated: deque[Run] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._children: list[Child] = []
        self._failures = 0
        self._start_at = 0.0
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._bell, self._ears = socket.socketpair()
        self._bell.setblocking(False)
        self._ears.setblocking(False)
        self._selector.register(self._ears, selectors.EVENT_READ, self._hear)
        self._thread = threading.Thread(target=self._work, name=f"lineshaft-{queue}-processes", daemon=True)
        self._thread.start()

    # --- what other threads call --------------------------------------------------------------------------------------

    def submit(self, runs: Sequence[Run]) -> None:
        """Take jobs and have the lane's thread start them."""
        for run in runs:
            (self._isolated if run.claimed.is_isolated else self._ready).append(run)
        self._call(self._fill)

    def stop(self, run: Run, cause: Cause) -> None:
        """Have `Cancelled` raised in the job, and its process killed if that does not end it soon."""
        self._call(partial(self._stop, run, cause))

    def replace(self, run: Run) -> None:
        """Let another child be started beside one that even a kill did not end."""
        self._call(partial(self._replace, run))

    def stack_of(self, run: Run) -> str:
        """Return what the child says of where the job is; a child that cannot answer within a second says nothing."""
        answer: SimpleQueue[str] = SimpleQueue()
        self._call(partial(self._ask_stack, run, answer))
        try:
            return answer.get(timeout=_STACK_SECONDS)
        except Empty:
            return "the child process does not answer: its code does not return to Python\n"

    def withdraw(self) -> list[Run]:
        """Take back what has not started."""
        return [*_drained(self._isolated), *_drained(self._ready)]

    def close(self) -> None:
        """End the children and reap them: idle ones leave their lifespans, one that still runs a job is killed."""
        self._call(self._close)
        patience = self._settings.stop_patience / SECOND
        self._thread.join(patience + _CLEAN_UP_SECONDS["shutdown"])

    def _call(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        with suppress(BlockingIOError, OSError):  # full: it is awake anyway; closed: the lane has ended
            self._bell.send(b"\0")

    # --- the lane's thread ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not (self._closing and not self._children):
            for key, events in self._selector.select(self._seconds_to_alarm()):
                self._guarded(partial(key.data, events))
            while self._calls:
                self._guarded(self._calls.popleft())
            self._ring_alarms()
        self._selector.close()
        self._bell.close()
        self._ears.close()

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            _log.exception("the process lane of queue %s met an error and goes on", self._queue)

    def _hear(self, _events: int) -> None:
        self._ears.recv(4096)

    def _seconds_to_alarm(self) -> float | None:
        now = self._clock.monotonic()
        alarms = [child.alarm_at for child in self._children if child.alarm_at is not None]
        if self._start_at > now and not self._closing:
            alarms.append(self._start_at)
        return max(0.0, min(alarms) - now) if alarms else None

    def _ring_alarms(self) -> None:
        now = self._clock.monotonic()
        for child in list(self._children):
            if child.alarm_at is not None and child.alarm_at <= now:
                self._guarded(partial(self._look_after, child))
        if self._failures and now >= self._start_at:
            self._guarded(self._fill)

    def _look_after(self, child: Child) -> None:
        if child.phase is Phase.DYING:
            self._reap(child)
            return
        if child.phase is Phase.STARTING:
            child.failure = (f"it did not start within {_START_SECONDS:g} s", "")
        self._kill(child)

    # --- handing out jobs -----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        if self._runtime.app_path is None:
            self._reject_all("no child process can find the app: define it at the top level of a module")
            return
        for child in self._children:
            if child.phase is Phase.IDLE and (run := self._next_run()):
                self._begin(child, run)
        self._start_children(self._runtime.app_path)

    def _next_run(self) -> Run | None:
        for row in (self._isolated, self._ready):
            if row is self._isolated and self._runs_isolated():
                continue
            with suppress(IndexError):  # another thread may withdraw at this moment
                return row.popleft()
        return None

    def _runs_isolated(self) -> bool:
        return any(child.run is not None and child.run.claimed.is_isolated for child in self._children)

    def _begin(self, child: Child, run: Run) -> None:
        run.start()
        child.start(run)
        self._attend(child)

    def _start_children(self, app_path: str) -> None:
        if self._closing or self._clock.monotonic() < self._start_at:
            return
        present = [child for child in self._children if child.phase in _PRESENT and not child.is_replaced]
        starting = sum(child.phase is Phase.STARTING for child in present)
        waiting = len(self._ready) + bool(self._isolated and not self._runs_isolated())
        allowed = 1 if self._failures else self._limit
        for _ in range(min(waiting, allowed) - starting if waiting else 0):
            if len(present) >= self._limit:
                return
            child = self._start_child(app_path)
            if child is None:
                return
            present.append(child)

    def _start_child(self, app_path: str) -> Child | None:
        try:
            child = Child(app_path, self._settings)
        except OSError as error:
            self._note_failure(f"{type(error).__name__}: {error}", "")
            return None
        child.failures_before = self._failures
        child.alarm_at = self._clock.monotonic() + _START_SECONDS
        self._children.append(child)
        self._selector.register(child.connection, selectors.EVENT_READ, partial(self._on_event, child))
        self._attend(child)
        return child

    def _attend(self, child: Child) -> None:
        """Listen for what the child says, and for room where the connection was full."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.has_more_to_send else 0)
        if self._selector.get_key(child.connection).events != events:
            self._selector.modify(child.connection, events, partial(self._on_event, child))

    # --- hearing children -----------------------------------------------------------------------------------------------

    def _on_event(self, child: Child, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            child.flush()
            self._attend(child)
        if not events & selectors.EVENT_READ:
            return
        try:
            messages = child.receive()
        except ValueError as error:
            _log.error("child process %d is killed: %s", child.process.pid, error)
            messages = None
        if messages is None:
            self._on_gone(child)
            return
        for message in messages:
            self._on_message(child, message)

    def _on_message(self, child: Child, message: Any) -> None:
        match message:
            case Ready():
                self._on_ready(child)
            case Broken(text, trace):
                child.failure = (text, trace)
            case Note(number) if number == child.jobs and child.run is not None:
                keep_note(child.run, message)
            case Ended(number) if number == child.jobs and child.run is not None:
                self._on_ended(child, child.run, outcome_of(message))
            case Stack(_, text):
                for asker in child.askers:
                    asker.put(text)
                child.askers.clear()

    def _on_ready(self, child: Child) -> None:
        if child.phase is not Phase.STARTING:
            return
        child.phase, child.alarm_at = Phase.IDLE, None
        self._failures, self._start_at = 0, 0.0
        if self._closing:
            self._leave(child)
        else:
            self._fill()

    def _on_ended(self, child: Child, run: Run, outcome: Outcome) -> None:
        was_stopped = run.stop_cause is not None
        run.stop_permit.clear()
        child.run = None
        if child.phase is Phase.BUSY:
            child.phase, child.alarm_at = Phase.IDLE, None
            if was_stopped:
                child.kill_descendants()
            if was_stopped or self._closing or self._is_worn(child):
                self._leave(child)
        self._deliver(run, outcome)
        self._fill()

    def _is_worn(self, child: Child) -> bool:
        settings = self._settings
        return child.jobs >= settings.child_max_jobs or child.resident_bytes() > settings.child_max_memory

    # --- ends -----------------------------------------------------------------------------------------------------------

    def _stop(self, run: Run, cause: Cause) -> None:
        child = self._child_of(run)
        if child is None or not run.stop_permit:
            return
        run.stop_permit.clear()
        run.stop_cause = cause
        if child.phase is not Phase.BUSY:  # it is dying already
            return
        child.send(Stop(child.jobs, cause))
        self._attend(child)
        patience = min(_CLEAN_UP_SECONDS[cause], self._settings.stop_patience / SECOND / 2)
        child.alarm_at = self._clock.monotonic() + patience

    def _child_of(self, run: Run) -> Child | None:
        return next((child for child in self._children if child.run is run), None)

    def _replace(self, run: Run) -> None:
        child = self._child_of(run)
        if child is not None:
            child.is_replaced = True
            self._kill(child)
            self._fill()

    def _ask_stack(self, run: Run, answer: SimpleQueue[str]) -> None:
        child = self._child_of(run)
        if child is None or child.phase is not Phase.BUSY:
            answer.put("")
            return
        child.askers.append(answer)
        child.send(ShowStack(child.jobs))
        self._attend(child)

    def _leave(self, child: Child) -> None:
        child.leave()
        child.alarm_at = self._clock.monotonic() + self._settings.stop_patience / SECOND

    def _kill(self, child: Child) -> None:
        child.kill()
        child.alarm_at = self._clock.monotonic() + _REAP_AGAIN_SECONDS

    def _on_gone(self, child: Child) -> None:
        """Reap a child that closed its connection, which it keeps to its end, with what its jobs left running."""
        self._selector.unregister(child.connection)
        child.connection.close()
        if child.phase is Phase.STARTING and child.failure is None:
            child.failure = ("", "")
        if child.phase is not Phase.DYING:
            child.kill()
        self._reap(child)

    def _reap(self, child: Child) -> None:
        if not child.is_reaped():
            wait = min(_LONGEST_REAP_SECONDS, _REAP_AGAIN_SECONDS * 2**child.reap_tries)
            child.reap_tries += 1
            child.alarm_at = self._clock.monotonic() + wait
            return
        self._children.remove(child)
        if child.connection.fileno() >= 0:  # a process that a job forked holds the other end
            self._selector.unregister(child.connection)
            child.connection.close()
        if child.run is not None:
            self._on_death(child, child.run)
        elif child.failure is not None and not self._closing:
            self._on_failed_start(child, *child.failure)
        self._fill()

    def _on_death(self, child: Child, run: Run) -> None:
        run.stop_permit.clear()
        child.run = None
        self._deliver(run, died(run, child.how_it_ended()))

    def _on_failed_start(self, child: Child, message: str, trace: str) -> None:
        # Of children that were started together only the first counts: they failed for one reason.
        if child.failures_before == self._failures:
            self._note_failure(message or child.how_it_ended(), trace)

    def _note_failure(self, message: str, trace: str) -> None:
        self._failures += 1
        pause = _START_AGAIN_SECONDS[min(self._failures, len(_START_AGAIN_SECONDS)) - 1]
        self._start_at = self._clock.monotonic() + pause
        if self._failures == 1:
            _log.error("a child process of queue %s could not start: %s\n%s", self._queue, message, trace)
        if self._failures >= _STARTS_BEFORE_REJECTING and (run := self._next_run()):
            self._deliver(run, not_started(run, f"no child process could be started: {message}"))

    def _reject_all(self, why: str) -> None:
        for run in self.withdraw():
            self._deliver(run, not_started(run, why))

    def _close(self) -> None:
        self._closing = True
        for child in list(self._children):
            if child.phase is Phase.IDLE:
                self._leave(child)
            elif child.phase in (Phase.STARTING, Phase.BUSY):
                if child.run is not None and child.run.stop_cause is None:
                    child.run.stop_cause = "shutdown"
                self._kill(child)


def _drained(row: deque[Run]) -> list[Run]:
    taken: list[Run] = []
    while True:
        try:
            taken.append(row.popleft())
        except IndexError:
            return taken
