"""A thread that does something small again and again, beside a worker that may be busy or stuck."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pulse:
    """Calls `step` every so many seconds, in a thread of its own, until it is closed."""

    def __init__(self, seconds: float, step: Callable[[], None]) -> None:
        self._seconds, self._step = seconds, step
        self._closed = threading.Event()
        threading.Thread(target=self._work, name="lineshaft-pulse", daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._closed.set()

    def _work(self) -> None:
        while not self._closed.wait(self._seconds):
            self._step()
