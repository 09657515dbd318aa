"""What a worker is granted of a queue that is limited as a whole, and what it knows of that. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from lineshaft.clock import SECOND
from lineshaft.store.grants import Flow, Gated, QueueRate, Wanted

FIRST_PAUSE: Final = SECOND // 10
_LONGEST_PAUSE: Final = SECOND
_SPARED: Final = 8
# Tokens that come one a millisecond are waited for in handfuls: what comes meanwhile is saved up, so nothing is lost.
_HANDFUL: Final = SECOND // 50


class Ask(NamedTuple):
    """What a worker has and wants of one queue."""

    held: int
    """How many of its jobs the store has as held by this worker, once what is under way is written."""
    lanes: int
    """How many more could start at once."""
    room: int
    """How many more it would take, ahead of its lanes too."""


class Grant(NamedTuple):
    """What a worker gets of one queue."""

    places: int
    """How many of its jobs it may hold from now on."""
    more: int
    """How many it may take now."""
    is_over: bool
    """Whether it may take none as its jobs end, either: others may hold more than there are places."""
    is_short: bool
    """Whether it wanted more."""


def decide(gated: Gated, ask: Ask, now: int) -> Grant:
    """Return what a worker gets, under the lock of the queue's gate."""
    places = _places(gated, ask)
    if gated.flow.rate is None or places.more == 0:
        return places
    left = gated.flow.rate.tokens.are_left(counted_tat(gated, now), now)
    return places if left >= places.more else places._replace(more=max(0, min(ask.lanes, left)))


def _places(gated: Gated, ask: Ask) -> Grant:
    if gated.flow.concurrency is None:
        return Grant(0, ask.room, is_over=False, is_short=False)
    free = gated.flow.concurrency - gated.others - ask.held
    wants = gated.has_waiting and ask.room > 0
    if gated.has_undeclared or free < 0:
        return Grant(ask.held, 0, is_over=True, is_short=wants)
    if not wants:  # what it has it keeps until somebody wants it
        return Grant(max(ask.held, min(gated.places or 0, ask.held + free)), 0, is_over=False, is_short=False)
    more = ask.room if free >= ask.room else max(0, min(free, ask.lanes))
    # Where there are far more places than anybody wants, it need not ask again for each one more.
    spare = min(ask.held + more, max(0, free - more) // _SPARED)
    return Grant(ask.held + more + spare, more, is_over=False, is_short=more < ask.room)


def counted_tat(gated: Gated, now: int) -> int:
    """Return a rate's `tat`, no later than one that was bought out just now: the clock may have been set back."""
    assert gated.flow.rate is not None, "only rates have one that counts"
    return min(gated.tat, now + _span(gated.flow.rate))


def _span(rate: QueueRate) -> int:
    """Return how long it takes until a bucket is full."""
    tokens = rate.tokens
    return -(-tokens.burst * tokens.per // tokens.count)


def opens_at(rate: QueueRate, tat: int, lanes: int) -> int:
    """Return when it is worth asking again: at the next token, or the next few where many come in a moment."""
    tokens = rate.tokens
    return tokens.free_at(tat, max(1, min(lanes, tokens.count * _HANDFUL // tokens.per)))


@dataclass
class Round:
    """What a claim may take that holds the lock of the queue's gate."""

    gated: Gated
    lanes: int
    left: int
    wanted: Wanted | None


@dataclass
class Share:
    """What this worker knows of one gated queue, and has of it."""

    flow: Flow
    places: int = 0
    is_declared: bool = False
    """Whether the store knows how many of its jobs it holds."""
    is_over: bool = False
    asked_at: int = 0
    asks_from: int = 0
    """When it asks for more places, if it wants some."""
    pause: int = FIRST_PAUSE
    opens_at: int = 0
    """When there are tokens, as far as it knows."""
    is_to_trim: bool = False
    was_used: bool = False
    """Whether it has claimed since the last heartbeat."""
    checked_at: int = 0
    is_new: bool = True
    """Whether nobody has looked for its jobs since the limit was heard of."""
    round: Round | None = None

    def waits_for_tokens(self, now: int) -> bool:
        """Tell whether it is too early for another job."""
        rate = self.flow.rate
        return rate is not None and now < self.opens_at <= now + _span(rate)

    def waits_for_places(self, held: int, now: int) -> bool:
        """Tell whether it has no place left and was refused a moment ago."""
        return self.allowed(held) == 0 and not self.may_ask(now)

    def may_ask(self, now: int) -> bool:
        """Tell whether it may ask for more places."""
        return not now < self.asks_from <= now + _LONGEST_PAUSE

    def allowed(self, held: int) -> int:
        """Return how many more jobs its places allow."""
        return 0 if self.is_over or not self.is_declared else max(0, self.places - held)

    def asks(self, ask: Ask, now: int, *, is_locking: bool) -> bool:
        """Tell whether it has to ask before it claims; `is_locking`: it claims under the lock only."""
        if self.flow.concurrency is not None and not self.is_declared:
            return True
        if ask.room <= 0 or self.waits_for_tokens(now):
            return False
        if self.flow.concurrency is None:
            return True
        allowed = self.allowed(ask.held)
        if (self.flow.rate is not None or is_locking) and allowed > 0:
            return True
        return allowed < ask.room and self.may_ask(now)

    def got(self, grant: Grant, now: int) -> None:
        """Note what it was granted."""
        self.places, self.is_over, self.is_declared = grant.places, grant.is_over, True
        self.asked_at = now
        if grant.is_over:
            self.pause = FIRST_PAUSE
        self.asks_from = now + self.pause if grant.is_short else now
        self.pause = min(self.pause * 2, _LONGEST_PAUSE) if grant.is_short else FIRST_PAUSE
