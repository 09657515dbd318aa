"""The jobs of a process lane that no child has yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from lineshaft.worker.run import Run


class Waiting:
    """The jobs that no child has yet; may be added and withdrawn from any thread."""

    def __init__(self) -> None:
        self._shared: deque[Run] = deque()
        self._isolated: deque[Run] = deque()

    def add(self, runs: Iterable[Run]) -> None:
        """Take jobs."""
        for run in runs:
            (self._isolated if run.claimed.is_isolated else self._shared).append(run)

    def first(self) -> Run | None:
        """Return the one in front."""
        for row in (self._isolated, self._shared):
            with suppress(IndexError):  # another thread may withdraw at this moment
                return row[0]
        return None

    def count(self, *, with_isolated: bool) -> int:
        """Return how many could run at once if there were room: of the isolated ones, one."""
        return len(self._shared) + (1 if with_isolated and self._isolated else 0)

    def take(self, *, with_isolated: bool) -> Run | None:
        """Take the next job out, an isolated one first."""
        run = _popped(self._isolated) if with_isolated else None
        return run or _popped(self._shared)

    def withdraw(self) -> list[Run]:
        """Take all out."""
        taken: list[Run] = []
        while run := self.take(with_isolated=True):
            taken.append(run)
        return taken


def _popped(row: deque[Run]) -> Run | None:
    try:
        return row.popleft()
    except IndexError:  # another thread may withdraw at this moment
        return None
