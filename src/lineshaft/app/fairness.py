"""What can be said of how the jobs of a queue take turns, checked where it is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.errors import ConfigError
from lineshaft.options import UNSET, Fair
from lineshaft.options.fair import WAYS
from lineshaft.store.control import lock_queue
from lineshaft.store.fairness import change_fair, drop_turns
from lineshaft.store.turns import fair_settings

if TYPE_CHECKING:
    from lineshaft.app.store import Store
    from lineshaft.engines.base import Tx

FAIRNESS: Final = ("fair", "fair_weights")
BY: Final = WAYS


def checked_fairness(*, fair: Any, fair_weights: Any) -> dict[str, Any]:
    """Return what was said; raises `ConfigError` naming what is wrong."""
    said = {name: value for name, value in zip(FAIRNESS, (fair, fair_weights), strict=True) if value is not UNSET}
    if said.get("fair", "") is None and "fair_weights" in said:
        msg = "fair=None takes turns away, and fair_weights would have no effect; give one of them"
        raise ConfigError(msg)
    if said.get("fair", "tenant") is not None:
        Fair(said.get("fair", "tenant"), said.get("fair_weights", {}))
    return said


def change_fairness(tx: Tx, queue: str, said: Mapping[str, Any], now: int) -> None:
    """Have a queue be as was said, and as before where nothing was; raises `ConfigError` for weights of no turns."""
    lock_queue(tx, queue)
    change_fair(tx, queue, _merged(queue, fair_settings(tx, [queue]).get(queue), said), now=now)


def end_turns(store: Store, queue: str) -> None:
    """Have jobs whose turns lie ahead of time stand at their times, some in each transaction."""
    now = store.engine.clock.now()
    while store.write(lambda tx, _: drop_turns(tx, queue, now=now)):
        continue


def fair_in(flow: str | None) -> Fair | None:
    """Return what the settings of a queue say of turns."""
    stored = msgspec.json.decode(flow).get("fair") if flow else None
    return None if stored is None else Fair.load(stored)


def _merged(queue: str, before: Fair | None, said: Mapping[str, Any]) -> Fair | None:
    if "fair" not in said and before is None:
        msg = f"fair_weights are for turns, and queue {queue!r} is not fair; give fair='tenant' or fair='key' too"
        raise ConfigError(msg)
    by = said.get("fair", before and before.by)
    if by is None:
        return None
    return Fair(by, said.get("fair_weights", {} if before is None else before.weights))
