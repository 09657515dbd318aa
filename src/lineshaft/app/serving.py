"""What `slots=`, `weights=` and `ageing=` of a worker may say: read and checked, against the queues that it serves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict, Unpack

from lineshaft.clock import SECOND, Duration, to_micros
from lineshaft.counts import checked_count, is_count
from lineshaft.errors import ConfigError
from lineshaft.worker.queue_order import QueueOrder

WeightsOption = Mapping[str, int] | str | None
AgeingOption = Duration | Mapping[str, Duration] | None

_HEAVIEST: Final = 1_000
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


class Serving(TypedDict, total=False):
    """How a worker serves its queues."""

    slots: int | None
    weights: WeightsOption
    ageing: AgeingOption


def check_serving(*, slots: int | None = None, weights: WeightsOption = None, ageing: AgeingOption = None) -> None:
    """Raise `ConfigError` for what is wrong whatever queues are served."""
    if slots is not None:
        checked_count("slots", slots)
    if weights is not None:
        read_weights(weights)
    read_ageing(ageing)


def queue_order(queues: Mapping[str, int], **given: Unpack[Serving]) -> QueueOrder:
    """Return in what order a worker takes jobs of these queues.

    `weights` is `{"critical": 6, "low": 1}` or `"critical=6,low=1"`; a queue that it leaves out weighs 1. `ageing` is a
    duration for all queues, `{"low": "10m"}` or `"low=10m"`. Raises `ConfigError`, naming the option and the queue.
    """
    check_serving(**given)
    weights, periods = given.get("weights"), read_ageing(given.get("ageing"))
    heavy = None if weights is None else read_weights(weights)
    for option, named in (("weights", heavy), ("ageing", periods)):
        for name in named if isinstance(named, Mapping) else ():
            if name not in queues:
                msg = f"{option} names queue {name!r}, which this worker does not serve; it serves {', '.join(queues)}"
                raise ConfigError(msg)
    if isinstance(periods, int):
        periods = dict.fromkeys(queues, periods)
    shares = None if heavy is None or len(queues) == 1 else {name: heavy.get(name, 1) for name in queues}
    return QueueOrder(shares, periods or {})


def shared_slots(queues: Mapping[str, int], **given: Unpack[Serving]) -> int | None:
    """Return how many slots the queues share: under weights as many as the largest queue has, unless told.

    Raises `ConfigError` where every queue would have its slots to itself, and no weight would ever count.
    """
    slots = given.get("slots")
    if given.get("weights") is None or len(queues) == 1:
        return slots
    if slots is not None and slots >= sum(queues.values()):
        msg = (
            f"weights share slots among queues, and slots={slots} is enough for all of them at once; "
            f"give fewer than {sum(queues.values())}, or leave slots out for {max(queues.values())}"
        )
        raise ConfigError(msg)
    return max(queues.values()) if slots is None else slots


def read_weights(weights: Mapping[str, int] | str) -> dict[str, int]:
    """Return the weights that are named; raises `ConfigError` for one that is no whole number from 1 to 1,000."""
    found = dict(weights) if isinstance(weights, Mapping) else _pairs(weights, "weights", "critical=6,default=3,low=1")
    if not found:
        msg = f"weights={weights!r} weighs no queue; write critical=6,default=3,low=1"
        raise ConfigError(msg)
    return {name: _weight(name, value) for name, value in found.items()}


def _weight(name: str, value: Any) -> int:
    number: Any = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if not is_count(number, _HEAVIEST):
        msg = f"weights: the weight {value!r} of queue {name!r} must be a whole number from 1 to {_HEAVIEST}"
        raise ConfigError(msg)
    return number


def read_ageing(ageing: AgeingOption) -> dict[str, int] | int | None:
    """Return the period of all queues, or of those that are named, in microseconds.

    Raises `ConfigError` for one that is no duration, or under a second: a worker looks once a second at what has aged.
    """
    if ageing is None:
        return None
    if isinstance(ageing, str) and "=" in ageing:
        ageing = _pairs(ageing, "ageing", "low=10m,default=1h")
    if isinstance(ageing, Mapping):
        return {name: _period(value, f"ageing of queue {name!r}: period") for name, value in ageing.items()}
    return _period(ageing, "ageing")


def _period(value: Duration, name: str) -> int:
    micros = to_micros(float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value, name)
    if micros < SECOND:
        msg = f"{name}={value!r} must be a second at least, such as '10m'"
        raise ConfigError(msg)
    return micros


def _pairs(text: Any, option: str, example: str) -> dict[str, Any]:
    parts = [part.strip().rpartition("=") for part in text.split(",")] if isinstance(text, str) else []
    found = {name.strip(): value.strip() for name, sign, value in parts if sign and name.strip()}
    if not parts or len(found) != len(parts):
        msg = f"{option}={text!r} must give each queue once with its own, such as {example}"
        raise ConfigError(msg)
    return found
