"""From which queues jobs can be claimed now: what is let out of a line into another one would keep its place there."""

from __future__ import annotations

from collections.abc import Collection

from lineshaft.feature import Read
from lineshaft.store.line import ALL_OPEN, Queues, queues_of_lines


class Served:
    """What one worker knows of it; `own` are the queues that it serves, None: all that there are."""

    def __init__(self, own: Collection[str] | None) -> None:
        self._own = None if own is None else frozenset(own)
        self.queues: Queues = ALL_OPEN
        """Of the last look, which comes with each heartbeat while any job stands in a line."""

    def look(self, read: Read) -> None:
        """Ask which queues are paused, and which are served."""
        found = read(queues_of_lines)
        served = found.with_lines if self._own is None else found.served | self._own
        able = served - found.paused
        # What was closed stays so until it is served: the last of its jobs may have left the line before that.
        closed = (self.queues.closed | found.with_lines | found.paused) - able
        self.queues = Queues(found.with_lines & able, closed)

    def forget(self) -> None:
        """Note that no job stands in a line."""
        self.queues = ALL_OPEN
