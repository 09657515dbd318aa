"""A limit as people see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from lineshaft.gates import Kind
from lineshaft.options import RateTerms
from lineshaft.store.rules import Occupancy, Rule

_RATE: Final = {"count": "rate", "per": "rate"}
"""Which word of `update` changes what the store keeps under another name."""


@dataclass(frozen=True, slots=True)
class LimitKey:
    """One gate of a limit: a value of its arguments, with the places or tokens of its own."""

    key: str
    """The limit's name, with `=value` behind it where the limit has a key."""
    held: int
    """How many jobs inside it run."""
    waiting: int
    """How many wait in its line, counted to 10,000 for one gate and less for each of many."""
    jobs: tuple[str, ...] = ()
    """The ids of up to ten that run, the longest first."""
    free_at: datetime | None = None
    """Of a rate: when the next job may start; None: now. Of others nobody knows when a job ends."""
    limit: int | None = None
    """Of a limit that learns: how many may run at once now."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: what rules it now, and how busy it is. Fields that its kind does not have are None."""

    name: str
    kind: Kind
    limit: int | None = None
    """How many jobs may run at once, of each key."""
    count: int | None = None
    """How many tokens come in each `per`."""
    per: timedelta | None = None
    burst: int | None = None
    cost: int | None = None
    """What each job takes; None at a rate: each says its own."""
    low: int | None = None
    high: int | None = None
    key: tuple[str, ...] = ()
    """The arguments whose values have a gate each."""
    per_tenant: bool = False
    overridden: tuple[str, ...] = ()
    """What a person changed: `limit`, `rate`, `burst`, `low` or `high`."""
    keys: int = 0
    """How many gates it has now, counted to 1,000; idle ones are forgotten after about an hour."""
    held: int = 0
    """How many jobs inside those run."""
    waiting: int = 0
    """How many wait in the lines of those, counted to 10,000 where it is one, to 100 of each where they are many."""
    busiest: tuple[LimitKey, ...] = ()
    """The gates with the most jobs, up to 100; only `get` looks at them."""


def limit_of(rule: Rule, busy: Sequence[Occupancy], busiest: Sequence[LimitKey] = ()) -> Limit:
    """Return a limit as it rules now."""
    declared: dict[str, Any] = msgspec.json.decode(rule.declared)
    overrides: dict[str, Any] = msgspec.json.decode(rule.overrides) if rule.overrides else {}
    said = declared | overrides
    return Limit(
        rule.name,
        rule.kind,
        **_terms(rule.kind, said),
        key=tuple(said.get("key", ())),
        per_tenant=bool(said.get("per_tenant", False)),
        overridden=tuple(dict.fromkeys(_RATE.get(name, name) for name in sorted(overrides))),
        keys=len(busy),
        held=sum(one.held for one in busy),
        waiting=sum(one.waiting for one in busy),
        busiest=tuple(busiest),
    )


def _terms(kind: Kind, said: Mapping[str, Any]) -> dict[str, Any]:
    match kind:
        case "rate":
            rate = msgspec.convert(said, RateTerms)
            per = timedelta(microseconds=rate.per)
            return {"count": rate.count, "per": per, "burst": rate.most, "cost": rate.cost}
        case "adaptive":
            return {"low": said.get("low"), "high": said.get("high")}
        case "order":
            return {"limit": 1}
        case _:
            return {"limit": said.get("limit")}
