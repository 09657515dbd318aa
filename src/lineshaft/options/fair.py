"""How the jobs of one queue take turns: by whom, and with which weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args

import msgspec

from lineshaft.errors import ConfigError

FairBy = Literal["tenant", "key"]

NOBODY: Final = "-"
"""Whose turn jobs take that have no tenant, or no key: all of them together are one."""
UNIT: Final = 10_080
"""How far apart the jobs of a weight of 1 stand, in microseconds; every weight up to 10 divides it evenly.

Turns are of the size of times: what was stored before its queue became fair has no turn and stands at its time.
"""
HEAVIEST: Final = 100
WAYS: Final = get_args(FairBy)
_MOST_WEIGHTS: Final = 10_000
_LONGEST: Final = 200

_encode: Final = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Fair:
    """Jobs take turns by their tenant, or by their task's `fair_key`; whoever is not named has a weight of 1.

    Raises `ConfigError` when one of both is wrong.
    """

    by: FairBy
    weights: Mapping[str, int] = field(default_factory=dict[str, int])
    _steps: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.by not in WAYS:
            msg = f"fair={self.by!r} must be 'tenant', 'key', or None for jobs in the order of their times"
            raise ConfigError(msg)
        _check_weights(self.weights)
        object.__setattr__(self, "_steps", {whose(name): _step(weight) for name, weight in self.weights.items()})

    def whose(self, tenant: str | None, fair_text: str | None) -> str:
        """Return whose turn a job takes, by its tenant or the text of its key."""
        return whose(tenant if self.by == "tenant" else fair_text)

    def step(self, of: str) -> int:
        """Return how far apart the jobs of one stand, an even number; `of` is what `whose` gave."""
        return self._steps.get(of, UNIT)

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"by": self.by, "weights": dict(self.weights)}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Fair:
        """Return what `dump` gave."""
        return cls(stored["by"], stored["weights"])


def whose(name: str | None) -> str:
    """Return what the store knows a tenant or a key by: never empty, and never `NOBODY` by chance."""
    if name is None:
        return NOBODY
    return f"={name if len(name) <= _LONGEST else hashlib.sha256(name.encode()).hexdigest()}"


def fair_text(value: Any) -> str | None:
    """Return the text of a `fair_key`'s value, which is a plain JSON value; None has none."""
    if value is None or isinstance(value, str):
        return value
    # What is equal in Python, as 7 and 7.0, is one key.
    return _encode(int(value) if isinstance(value, float) and value.is_integer() else value).decode()


def _step(weight: int) -> int:
    return 2 * round(UNIT / 2 / weight)


def _check_weights(given: Any) -> None:
    weights = cast("Mapping[Any, Any]", given)
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in weights):
        msg = f"fair_weights={given!r:.80} must be a mapping of tenants or keys, as texts, to weights"
        raise ConfigError(msg)
    if len(weights) > _MOST_WEIGHTS:
        msg = f"fair_weights names {len(weights):,}, the most are {_MOST_WEIGHTS:,}; leave out those with a weight of 1"
        raise ConfigError(msg)
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= HEAVIEST:
            msg = f"fair_weights of {name!r} is {weight!r}: give a whole number from 1 to {HEAVIEST}"
            raise ConfigError(msg)
