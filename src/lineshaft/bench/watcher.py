"""Who looks on while a bench runs."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Is told how far a bench is."""

    def step(self, what: str, total: int) -> None:
        """Hear what is done now, with how many jobs."""

    def reached(self, done: int) -> None:
        """Hear how many of these jobs are done."""
