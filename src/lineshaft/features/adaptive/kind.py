"""How a limit that learns decides in one transaction: places, as many as it has learnt."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from lineshaft.features.adaptive.aimd import Heard, Learnt, Step, begin, learn, within
from lineshaft.features.limits.concurrency import PlacesJudge
from lineshaft.features.limits.ruling import said_of
from lineshaft.gates import Gate, GateKind, Kind, News, Pass, Sample
from lineshaft.options import AdaptiveTerms

_decode: Final = msgspec.json.Decoder(Learnt).decode
_encode: Final = msgspec.json.Encoder().encode


class AdaptiveKind(GateKind):
    """`Adaptive(…)`."""

    name: Kind = "adaptive"

    def judge(self, gate: Gate, terms: str, now: int) -> AdaptiveJudge:
        """Return who decides by the limit that holds now."""
        return AdaptiveJudge(gate, terms_of(gate.declared, gate.overrides, terms), now)


class AdaptiveJudge(PlacesJudge):
    """Counts the places of one gate, and moves their number by what is heard of those that had one."""

    def __init__(self, gate: Gate, terms: AdaptiveTerms, now: int) -> None:
        self._terms = terms
        self._before = load_learnt(gate.state, terms)
        self._news: list[News] = []
        self._heard: list[Heard] = []
        super().__init__(gate, self._before.limit, now)
        self._take(within(self._before, terms, now))

    def hear(self, sample: Sample) -> None:
        """Take in how an attempt ended; what follows of all of them is worked out when it is first asked for."""
        self._heard.append(sample.said)

    def allows(self, one: Pass, job_id: str) -> bool:
        """Tell whether a place is free."""
        self._settle()
        return super().allows(one, job_id)

    def to_release(self) -> int:
        """Return how many may come."""
        self._settle()
        return super().to_release()

    @property
    def state(self) -> str | None:
        """What it remembers from now on."""
        self._settle()
        return self._gate.state if self._learnt == self._before else _encode(self._learnt).decode()

    def news(self) -> tuple[News, ...]:
        """Return how the limit has moved."""
        self._settle()
        return tuple(self._news)

    def _settle(self) -> None:
        if self._heard:
            # Those who ended are held no more, those who come are not yet: together they had their places in use.
            heard, self._heard = self._heard, []
            self._take(learn(self._learnt, heard, self._gate.held + len(heard), self._terms, self._now))

    def _take(self, step: Step) -> None:
        self._learnt, self._limit = step.learnt, step.learnt.limit
        if step.why is not None:
            news = News(self._gate.key, self._gate.rule, "limit_changed", self._now, step.learnt.limit, step.why)
            self._news.append(news)


def load_learnt(text: str | None, terms: AdaptiveTerms) -> Learnt:
    """Return what a gate remembers of its limit."""
    return begin(terms) if text is None else _decode(text)


def terms_of(declared: str | None, overrides: str | None, terms: str) -> AdaptiveTerms:
    """Return what rules a limit: what a person changed, before what the code says."""
    said = said_of(declared, terms, AdaptiveTerms)
    return said if overrides is None else _overridden(said, overrides)


@lru_cache(maxsize=1_000)
def _overridden(said: AdaptiveTerms, overrides: str) -> AdaptiveTerms:
    changed: dict[str, Any] = msgspec.json.decode(overrides)
    return msgspec.structs.replace(said, **{name: changed[name] for name in ("low", "high") if name in changed})
