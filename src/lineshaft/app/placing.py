"""Which queues are fair, as far as an enqueuer knows: the try that finds it out is paid now and then only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from lineshaft.engines.base import Engine
from lineshaft.store.placing import Draw, draw_here
from lineshaft.store.turns import Turns, Wanted, Whose, take_turns

if TYPE_CHECKING:
    from lineshaft.feature import Incoming
    from lineshaft.options import Fair

_MEMORY_SECONDS: Final = 10.0


class FairQueues:
    """What was learned of fair queues in the last seconds; a queue that is not named is taken for a plain one."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Fair, float]] = {}

    def learn(self, engine: Engine, fair: Mapping[str, Fair]) -> None:
        """Note queues that are fair."""
        until = engine.clock.monotonic() + _MEMORY_SECONDS
        for name, one in fair.items():
            self._known[name] = one, until

    def among(self, engine: Engine, jobs: Iterable[Incoming]) -> dict[str, Fair]:
        """Return those of the jobs' queues that are fair, as far as is known."""
        if not self._known:
            return {}
        now = engine.clock.monotonic()
        found = {name: self._known[name] for name in {one.row["queue"] for one in jobs} if name in self._known}
        return {name: fair for name, (fair, until) in found.items() if now < until}


def draw_of(engine: Engine) -> Draw:
    """Return how turns are drawn for a transaction that may last: a caller's, or the running job's.

    PostgreSQL has several writers: there they are drawn on a connection of our own and committed at once, so that
    nobody waits for the caller. SQLite has one, and whoever stores jobs holds its lock.
    """
    if engine.dialect == "sqlite":
        return draw_here

    return lambda _, wanted, now: draw_apart(engine, now, wanted)


def draw_apart(engine: Engine, now: int, wanted: Mapping[Whose, Wanted]) -> Turns:
    """Draw turns in a transaction of their own, of one statement."""
    return engine.write_apart(lambda tx: take_turns(tx, wanted, now=now, is_apart=True))
