"""Priority that grows while a job waits, so that jobs of low priority do not starve.

With a period of ten minutes a job has made up for 50 of priority when it has waited for ten minutes. Such jobs get one
place in four before better ones that wait: a lone one the next place, and a crowd of them leaves the better ones three
quarters. Nothing is rewritten in the store, and workers with and without ageing can serve one queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from lineshaft.clock import SECOND, Clock
from lineshaft.engines.base import Tx
from lineshaft.store.claim import Claimed, Head, claim_aged, waiting_heads

STEP: Final = 50
"""How much of priority is made up for in a period: from `low` to `normal`, from `normal` to `high`."""
ONE_IN: Final = 4
"""Of so many places one goes to jobs that have aged, while there are both these and better ones."""
_PAUSE: Final = SECOND
# A look that steps over many rows must not take up the store thread.
_SHARE_OF_LOOKING: Final = 10


class Aged(NamedTuple):
    """Jobs of a rank that have made up for what they are worse than the best rank that waits."""

    rank: int
    before: int
    """Those whose time, or turn in a fair queue, was earlier."""
    goes_as: int
    """A rank before the best one."""


def aged(heads: Sequence[Head], period: int, now: int) -> list[Aged]:
    """Return which ranks have jobs that have aged.

    `heads` are the first waiting jobs of each rank, the best rank first; `period` and `now` are in microseconds.
    """
    found: list[Aged] = []
    for head in heads[1:]:
        best = heads[0].rank
        before = now - (head.rank - best) * period // STEP
        if head.turn < before:
            found.append(Aged(head.rank, before, best - 1))
    return found


class Ageing:
    """One queue's ageing in one worker: looks once a second at what waits longest, and claims what has aged."""

    def __init__(self, period: int) -> None:
        self._period = period
        self._aged: deque[Aged] = deque()
        self._places = ONE_IN - 1
        """Places since the last one that an aged job got: the first of them waits for no others."""
        self._looked_at = 0
        self._looks_at = 0

    def claim(
        self, tx: Tx, clock: Clock, *, queue: str, room: int, worker: int, now: int, is_granted: bool = False
    ) -> list[Claimed]:
        """Take the jobs that have aged, up to their part of this room."""
        if not self._looked_at <= now < self._looks_at:
            self._look(tx, clock, queue, now)
        if not self._aged:
            return []
        part, self._places = divmod(self._places + room, ONE_IN)
        claimed: list[Claimed] = []
        while self._aged and len(claimed) < part:
            claimed += self._claim_rank(tx, queue, part - len(claimed), worker, now, is_granted=is_granted)
        return claimed

    def _claim_rank(self, tx: Tx, queue: str, limit: int, worker: int, now: int, *, is_granted: bool) -> list[Claimed]:
        """Take jobs of the rank whose turn it is: ranks take turns, or a crowd of one would hold up the others."""
        one = self._aged.popleft()
        found = claim_aged(
            tx,
            queue=queue,
            rank=one.rank,
            before=one.before,
            limit=limit,
            worker=worker,
            now=now,
            is_granted=is_granted,
        )
        if len(found) == limit:
            self._aged.append(one)
        elif not self._aged:
            self._places = ONE_IN - 1
        # A lane starts jobs by rank, too, and would let better ones pass for ever.
        return [job._replace(rank=one.goes_as) for job in found]

    def _look(self, tx: Tx, clock: Clock, queue: str, now: int) -> None:
        before = clock.monotonic()
        found = aged(waiting_heads(tx, queue), self._period, now)
        seconds = clock.monotonic() - before
        following = self._aged[0].rank if self._aged else found[0].rank if found else 0
        self._aged = deque(sorted(found, key=lambda one: (one.rank < following, one.rank)))
        self._looked_at, self._looks_at = now, now + max(_PAUSE, int(seconds * _SHARE_OF_LOOKING * SECOND))
