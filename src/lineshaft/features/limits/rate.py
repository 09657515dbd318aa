"""Rates: jobs take tokens when they start."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from lineshaft.clock import SECOND
from lineshaft.features.limits.concurrency import NET
from lineshaft.features.limits.ruling import said_of
from lineshaft.gates import Gate, GateKind, Judge, Pass
from lineshaft.gcra import Tokens
from lineshaft.options import RateTerms

_TOGETHER: Final = SECOND // 40
"""Tokens that come within this time are given out together, where they can be saved up: each look costs a commit."""


class _State(msgspec.Struct, frozen=True, array_like=True):
    """What a gate remembers beside its `tat`."""

    count: int
    per: int
    """The rate by which its `tat` was reckoned: under another one it would stand for other tokens."""
    wanted: int = 1
    """What the next job of the line will cost, as far as is known, where each says its own."""
    most: int = 1
    """For how many tokens its `tat` can lie ahead: for the burst, or for what a job cost that took more than that."""


class RateJudge(Judge):
    """Spends the tokens of one gate; `cost` is what a job takes, None where each says its own.

    Whoever is refused is followed by nobody else in the same step: else those that cost little would take the tokens
    that one which costs much has to wait for, over and over.
    """

    def __init__(self, gate: Gate, tokens: Tokens, cost: int | None, now: int) -> None:
        self._gate, self._tokens, self._now = gate, tokens, now
        before = None if gate.state is None else _state(gate.state)
        known = before or _State(tokens.count, tokens.per, most=tokens.burst)
        self._tat, self._most = _reckoned(gate.tat, known, tokens, now), known.most
        self._wanted = cost or known.wanted
        self._learns = cost is None
        self._is_spent = False

    def allows(self, one: Pass, job_id: str) -> bool:  # noqa: ARG002 - a job's cost is all that counts
        """Tell whether its tokens are there, and nobody before it waits for them."""
        if not self._is_spent and self._now < self._tokens.free_at(self._tat, one.cost):
            self._is_spent = True
            if self._learns:
                self._wanted = one.cost
        return not self._is_spent

    def let(self, one: Pass, job_id: str) -> None:  # noqa: ARG002
        """Spend its tokens."""
        self._tat = self._tokens.take(self._tat, self._now, one.cost)
        self._most = max(self._tokens.burst, one.cost)
        if self._learns:
            self._wanted = one.cost

    def to_release(self) -> int:
        """Return for how many there are tokens, beside those that were released before and have not taken theirs."""
        most = self._tokens.are_left(self._tat, self._now) // self._wanted
        return max(0, max(1, most) - self._gate.ready) if self._now >= self.free_at else 0

    def look_at(self) -> int:
        """Return when the tokens of the next one are there; of one that was released, when it must have taken them."""
        if self._gate.ready or self.to_release():
            return self._now + NET
        together = min(self._tokens.burst // 2, _TOGETHER * self._tokens.count // self._tokens.per)
        return max(self._now + 1, self._tokens.free_at(self._tat, max(self._wanted, together)))

    @property
    def free_at(self) -> int:
        """When the tokens of the next job are there."""
        return self._tokens.free_at(self._tat, self._wanted)

    @property
    def tat(self) -> int:
        """When the last token that was taken would have come."""
        return self._tat

    @property
    def state(self) -> str | None:
        """By which rate that was reckoned."""
        return _state_text(self._tokens.count, self._tokens.per, self._wanted, self._most)


class RateKind(GateKind):
    """`Rate(…)`."""

    name = "rate"

    def judge(self, gate: Gate, terms: str, now: int) -> RateJudge:
        """Return who decides by the rate that holds now."""
        said = rate_of(said_of(gate.declared, terms, RateTerms), gate.overrides)
        return RateJudge(gate, Tokens(said.count, said.per, said.most), said.cost, now)


def rate_of(declared: RateTerms, overrides: str | None) -> RateTerms:
    """Return the rate that holds."""
    return declared if overrides is None else _overridden(declared, overrides)


@lru_cache(maxsize=1_000)
def _overridden(declared: RateTerms, overrides: str) -> RateTerms:
    return msgspec.structs.replace(declared, **msgspec.json.decode(overrides))


def _reckoned(tat: int, before: _State, tokens: Tokens, now: int) -> int:
    """Return `tat` for as many tokens as it stood for under the rate of before: a faster one counts at once.

    It lies no further ahead than it can: else, once the clock is set back, nobody would start until it is back there.
    """
    tat = min(tat, Tokens(before.count, before.per, before.most).take(now, now, before.most))
    if tat <= now or (before.count, before.per) == (tokens.count, tokens.per):
        return tat
    return now + -(-(tat - now) * before.count * tokens.per // (before.per * tokens.count))


@lru_cache(maxsize=1_000)
def _state(text: str) -> _State | None:
    try:
        return msgspec.json.decode(text, type=_State)
    except msgspec.MsgspecError:
        return None


@lru_cache(maxsize=1_000)
def _state_text(count: int, per: int, wanted: int, most: int) -> str:
    return msgspec.json.encode(_State(count, per, wanted, most)).decode()
