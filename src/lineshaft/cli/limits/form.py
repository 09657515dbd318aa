"""How a limit is told: for programs, and in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.cli.schemas import LimitForm
from lineshaft.clock import to_micros, to_text

if TYPE_CHECKING:
    from lineshaft.app.limits import Limit


def limit_form(limit: Limit) -> LimitForm:
    """Return a limit as `--json` prints it."""
    return {
        "name": limit.name,
        "kind": limit.kind,
        "limit": limit.limit,
        "count": limit.count,
        "per": None if limit.per is None else limit.per.total_seconds(),
        "burst": limit.burst,
        "cost": limit.cost,
        "low": limit.low,
        "high": limit.high,
        "key": list(limit.key),
        "per_tenant": limit.per_tenant,
        "overridden": list(limit.overridden),
        "keys": limit.keys,
        "held": limit.held,
        "waiting": limit.waiting,
    }


def ruled_by(limit: Limit) -> str:
    """Return in a few words what a limit lets through."""
    match limit.kind:
        case "rate":
            assert limit.per is not None, "a rate has a time"
            return f"{limit.count} in {to_text(to_micros(limit.per))}, burst {limit.burst}"
        case "adaptive":
            return f"{limit.low} to {limit.high} at once"
        case "order":
            return "one after the other"
        case _:
            return f"{limit.limit} at once"


def keyed_by(limit: Limit) -> str:
    """Return the names of what has a gate each."""
    return ", ".join([*(["tenant"] if limit.per_tenant else []), *limit.key])
