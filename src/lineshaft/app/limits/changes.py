"""What a person changes of a limit, checked where it is said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from lineshaft.clock import to_micros
from lineshaft.errors import ConfigError
from lineshaft.gates import Kind
from lineshaft.options import Adaptive, Concurrency, Rate, RateTerms, parsed_rate
from lineshaft.store.rules import Rule

CHANGEABLE: Final[Mapping[Kind, tuple[str, ...]]] = {
    "concurrency": ("limit",),
    "rate": ("rate", "burst"),
    "adaptive": ("low", "high"),
}
"""What can be changed of a limit of each kind."""


def overrides_after(rule: Rule, said: Mapping[str, Any]) -> str:
    """Return what a person has changed of a limit after one more change; raises `ConfigError`, naming what is wrong."""
    allowed = CHANGEABLE.get(rule.kind, ())
    wrong = next((name for name in said if name not in allowed), None)
    if wrong is not None or not said:
        can = f"give {' or '.join(allowed)}" if allowed else "nothing of it can be changed"
        what = "nothing to change" if wrong is None else f"{wrong}={said[wrong]!r} does not fit"
        msg = f"{what}: limit {rule.name!r} is of the kind {rule.kind}; {can}"
        raise ConfigError(msg)
    before: dict[str, Any] = msgspec.json.decode(rule.overrides) if rule.overrides else {}
    after = before | _in_units(said)
    _check(rule, msgspec.json.decode(rule.declared) | after)
    return msgspec.json.encode(after, order="sorted").decode()


def _in_units(said: Mapping[str, Any]) -> dict[str, Any]:
    changes = dict(said)
    if "rate" in changes:
        text = changes.pop("rate")
        if not isinstance(text, str):
            msg = f"rate={text!r} must be a text such as '100/m'"
            raise ConfigError(msg)
        count, per = parsed_rate(text)
        changes |= {"count": count, "per": to_micros(per)}
    return changes


def _check(rule: Rule, said: Mapping[str, Any]) -> None:
    """Make what the limit would be then: that refuses what cannot be, as where it is declared."""
    match rule.kind:
        case "concurrency":
            Concurrency(said["limit"])
        case "rate":
            rate = msgspec.convert({**said, "burst": None}, RateTerms)
            Rate(rate.count, timedelta(microseconds=rate.per), burst=said.get("burst"), cost=rate.cost or 1)
        case _:
            Adaptive(low=said["low"], high=said["high"])
