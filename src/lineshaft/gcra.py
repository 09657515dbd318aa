"""Rates as the generic cell rate algorithm keeps them: one instant a gate, and no counter that could be wrong.

The theoretical arrival time, `tat`, is when the last token that was taken would have come if tokens came evenly. ITU-T
I.371, annex A, has the algorithm. Spans are rounded against who takes, by less than a microsecond a take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lineshaft.clock import SECOND

_SAVED: Final = SECOND // 10
_SLOW: Final = 10 * SECOND


@dataclass(frozen=True, slots=True)
class Tokens:
    """A rate: `count` tokens in each `per` microseconds, of which up to `burst` can be saved up."""

    count: int
    per: int
    burst: int

    def are_left(self, tat: int, now: int) -> int:
        """Return how many tokens can be taken now; negative: a debt."""
        return (self.burst * self.per - max(0, tat - now) * self.count) // self.per

    def free_at(self, tat: int, cost: int) -> int:
        """Return when that many can be taken; more than the burst as soon as all of it is there."""
        return tat - max(0, self.burst - cost) * self.per // self.count

    def take(self, tat: int, now: int, cost: int) -> int:
        """Return what `tat` becomes when that many are taken now; more than are left are a debt."""
        return max(tat, now) + self._span(cost)

    def give_back(self, tat: int, tokens: int) -> int:
        """Return what `tat` becomes when tokens were taken and not used."""
        return tat - tokens * self.per // self.count

    def _span(self, tokens: int) -> int:
        return -(-tokens * self.per // self.count)


def usual_burst(count: int, per: int, cost: int = 1) -> int:
    """Return how many tokens can be saved up unless somebody says: those of one job, and what comes in 0.1 s.

    With nothing saved up each moment that somebody comes late would be lost for good. Where a token takes longer than
    ten seconds to come, that is little, and two jobs at once would be a surprise.
    """
    return cost if per > count * _SLOW else cost - (-count * _SAVED // per)
