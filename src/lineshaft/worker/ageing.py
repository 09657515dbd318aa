"""Priority that grows while a job waits, so that jobs of low priority do not starve.

With a period of ten minutes a job goes before those that are a step better and came more than ten minutes after it.
Nothing is rewritten in the store: a job's place among all of its queue is fixed when it comes, and only jobs whose turn
has come before that of the best rank's first one have to be asked for by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from lineshaft.clock import SECOND, Clock
from lineshaft.engines.base import Tx
from lineshaft.store.claim import Claimed, Head, claim_aged, waiting_heads

STEP: Final = 50
"""How much of priority is gained in a period: from `low` to `normal`, from `normal` to `high`."""
_PAUSE: Final = SECOND
# A look that steps over many rows must not take up the store thread.
_PAUSES_PER_LOOK: Final = 10


class Aged(NamedTuple):
    """Jobs of a rank that go before the first one of the best rank."""

    rank: int
    before: int
    """Only those whose time was earlier."""
    goes_as: int
    """The rank that they have come up to."""


def aged(heads: Sequence[Head], period: int) -> list[Aged]:
    """Return whose turn comes before the best rank's first job, the one that waits longest for its turn first.

    `heads` are the first waiting jobs of each rank, the best rank first; `period` is in microseconds.
    """
    found: list[tuple[int, Aged]] = []
    for head in heads[1:]:
        first = heads[0]
        before = first.run_at - (head.rank - first.rank) * period // STEP
        if head.run_at < before:
            found.append((head.run_at - before, Aged(head.rank, before, first.rank)))
    return [one for _, one in sorted(found)]


class Ageing:
    """One queue's ageing in one worker: looks once a second at what waits longest, and claims what has aged."""

    def __init__(self, period: int) -> None:
        self._period = period
        self._aged: list[Aged] = []
        self._looked_at = 0
        self._looks_at = 0

    def claim(self, tx: Tx, clock: Clock, *, queue: str, limit: int, worker: int, now: int) -> list[Claimed]:
        """Take up to `limit` jobs that go before the first one of the best rank."""
        if not self._looked_at <= now < self._looks_at:
            self._look(tx, clock, queue, now)
        claimed: list[Claimed] = []
        while self._aged and len(claimed) < limit:
            one = self._aged[0]
            wanted = limit - len(claimed)
            found = claim_aged(
                tx, queue=queue, rank=one.rank, before=one.before, limit=wanted, worker=worker, now=now
            )
            # A lane compares what it runs next by rank, and would let better ones pass for ever.
            claimed += (job._replace(rank=one.goes_as) for job in found)
            if len(found) < wanted:
                self._aged.pop(0)
        return claimed

    def _look(self, tx: Tx, clock: Clock, queue: str, now: int) -> None:
        before = clock.monotonic()
        self._aged = aged(waiting_heads(tx, queue), self._period)
        seconds = clock.monotonic() - before
        self._looked_at, self._looks_at = now, now + max(_PAUSE, int(seconds * _PAUSES_PER_LOOK * SECOND))
