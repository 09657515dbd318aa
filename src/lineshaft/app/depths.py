"""What can be said of how many jobs may wait in a queue, checked where it is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from lineshaft.clock import SECOND, to_micros
from lineshaft.counts import is_count
from lineshaft.errors import ConfigError
from lineshaft.options import UNSET
from lineshaft.store.depth import OnFull

LIMITS: Final = ("max_depth", "max_depth_per_tenant", "on_full", "block_timeout")
DEPTHS: Final = LIMITS[:2]
WAYS: Final = get_args(OnFull)

_PATIENCE: Final = 30 * SECOND
_MOST: Final = 2**31 - 1


def checked_limits(**given: Any) -> dict[str, Any]:
    """Return those that were said, in the units of the store; raises `ConfigError` naming a wrong one."""
    said = {name: value for name, value in given.items() if value is not UNSET}
    for name in DEPTHS:
        if said.get(name) is not None and not is_count(said[name], _MOST):
            msg = f"{name}={said[name]!r} must be a whole number from 1, or None"
            raise ConfigError(msg)
    if "on_full" in said and said["on_full"] not in WAYS:
        msg = f"on_full={said['on_full']!r} must be one of {', '.join(map(repr, WAYS))}"
        raise ConfigError(msg)
    if "block_timeout" in said:
        said["block_timeout"] = _patience(said["block_timeout"])
    return said


def merged_limits(queue: str, before: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a queue's limits become; raises `ConfigError` when something said has no effect beside the rest."""
    after = {**before, **said}
    if all(after[name] is None for name in DEPTHS):
        if said.keys() - DEPTHS:
            msg = f"queue {queue!r} has no depth limit, so it is never full; give max_depth or max_depth_per_tenant too"
            raise ConfigError(msg)
        return dict.fromkeys(LIMITS)
    if after["on_full"] == "block":
        return {**after, "block_timeout": after["block_timeout"] or _PATIENCE}
    if "block_timeout" in said:
        msg = f"block_timeout says how long on_full='block' waits, and queue {queue!r} does not; give that too"
        raise ConfigError(msg)
    return {**after, "on_full": None if after["on_full"] == "reject" else after["on_full"], "block_timeout": None}


def _patience(value: Any) -> int:
    micros = to_micros(value, "block_timeout")
    if micros == 0:
        msg = "block_timeout=0 waits for nothing; give a longer one, or on_full='reject'"
        raise ConfigError(msg)
    return micros
