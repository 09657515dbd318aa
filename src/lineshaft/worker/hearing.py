"""The thread that hears of jobs as they are enqueued."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from lineshaft.engines.base import Engine, Listener
from lineshaft.errors import StoreError

_AGAIN_SECONDS: Final = 0.5
_JOIN_SECONDS: Final = 10


class Hearing:
    """Listens until it is closed, and anew whenever the store was away.

    `heard` is given the messages of each wake-up: queues, or an empty text that says to look at everything. `begun` is
    called after each new beginning, for what happened before was not heard.
    """

    def __init__(self, engine: Engine, heard: Callable[[set[str]], None], begun: Callable[[], None]) -> None:
        self._engine, self._heard, self._begun = engine, heard, begun
        self._listener: Listener | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lineshaft-listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def interrupt(self) -> None:
        """Have it hear nothing any more."""
        self._closed.set()
        if self._listener is not None:
            self._listener.interrupt()

    def join(self) -> None:
        """Wait for the thread's end; at most ten seconds, for what it does last asks the store."""
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                self._listener = self._engine.listen("worker")
                self._begun()
                while not self._closed.is_set():
                    self._heard(self._listener.receive(None))
            except StoreError:
                self._closed.wait(_AGAIN_SECONDS)
            finally:
                if self._listener is not None:
                    self._listener.close()
