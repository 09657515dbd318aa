"""What a worker knows of its leader, which the app hands in: neither package imports the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lineshaft.store.lead import Lead


class Leading(Protocol):
    """The part of a worker that leads when it is its turn; `leader.Leader` is the one that does."""

    @property
    def leads(self) -> bool:
        """Whether this worker leads."""
        ...

    @property
    def doing(self) -> str | None:
        """What it does as the leader, in a few words; None when it does not lead or there is nothing to speak of."""
        ...

    def start(self) -> None:
        """Take the lead from now on when it is free."""
        ...

    def hear(self, lead: Lead) -> None:
        """Take in who leads, as a heartbeat has just read it; take the lead if it is free. May raise `StoreError`."""
        ...

    def look(self) -> None:
        """Read who leads, as after a wake-up, and do as `hear`."""
        ...

    def wake(self) -> None:
        """Have all duties look at once; from any thread."""
        ...

    def retire(self) -> None:
        """Lead no more and stop every duty; from any thread."""
        ...


MakeLeader = Callable[[int, Callable[[], bool]], Leading]
"""Makes the leader of a worker, by its number and by what tells whether it is sure that nobody takes it for dead."""


class NoLeader:
    """Stands where a worker never leads."""

    leads = False
    doing = None

    def start(self) -> None:
        """Do nothing."""

    def hear(self, lead: Lead) -> None:
        """Do nothing."""

    def look(self) -> None:
        """Do nothing."""

    def wake(self) -> None:
        """Do nothing."""

    def retire(self) -> None:
        """Do nothing."""


def no_leader(worker: int, is_sure: Callable[[], bool]) -> Leading:  # noqa: ARG001 - as `MakeLeader`
    """Return what stands where a worker never leads."""
    return NoLeader()
