"""How a limit learns: additive increase, multiplicative decrease, as congestion control of TCP has it (RFC 5681).

It grows by one in the time in which as many jobs succeed as it lets run, but only while nearly all of it is used: a
limit that is not felt learns nothing. It shrinks at once on a sign of too much, and then stays as it is until those
jobs have ended that ran under the old one, for a second at least: where jobs are short it would have grown back before
anybody knew whether that was enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from lineshaft.clock import MINUTE, SECOND
from lineshaft.options import AdaptiveTerms

Said = Literal["good", "bad", "other"]
Why = Literal["success", "error", "slow", "bounds"]

USED: Final = 0.8
"""From which part of the limit on its use counts as full."""
ON_ERROR: Final = 0.7
WHEN_SLOW: Final = 0.9
_SMOOTHING: Final = 0.1
_MINUTES: Final = 10
_REST: Final = SECOND
_TOLD_EVERY: Final = SECOND


class Heard(NamedTuple):
    """What an attempt's end says."""

    said: Said
    seconds: float
    """How long its code ran."""


class Learnt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a limit remembers; times in microseconds."""

    value: float
    told: int
    """The limit that people know."""
    told_at: int = 0
    cut_at: int | None = None
    """When it last shrank."""
    seconds: float | None = None
    """How long jobs that succeed take, smoothed."""
    lows: tuple[tuple[int, float], ...] = ()
    """The least of that in each of the last ten minutes that had any: the minute's number, and the seconds."""

    @property
    def limit(self) -> int:
        """How many jobs may run at once."""
        return int(self.value)


class Step(NamedTuple):
    """What became of a limit."""

    learnt: Learnt
    why: Why | None = None
    """Why people should be told of the new limit; None: there is nothing to tell."""


def begin(terms: AdaptiveTerms) -> Learnt:
    """Return the limit as it is before anything is known."""
    value = terms.low if terms.start is None else terms.start
    return Learnt(value, value)


def within(learnt: Learnt, terms: AdaptiveTerms, now: int) -> Step:
    """Return the limit within its bounds, which a person or new code may have moved."""
    value = min(max(learnt.value, terms.low), terms.high)
    if value == learnt.value:
        return Step(learnt)
    return _told(msgspec.structs.replace(learnt, value=value), "bounds", now)


def learn(learnt: Learnt, heard: Sequence[Heard], used: int, terms: AdaptiveTerms, now: int) -> Step:
    """Return the limit after these ends; `used` counts the jobs that ran before them."""
    learnt = _timed(learnt, (one.seconds for one in heard if one.said == "good"), now)
    if _rests(learnt, now):
        return Step(learnt)
    if any(one.said == "bad" for one in heard):
        return _cut(learnt, ON_ERROR, "error", terms, now)
    if _is_slow(learnt, terms):
        return _cut(learnt, WHEN_SLOW, "slow", terms, now)
    good = sum(one.said == "good" for one in heard)
    if used < USED * learnt.limit or not good:
        return Step(learnt)
    value = min(learnt.value + good / learnt.limit, terms.high)
    return _told(msgspec.structs.replace(learnt, value=value), "success", now)


def _cut(learnt: Learnt, factor: float, why: Why, terms: AdaptiveTerms, now: int) -> Step:
    value = max(learnt.value * factor, terms.low)
    return _told(msgspec.structs.replace(learnt, value=value, cut_at=now), why, now)


def _rests(learnt: Learnt, now: int) -> bool:
    rest = max(_REST, round((learnt.seconds or 0) * SECOND))
    return learnt.cut_at is not None and abs(now - learnt.cut_at) < rest


def _told(learnt: Learnt, why: Why, now: int) -> Step:
    """Have people told of a limit that has moved by one at least: of growth once a second at most."""
    is_soon = why == "success" and abs(now - learnt.told_at) < _TOLD_EVERY
    if learnt.limit == learnt.told or is_soon:
        return Step(learnt)
    return Step(msgspec.structs.replace(learnt, told=learnt.limit, told_at=now), why)


def _timed(learnt: Learnt, times: Iterable[float], now: int) -> Learnt:
    seconds, minute = learnt.seconds, now // MINUTE
    lows = dict(learnt.lows)
    low = lows.get(minute)
    for one in times:
        seconds = one if seconds is None else seconds + _SMOOTHING * (one - seconds)
        low = seconds if low is None or seconds < low else low
    if low is not None:
        lows[minute] = low
    kept = tuple((at, low) for at, low in lows.items() if minute - _MINUTES < at <= minute)
    return msgspec.structs.replace(learnt, seconds=seconds, lows=kept)


def _is_slow(learnt: Learnt, terms: AdaptiveTerms) -> bool:
    if learnt.seconds is None:
        return False
    is_long = terms.slow is not None and learnt.seconds * SECOND > terms.slow
    lows = [low for _, low in learnt.lows]
    return is_long or (terms.factor is not None and bool(lows) and learnt.seconds > terms.factor * min(lows))
