"""Requests to stop a worker process: signals, and what its supervisor says."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final, Literal

Event = Literal["signal", "stop", "stop at once", "ended"]
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_STEP_SECONDS: Final = 0.5


class StopRequested(BaseException):
    """Raised in the main thread when a signal comes before the worker runs; a `BaseException`, to pass through."""


class Inbox:
    """What the main thread waits for. Until `open`, a request to stop ends the start instead, wherever it is.

    Signal handlers are installed on purpose: the kernel spares a process 1 without them.
    """

    def __init__(self) -> None:
        # Its `put` may interrupt its own `get`, as a signal handler does; that of other queues and events may not.
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._is_open = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the stop signals for the length of a block of the main thread."""
        before = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def open(self) -> None:
        """From now on requests wait to be taken."""
        self._is_open = True

    def put(self, event: Event) -> None:
        """Leave a word for the main thread; from any thread."""
        self._events.put(event)
        if not self._is_open:
            # The main thread is starting the worker, perhaps in the middle of a wait, and does not look in here.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def get(self) -> Event:
        """Wait for the next word.

        In steps: of a signal that comes at the moment at which the wait begins Python only takes note, and calls its
        handler when the wait is over.
        """
        while True:
            try:
                return self._events.get(timeout=_STEP_SECONDS)
            except Empty:
                continue

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_open:
            raise StopRequested
        self._events.put("signal")
