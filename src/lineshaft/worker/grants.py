"""How many jobs of gated queues a worker may take: what it asks the store for, what it is granted, what it gives back.

The store thread alone asks and claims, so what a worker says that it holds is true when it says it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.engines.base import Tx
from lineshaft.store.claim import Claimed
from lineshaft.store.grants import (
    Gated,
    Heard,
    Wanted,
    heard,
    lock_queues,
    own_places,
    trim_grant,
    write_gates,
    write_grants,
)
from lineshaft.worker.share import FIRST_PAUSE, Ask, Grant, Round, Share, counted_tat, decide, opens_at

# Whoever is woken asks again at once, but not for every wake-up of a busy queue.
_RUNG_APART: Final = SECOND // 20
_WANTED_FOR: Final = 3 * SECOND
_SAID_AGAIN: Final = SECOND // 2


class Grants:
    """One worker's shares of the gated queues that it serves; with none of them it does nothing."""

    def __init__(self, worker: int, queues: Collection[str]) -> None:
        self._worker, self._queues = worker, frozenset(queues)
        self.shares: dict[str, Share] = {}
        self._news: Sequence[Heard] | None = None

    def hear(self, gated: str | None) -> bool:
        """Note what a heartbeat says of gated queues, from any thread; True: the store thread has to look at it."""
        news = [one for one in heard(gated) if one.queue in self._queues]
        if not news and not self.shares:
            return False
        self._news = news
        return True

    @property
    def is_in_play(self) -> bool:
        """Whether any of the worker's queues is gated, as far as it has heard."""
        return bool(self.shares) or self._news is not None

    def rung(self, queue: str) -> None:
        """Note that somebody says that there may be jobs, or places; from any thread."""
        share = self.shares.get(queue)
        if share is not None:
            share.asks_from = min(share.asks_from, share.asked_at + _RUNG_APART)

    def take_in(self, now: int) -> None:
        """Look at what the last heartbeat said, and forget what a transaction was granted that failed."""
        for share in self.shares.values():
            share.round = None
        news, self._news = self._news, None
        if news is None:
            return
        self.shares = {one.queue: self._refreshed(one, now) for one in news}

    def _refreshed(self, one: Heard, now: int) -> Share:
        share = self.shares.get(one.queue)
        if share is None:
            return Share(one.flow)
        if share.flow != one.flow:
            share.flow, share.asks_from, share.opens_at, share.is_new = one.flow, now, now, True
        if share.flow.concurrency is not None and one.places != share.places:
            share.is_declared = False
        share.is_to_trim |= not share.was_used or self._is_wanted(one.wanted, now)
        share.was_used = False
        return share

    def _is_wanted(self, wanted: Wanted | None, now: int) -> bool:
        return wanted is not None and wanted.worker != self._worker and abs(now - wanted.at) < _WANTED_FOR

    def begin(self, tx: Tx, now: int, asks: Mapping[str, Ask]) -> dict[str, bool]:
        """Ask for places and tokens; what is granted may be claimed in this transaction, which holds the locks.

        Returns of each queue whether jobs wait in it.
        """
        if not asks:
            return {}
        locked = lock_queues(tx, asks, worker=self._worker)
        for queue in asks.keys() - locked.keys():
            del self.shares[queue]
        places = {queue: self._note(gated, asks[queue], now) for queue, gated in sorted(locked.items())}
        limited = {queue: count for queue, count in places.items() if locked[queue].flow.concurrency is not None}
        write_grants(tx, limited, worker=self._worker)
        return {queue: gated.has_waiting for queue, gated in locked.items()}

    def _note(self, gated: Gated, ask: Ask, now: int) -> int:
        share = self.shares[gated.queue]
        share.flow = gated.flow
        grant = decide(gated, ask, now)
        share.got(grant, now)
        share.round = Round(gated, ask.lanes, grant.more, self._wanted(gated, grant, now))
        if gated.flow.rate is not None and grant.more == 0:
            share.opens_at = opens_at(gated.flow.rate, counted_tat(gated, now), ask.lanes)
        return grant.places

    def _wanted(self, gated: Gated, grant: Grant, now: int) -> Wanted | None:
        said = gated.wanted
        if not grant.is_short or (said is not None and 0 <= now - said.at < _SAID_AGAIN):
            return said
        return Wanted(now, self._worker)

    def limit(self, queue: str, held: int, room: int) -> int:
        """Return how many of `room` may be claimed without asking, or by what was granted in this transaction."""
        share = self.shares.get(queue)
        if share is None:
            return room
        if share.round is not None:
            return min(room, share.round.left)
        return 0 if share.flow.rate is not None else min(room, share.allowed(held))

    def took(self, queue: str, count: int) -> None:
        """Note how many jobs were claimed."""
        share = self.shares.get(queue)
        if share is not None and count:
            share.was_used = True
            if share.round is not None:
                share.round.left -= count

    def found_nothing(self, tx: Tx, queue: str, now: int) -> bool:
        """Look, not too often, whether the store has taken the grant by which nothing was claimed; True: it has."""
        share = self.shares[queue]
        if 0 <= now - share.checked_at < FIRST_PAUSE:
            return False
        share.checked_at = now
        share.is_declared = own_places(tx, queue, worker=self._worker) == share.places
        return not share.is_declared

    def end(self, tx: Tx, now: int, claimed: Sequence[Claimed], held: Callable[[str], int], *, is_open: bool) -> None:
        """Write what tokens were spent, and give back places that others want or that nobody will use."""
        for share in self.shares.values() if not is_open else ():
            share.is_to_trim = True
        counts: dict[str, int] = {}
        for one in claimed if self.shares else ():
            counts[one.queue] = counts.get(one.queue, 0) + 1
        self._spend(tx, counts, now)
        for queue, share in self.shares.items():
            if share.is_to_trim and share.is_declared:
                self._trim(tx, queue, share, held(queue) + counts.get(queue, 0))

    def _spend(self, tx: Tx, counts: Mapping[str, int], now: int) -> None:
        moved: dict[str, tuple[int, Wanted | None]] = {}
        for queue, share in self.shares.items():
            turn, share.round = share.round, None
            if turn is None:
                continue
            tat, count = turn.gated.tat, counts.get(queue, 0)
            if count and turn.gated.flow.rate is not None:
                rate = turn.gated.flow.rate
                tat = rate.tokens.take(counted_tat(turn.gated, now), now, count)
                share.opens_at = opens_at(rate, tat, turn.lanes) if turn.left == 0 else now
            if (tat, turn.wanted) != (turn.gated.tat, turn.gated.wanted):
                moved[queue] = tat, turn.wanted
        if moved:
            write_gates(tx, moved)

    def _trim(self, tx: Tx, queue: str, share: Share, held: int) -> None:
        share.is_to_trim = False
        if share.places > held:
            trim_grant(tx, queue, held, worker=self._worker)
            share.places = held

    def has_to_give(self, queue: str, held: int, *, is_open: bool) -> bool:
        """Tell whether places are left over that are to be given back."""
        share = self.shares[queue]
        return (share.is_to_trim or not is_open) and share.is_declared and share.places > held

    def next_at(self, queue: str, held: int, now: int) -> int | None:
        """Return when there is a reason to look at a queue that may have jobs; None: when somebody says so."""
        share = self.shares[queue]
        if share.waits_for_tokens(now):
            return share.opens_at
        return share.asks_from if share.waits_for_places(held, now) else None
