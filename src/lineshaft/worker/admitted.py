"""What steps at gates give back: what became of claimed jobs, and what is to be told once it is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from lineshaft.gates import Gate, News, Pass
from lineshaft.store.claim import Claimed
from lineshaft.store.gates import Slot
from lineshaft.store.line import Parked
from lineshaft.worker.departure import Departure, left

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})

RoomBeside = Callable[[Sequence[Claimed]], Mapping[str, int]]


def no_room(claimed: Sequence[Claimed]) -> Mapping[str, int]:  # noqa: ARG001 - as who has some
    """Claim no more."""
    return {}


class Heads(NamedTuple):
    """Jobs that were claimed from lines, and what each has passed."""

    jobs: list[Claimed]
    passes: dict[str, tuple[Pass, ...]]


NO_HEADS: Final = Heads([], {})


class Steady(NamedTuple):
    """A gate with a line in which there was room for whoever left."""

    declared: str | None
    overrides: str | None
    """As the store knew the rule."""
    terms: str
    """What the code of the one that left said of the limit: it holds where the store does not know the rule."""
    since: int
    """When that was found."""


class Step(NamedTuple):
    """What a transaction did about gates: to be told of once it is committed."""

    queues: frozenset[str] = frozenset()
    """Those that have jobs again."""
    wake_at: int | None = None
    """When the first gate that was written has to be looked at."""
    news: tuple[News, ...] = ()
    steady: Mapping[str, Steady] = _NONE
    """The gates in which there was room for those that were claimed from their lines."""
    was_due: bool = False
    """Whether it did what was due: `wake_at` is the time of the next look at any gate then."""


NOTHING: Final = Step()


class Admitted(NamedTuple):
    """What became of claimed jobs."""

    jobs: list[Claimed]
    """Those that this worker goes on holding."""
    passes: Mapping[str, tuple[Pass, ...]] = _NONE
    """By job that limits concern, what it has to pass."""
    slotted: frozenset[str] = frozenset()
    """Those with places in gates that do not count them as their own."""
    refused: Mapping[str, Exception] = _NONE
    """Those that end with an error instead of being run."""
    crowded: frozenset[str] = frozenset()
    """Queues of which most jobs were refused: there may be many more like them."""
    step: Step = NOTHING

    def left(self, jobs: Iterable[Claimed], *, leaves: bool = True) -> list[Departure]:
        """Return the departures of jobs that do not run after all, as far as limits concern them."""
        known = ((one.held, self.passes.get(one.held.id)) for one in jobs)
        return [
            left(held, passes, has_slots=held.id in self.slotted, leaves=leaves)
            for held, passes in known
            if passes is not None
        ]


class Judged(NamedTuple):
    """What a verdict says of claimed jobs, as it is stored."""

    parked: Sequence[Parked] = ()
    slots: Sequence[Slot] = ()
    gates: Mapping[str, Gate] = _NONE


EVERYBODY: Final = Admitted([])
"""What became of jobs that no limit concerns."""
