"""Gives a worker up in time when the thread that renews its lease is itself held up by a network that is silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

# A process that was stopped for a while finds its lease over, and beats at once: it is given that chance.
_CHANCE_SECONDS: Final = 1.0


class LeaseGuard:
    """Watches the lease from a thread of its own, which never touches the store."""

    def __init__(self, seconds_left: Callable[[], float], margin: float, on_end: Callable[[], None]) -> None:
        self._seconds_left, self._on_end = seconds_left, on_end
        self._chance = min(_CHANCE_SECONDS, margin / 2)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lineshaft-lease-guard", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _work(self) -> None:
        while not self._closed.wait(max(0.0, self._seconds_left())):
            if self._seconds_left() > 0:
                continue
            if self._closed.wait(self._chance):
                return
            if self._seconds_left() <= 0:
                self._on_end()
                return
