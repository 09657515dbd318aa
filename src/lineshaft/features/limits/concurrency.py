"""Places in a gate: as many jobs run at once as its limit says."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from lineshaft.clock import SECOND
from lineshaft.features.limits.ruling import said_of
from lineshaft.gates import Gate, GateKind, Judge, Pass
from lineshaft.options import ConcurrencyTerms

NET: Final = 2 * SECOND
"""When a line is looked at if nobody frees a place: who does, releases the next job at once, but a person who cancels
a job that was released, say, does not."""


class PlacesJudge(Judge):
    """Counts the places of one gate; `limit` may be below what is held already: then nobody passes."""

    def __init__(self, gate: Gate, limit: int, now: int) -> None:
        self._gate, self._limit, self._now = gate, limit, now
        self._taken = gate.held

    def allows(self, one: Pass, job_id: str) -> bool:  # noqa: ARG002 - every job takes one place
        """Tell whether a place is free."""
        return self._taken < self._limit

    def let(self, one: Pass, job_id: str) -> None:  # noqa: ARG002
        """Take a place."""
        self._taken += 1

    def to_release(self) -> int:
        """Return how many may come: those that were released before have a place each already."""
        return max(0, self._limit - self._taken - self._gate.ready)

    def look_at(self) -> int:
        """Return when to look whether a place became free unseen."""
        return self._now + NET

    @property
    def tat(self) -> int:
        """What it was."""
        return self._gate.tat

    @property
    def state(self) -> str | None:
        """What it was: places are read off the jobs, never kept."""
        return self._gate.state


class ConcurrencyKind(GateKind):
    """`Concurrency(…)`."""

    name = "concurrency"

    def judge(self, gate: Gate, terms: str, now: int) -> PlacesJudge:
        """Return who decides by the limit that holds now."""
        return PlacesJudge(gate, _limit(gate.declared, terms, gate.overrides), now)


@lru_cache(maxsize=1_000)
def _limit(declared: str | None, terms: str, overrides: str | None) -> int:
    return limit_of(said_of(declared, terms, ConcurrencyTerms), overrides)


def limit_of(declared: ConcurrencyTerms, overrides: str | None) -> int:
    """Return the limit that holds."""
    return declared.limit if overrides is None else int(msgspec.json.decode(overrides).get("limit", declared.limit))
