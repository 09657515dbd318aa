"""Waiting for room in a queue that is full, outside of any transaction."""

from __future__ import annotations

from typing import Final

from lineshaft.clock import SECOND, Clock
from lineshaft.errors import QueueFull

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class Room:
    """What one call does from the first time that it finds a queue full: growing pauses, up to the queue's time-out."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._began = clock, clock.monotonic()
        self._pause = _FIRST_PAUSE

    def pause_after(self, full: QueueFull) -> float:
        """Return for how many seconds to pause before the next try; raises the error when there is no time left."""
        if full.block_timeout is None:
            raise full
        left = self._began + full.block_timeout / SECOND - self._clock.monotonic()
        if left <= 0:
            raise full
        pause, self._pause = min(self._pause, left), min(self._pause * 2, _LONGEST_PAUSE)
        return pause
