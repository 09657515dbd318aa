"""A duty that watches, while it is done, that nobody else does it for long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lineshaft.clock import MINUTE
from lineshaft.feature import CHORES, Duty, Feature, Office
from tests.simulation.threads import SECOND

if TYPE_CHECKING:
    from tests.simulation.world import Host

_BETWEEN_STEPS: Final = 2 * SECOND


class Watchkeeping(Feature):
    """Has the leader of each simulated process keep watch."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def duties(self, office: Office) -> Sequence[Duty]:
        """Return the watch."""
        return (Watch(self._host, office),)


class Watch(Duty):
    """Begins the chores now and then, and looks who else leads."""

    name = "watch-keeper"
    doing = None

    def __init__(self, host: Host, office: Office) -> None:
        self._host, self._office = host, office
        self._chores_at = 0

    def begin(self, now: int) -> None:
        """Note who leads."""
        self._host.world.note(self._host.name, "leads")
        self._chores_at = now

    def step(self, now: int) -> int:
        """Look, and be called again two seconds later."""
        self._host.world.check_leaders(self._host)
        if now >= self._chores_at:
            self._chores_at = now + MINUTE
            for chore in CHORES:
                self._office.begin_chore(chore.name)
        return now + _BETWEEN_STEPS
