"""What can be said of how many jobs of a queue run at once and how often they start, checked where it is said."""

from __future__ import annotations

from typing import Any, Final

from lineshaft.clock import SECOND, to_text
from lineshaft.counts import is_count
from lineshaft.errors import ConfigError
from lineshaft.options import UNSET, Rate, parsed_rate
from lineshaft.store.grants import QueueRate

FLOWS: Final = ("concurrency", "rate")

_MOST: Final = 2**31 - 1
_OF_TASKS: Final = ("key", "name", "per_tenant", "cost")
_PLAIN: Final = Rate(1, 1)
_UNITS: Final = {SECOND: "s", 60 * SECOND: "m", 3_600 * SECOND: "h", 86_400 * SECOND: "d"}


def checked_flow(*, concurrency: Any, rate: Any) -> dict[str, Any]:
    """Return those that were said as the store keeps them; raises `ConfigError` naming a wrong one."""
    said: dict[str, Any] = {}
    if concurrency is not UNSET:
        if concurrency is not None and not is_count(concurrency, _MOST):
            msg = f"concurrency={concurrency!r} of a queue must be a whole number from 1, or None; to stop it, pause it"
            raise ConfigError(msg)
        said["concurrency"] = concurrency
    if rate is not UNSET:
        said["rate"] = None if rate is None else _checked_rate(rate)
    return said


def rate_text(rate: Rate | QueueRate) -> str:
    """Return how a person writes a rate, `100/m`."""
    per = rate.interval if isinstance(rate, Rate) else rate.per
    return f"{rate.count}/{_UNITS.get(per) or to_text(per)}"


def rate_of(rate: QueueRate | None) -> Rate | None:
    """Return a stored rate as people give it."""
    return None if rate is None else Rate(rate.count, to_text(rate.per), burst=rate.burst)


def _checked_rate(rate: Any) -> dict[str, Any]:
    if isinstance(rate, str):
        rate = Rate(*parsed_rate(rate))
    if not isinstance(rate, Rate):
        msg = f"rate={rate!r:.80} of a queue must be a text such as '100/m', a Rate, or None"
        raise ConfigError(msg)
    meant = [option for option in _OF_TASKS if getattr(rate, option) != getattr(_PLAIN, option)]
    if meant:
        said = f"{meant[0]}={getattr(rate, meant[0])!r}"
        msg = f"{said} of a queue's rate has no meaning, for all its jobs count alike; give such a Rate to a task"
        raise ConfigError(msg)
    stored = {"count": rate.count, "per": rate.interval}
    return stored if rate.burst is None else {**stored, "burst": rate.burst}
