"""The children of a process lane: started on demand, kept warm, replaced after many jobs or when they grow.

Everything here is called by the lane's one thread.
"""

from __future__ import annotations

import logging
import selectors
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from lineshaft.clock import SECOND
from lineshaft.outcomes import Cause, Outcome
from lineshaft.worker.lanes.base import Deliver
from lineshaft.worker.lanes.child_process import Child, Phase, keep_note
from lineshaft.worker.lanes.losses import died, never_started, not_started
from lineshaft.worker.lanes.places import Guest, Places
from lineshaft.worker.lanes.waiting import Waiting
from lineshaft.worker.lanes.wire import Broken, Ended, Note, Ready, ShowStack, Stack, Stop, outcome_of
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime

_log = logging.getLogger("lineshaft.worker")

_CLEAN_UP_SECONDS: Final[dict[Cause, float]] = {"timeout": 0.2, "cancel": 1.0, "shutdown": 1.0}
# An app may load a large model before its first job; beyond this it is taken to hang.
_START_SECONDS: Final = 300.0
# What keeps a child from starting may pass in a moment. Longer, jobs are put back: other workers may have more luck.
_STARTS_BEFORE_PUTTING_BACK: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 10.0
_REAP_AGAIN_SECONDS: Final = 0.01
_LONGEST_REAP_SECONDS: Final = 1.0
_PRESENT: Final = (Phase.STARTING, Phase.IDLE, Phase.BUSY)


class Pool:
    """At most as many children as places that start or run jobs; of the isolated jobs, one runs at a time."""

    def __init__(
        self,
        queue: str,
        places: Places,
        guest: Guest,
        runtime: Runtime,
        deliver: Deliver,
        waiting: Waiting,
        selector: selectors.BaseSelector,
    ) -> None:
        self._queue, self._places, self._guest = queue, places, guest
        self._app_path, self._settings, self._clock = runtime.app_path, runtime.settings, runtime.engine.clock
        self._blobs = runtime.depot.address if runtime.engine.is_ephemeral else None
        self._deliver, self._waiting, self._selector = deliver, waiting, selector
        self._children: list[Child] = []
        self._failures = 0
        """Starts that failed since one succeeded."""
        self._start_at = 0.0
        self._is_closing = False

    @property
    def is_ended(self) -> bool:
        """Whether it was closed and every child is reaped."""
        return self._is_closing and not self._children

    # --- giving jobs to children --------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Give waiting jobs to idle children, and start children for the rest, no more than there are places."""
        if self._app_path is None:
            self._reject_all(
                "no child process can find the app; define it at the top level of a module, not in a notebook"
            )
            return
        for child in self._children:
            if child.phase is Phase.IDLE and (run := self._next()):
                self._begin(child, run)
        self._places.decline(self._guest)
        if not self._is_closing and self._clock.monotonic() >= self._start_at:
            self._start_children(self._app_path)

    def _next(self) -> Run | None:
        """Return a job that has a place to run in."""
        if not self._waiting.count(with_isolated=not self._runs_isolated()) or not self._places.take(self._guest):
            return None
        run = self._take()
        if run is None:  # withdrawn at this moment
            self._places.give()
        return run

    def _take(self) -> Run | None:
        return self._waiting.take(with_isolated=not self._runs_isolated())

    def _runs_isolated(self) -> bool:
        return any(child.run is not None and child.run.claimed.is_isolated for child in self._children)

    def _begin(self, child: Child, run: Run) -> None:
        run.start()
        child.start(run)
        self._attend(child)

    def _start_children(self, app_path: str) -> None:
        present = [child.phase for child in self._children if child.phase in _PRESENT and not child.is_replaced]
        starting = present.count(Phase.STARTING)
        wanted = self._waiting.count(with_isolated=not self._runs_isolated())
        if self._failures:
            wanted = min(wanted, 1)
        for _ in range(min(wanted - starting, self._places.limit - len(present))):
            self._start_child(app_path)

    def _start_child(self, app_path: str) -> None:
        try:
            child = Child(app_path, self._settings, self._blobs)
        except OSError as error:
            self._note_failure(self._failures, f"{type(error).__name__}: {error}", "")
            return
        child.failures_before = self._failures
        self._set_alarm(child, _START_SECONDS)
        self._children.append(child)
        self._selector.register(child.connection, selectors.EVENT_READ, partial(self._on_event, child))
        self._attend(child)

    def _reject_all(self, why: str) -> None:
        for run in self._waiting.withdraw():
            self._deliver(run, never_started(run, why))

    # --- hearing children ---------------------------------------------------------------------------------------------

    def _attend(self, child: Child) -> None:
        """Listen for what the child says, and for room where the connection was full."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.has_more_to_send else 0)
        if self._selector.get_key(child.connection).events != events:
            self._selector.modify(child.connection, events, partial(self._on_event, child))

    def _on_event(self, child: Child, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            child.flush()
            self._attend(child)
        if not events & selectors.EVENT_READ:
            return
        try:
            self._hear(child)
        except ValueError as error:  # what came is no message: a job wrote into the connection
            _log.error("child process %d is killed, it sent what no child sends: %s", child.process.pid, error)
            self._kill(child)

    def _hear(self, child: Child) -> None:
        messages = child.receive()
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
                child.run.signals = message.signals
                self._on_ended(child, child.run, outcome_of(message))
            case Stack(text=text):
                child.answer(text)
            case _:
                """A note of a job that has ended: a thread that it left behind still talks."""

    def _on_ready(self, child: Child) -> None:
        if child.phase is Phase.STARTING:
            child.phase, child.alarm_at = Phase.IDLE, None
            self._failures, self._start_at = 0, 0.0
            self.fill()

    def _on_ended(self, child: Child, run: Run, outcome: Outcome) -> None:
        run.stop_permit.clear()
        self._free(child)
        if child.phase is Phase.BUSY:
            child.phase, child.alarm_at = Phase.IDLE, None
            self._retire_if_due(child, was_stopped=run.stop_cause is not None)
        self._deliver(run, outcome)
        self.fill()

    def _retire_if_due(self, child: Child, *, was_stopped: bool) -> None:
        if was_stopped:
            child.kill_descendants()  # what the job started must not run on beside its next attempt
        if was_stopped or child.is_worn(self._settings):
            self._leave(child)

    # --- stopping jobs and ending children ----------------------------------------------------------------------------

    def stop(self, run: Run, cause: Cause) -> None:
        """Tell a job to stop, and kill its child if it has not when its time to clean up is over."""
        child = self._child_of(run)
        if child is None or child.phase is not Phase.BUSY or not run.stop_permit:
            return
        run.stop_permit.clear()
        run.stop_cause = cause
        child.send(Stop(child.jobs, cause))
        self._attend(child)
        self._set_alarm(child, min(_CLEAN_UP_SECONDS[cause], self._settings.stop_patience / SECOND / 2))

    def replace(self, run: Run) -> None:
        """Kill the child of a job, and count it no longer."""
        child = self._child_of(run)
        if child is not None and not child.is_replaced:
            child.is_replaced = True
            self._places.give()
            self._kill(child)
            self.fill()

    def ask_stack(self, run: Run, answer: SimpleQueue[str]) -> None:
        """Ask the child of a job where the job is."""
        child = self._child_of(run)
        if child is None or child.phase is not Phase.BUSY:
            answer.put("")
            return
        child.askers.append(answer)
        child.send(ShowStack(child.jobs))
        self._attend(child)

    def close(self) -> None:
        """Ask idle children to end, and kill the others."""
        self._is_closing = True
        for child in self._children:
            if child.phase is Phase.IDLE:
                self._leave(child)
            elif child.phase in _PRESENT:
                if child.run is not None and child.run.stop_cause is None:
                    child.run.stop_cause = "shutdown"
                self._kill(child)

    def _child_of(self, run: Run) -> Child | None:
        return next((child for child in self._children if child.run is run), None)

    def _leave(self, child: Child) -> None:
        child.leave()
        self._set_alarm(child, self._settings.stop_patience / SECOND)

    def _kill(self, child: Child) -> None:
        child.kill()
        self._set_alarm(child, _REAP_AGAIN_SECONDS)

    # --- alarms -------------------------------------------------------------------------------------------------------

    def seconds_to_alarm(self) -> float | None:
        """Return how long nothing has to be done unless a child speaks; None: for ever."""
        now = self._clock.monotonic()
        alarms = [child.alarm_at for child in self._children if child.alarm_at is not None]
        if self._start_at > now and not self._is_closing:
            alarms.append(self._start_at)
        return max(0.0, min(alarms) - now) if alarms else None

    def ring_alarms(self) -> None:
        """Look after the children whose time has come, and start one again after a failure."""
        now = self._clock.monotonic()
        for child in list(self._children):
            if child.alarm_at is not None and child.alarm_at <= now:
                self._look_after(child)
        if self._failures and now >= self._start_at:
            self.fill()

    def _set_alarm(self, child: Child, seconds: float) -> None:
        child.alarm_at = self._clock.monotonic() + seconds

    def _look_after(self, child: Child) -> None:
        if child.phase is Phase.DYING:
            self._reap(child)
            return
        if child.phase is Phase.STARTING:
            child.failure = (f"it did not start within {_START_SECONDS:g} s", "")
        self._kill(child)

    # --- the dead -----------------------------------------------------------------------------------------------------

    def _on_gone(self, child: Child) -> None:
        """Reap a child that closed its connection, which it keeps to its end, with what its jobs left running."""
        self._disconnect(child)
        if child.phase is Phase.STARTING and child.failure is None:
            child.failure = ("", "")
        if child.phase is not Phase.DYING:
            child.kill()
        self._reap(child)

    def _disconnect(self, child: Child) -> None:
        if child.connection.fileno() >= 0:
            self._selector.unregister(child.connection)
            child.connection.close()

    def _reap(self, child: Child) -> None:
        if not child.is_reaped():
            self._set_alarm(child, min(_LONGEST_REAP_SECONDS, _REAP_AGAIN_SECONDS * 2**child.reap_tries))
            child.reap_tries += 1
            return
        self._children.remove(child)
        self._disconnect(child)  # still connected: a process that a job forked holds the other end
        child.answer("")
        if child.run is not None:
            self._on_death(child, child.run)
        elif child.failure is not None:
            text, trace = child.failure
            self._note_failure(child.failures_before, text or child.how_it_ended(), trace)
        self.fill()

    def _on_death(self, child: Child, run: Run) -> None:
        run.stop_permit.clear()
        self._free(child)
        self._deliver(run, died(run, child.how_it_ended()))

    def _free(self, child: Child) -> None:
        """Take a child's job from it, with the job's place if that was not given to others before."""
        child.run = None
        if not child.is_replaced:
            self._places.give()

    def _note_failure(self, failures_before: int, message: str, trace: str) -> None:
        """Note that a child could not start; of those started together the first counts for all."""
        if failures_before != self._failures:
            return
        self._failures += 1
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 10), _LONGEST_PAUSE_SECONDS)
        self._start_at = self._clock.monotonic() + pause
        if self._failures == 1:
            _log.error("a child process of queue %s could not start: %s\n%s", self._queue, message, trace)
        if self._failures >= _STARTS_BEFORE_PUTTING_BACK:
            for run in self._waiting.withdraw():
                self._deliver(run, not_started(run, f"no child process could be started: {message}"))
