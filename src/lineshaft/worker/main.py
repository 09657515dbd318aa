"""One worker as this process: from the first signal handler to the exit code."""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from lineshaft.clock import SECOND
from lineshaft.errors import StoreUnavailableError
from lineshaft.worker import logs
from lineshaft.worker.health import Health, State
from lineshaft.worker.link import Report
from lineshaft.worker.signals import Inbox, StopRequested
from lineshaft.worker.supervisor import RECYCLE
from lineshaft.worker.worker import Worker

_log = logging.getLogger("lineshaft.worker")

RESTARTED: Final = "LINESHAFT_RESTARTED"
"""Set while a lone worker starts itself anew: its store was there before, so it waits for it."""
# CPython lets a thread keep the interpreter lock for 5 ms before it hands it to one that waits. Behind job threads that
# compute, the store thread would wait that long after each of its statements; with 0.5 ms it keeps its pace.
_SWITCH_INTERVAL: Final = 0.0005
_LONGEST_WAIT: Final = 30.0
_EXIT_SECONDS: Final = 5.0


class Main:
    """The main thread's part: it starts the worker, waits for a reason to stop it, and stops it."""

    def __init__(self, inbox: Inbox, grace: float | None) -> None:
        self._inbox, self._grace = inbox, grace
        self._worker: Worker | None = None
        self._signals = 0
        self._is_stopping = False

    def health(self) -> Health:
        """Return how the worker is; from any thread, also while it starts."""
        if self._worker is None:
            return Health(live=True, state="starting")
        return Health(self._worker.is_live, self._state(self._worker))

    def report(self) -> Report:
        """Return what a supervisor wants to know."""
        health = self.health()
        grace = self._grace
        if grace is None and self._worker is not None:
            grace = self._worker.runtime.settings.grace / SECOND
        return Report(health.state, health.live, grace or 0.0)

    def _state(self, worker: Worker) -> State:
        if worker.is_stopping:
            return "draining"
        return "ready" if worker.loop.is_connected else "away"

    def start(self, make: Callable[[], Worker]) -> Worker:
        """Make and start a worker.

        Raises what these raise, and `StopRequested` when a signal comes before it has started.
        """
        sys.setswitchinterval(_SWITCH_INTERVAL)
        worker = _prepared(make)
        # What is loaded by now stays: to look through it in each collection costs a tenth of an empty job's time.
        gc.collect()
        gc.freeze()
        try:
            self._inbox.open()
        except StopRequested:
            worker.undo_preparation()
            raise
        worker.begin()  # a request to stop waits from here on: raised among threads, it could not undo what they do
        self._worker = worker
        return worker

    def run(self, worker: Worker, on_stop: Callable[[], None]) -> int:
        """Wait until the started worker has stopped, and return the exit code: 0, or `RECYCLE`.

        `on_stop` is called when this process is told to stop; a worker that is drained through the store just ends.
        """
        threading.Thread(target=self._await_end, args=(worker,), name="lineshaft-end", daemon=True).start()
        while (event := self._inbox.get()) != "ended":
            if not self._is_stopping:
                on_stop()
            self._stop(worker, is_signal=event == "signal", is_urgent=event == "stop at once")
        return RECYCLE if worker.is_hung and not self._is_stopping else 0

    def _await_end(self, worker: Worker) -> None:
        worker.ended.wait()
        self._inbox.put("ended")

    def _stop(self, worker: Worker, *, is_signal: bool, is_urgent: bool) -> None:
        self._signals += is_signal
        if is_urgent or self._signals > 1:
            _log.warning("stopping at once: running jobs are put back")
            worker.stop_at_once()
        if not self._is_stopping:
            self._is_stopping = True
            threading.Thread(target=worker.stop, args=(self._grace,), name="lineshaft-stop", daemon=True).start()


def _prepared(make: Callable[[], Worker]) -> Worker:
    """Return a prepared worker; one that starts itself anew waits for a store that is away, as long as it takes."""
    was_restarted = os.environ.pop(RESTARTED, None) is not None
    wait = 1.0
    while True:
        try:
            worker = make()
            worker.prepare()
        except StoreUnavailableError as error:
            if not was_restarted:
                raise
            _log.warning("the store does not answer; trying again in %g s: %s", wait, error)
        else:
            return worker
        threading.Event().wait(wait * random.uniform(0.5, 1))  # noqa: S311 - spreads workers, guards nothing
        wait = min(wait * 2, _LONGEST_WAIT)


def start_anew(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by a fresh one with the same id and arguments; its threads, hung ones too, are gone."""
    _log.warning("process %d starts anew", os.getpid())
    _flush()
    os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, RESTARTED: "1"})  # noqa: S606 - our own


def leave(code: int) -> NoReturn:
    """End this process although jobs hang in it: Python's own end would wait for them."""
    _flush()
    os._exit(code)


def leave_in_time(code: int) -> None:
    """Have this process end although threads that jobs have started do not: they are given five seconds."""

    def end() -> None:
        threading.Event().wait(_EXIT_SECONDS)
        _log.error("leaving although these threads go on: %s", ", ".join(thread.name for thread in _holding_up()))
        leave(code)

    if _holding_up():
        threading.Thread(target=end, name="lineshaft-exit", daemon=True).start()


def _holding_up() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]


def _flush() -> None:
    logs.flush()
    sys.stdout.flush()
    sys.stderr.flush()
