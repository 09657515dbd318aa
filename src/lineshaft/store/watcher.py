"""Who looks on while rows are copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from lineshaft.engines.base import Row

_EACH: Final = 1_000


class Watcher(Protocol):
    """Is told how far the copying is."""

    def step(self, what: str, total: int) -> None:
        """Hear which rows are copied now, and how many there are; 0: that is not known."""

    def reached(self, done: int) -> None:
        """Hear how many of them are copied."""


def watched(rows: Iterable[Row], watcher: Watcher, before: int = 0) -> Iterator[Row]:
    """Yield the rows and tell the watcher of each thousand, counted on from those copied `before`."""
    for number, row in enumerate(rows, before):
        if not number % _EACH:
            watcher.reached(number)
        yield row
