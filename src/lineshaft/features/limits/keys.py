"""Which gates a job has to pass: the keys of its limits, taken from its stored arguments.

The text of a gate's key is the rule's name, or `rule=value`: `report=42`, `report=["acme",42]` with a tenant or of
several arguments. A text stands as it is unless it could be taken for another JSON value. No rule's name has an equals
sign, so no two keys are the same by chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from lineshaft.counts import is_count
from lineshaft.errors import ArgumentsError, ConfigError
from lineshaft.gates import GatedJob, Kind, Pass
from lineshaft.options import Adaptive, Breaker, Concurrency, Limit, Order, Rate
from lineshaft.options.limits import MOST_TOKENS
from lineshaft.payload import load_plain
from lineshaft.payload.picking import Picker
from lineshaft.task import Task

_LONGEST: Final = 200
_WORDS: Final = ("true", "false", "null")
_STARTS: Final = tuple('"[{-0123456789')
"""How JSON values begin that are no words."""

KINDS: Final[Mapping[type[Limit], Kind]] = {
    Breaker: "breaker",
    Order: "order",
    Rate: "rate",
    Concurrency: "concurrency",
    Adaptive: "adaptive",
}

_NO_ARGUMENTS: Final[tuple[Sequence[Any], Mapping[str, Any]]] = (), {}
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Keyed(NamedTuple):
    """A limit of one task, with what takes its keys out of arguments."""

    rule: str
    kind: Kind
    terms: str
    per_tenant: bool
    pickers: tuple[Picker, ...]
    cost: Picker | int
    wants_arguments: bool
    """Whether the stored arguments have to be read."""


def keyed(task: Task[Any, Any, Any], limit: Limit) -> Keyed:
    """Return a limit of a task as its jobs are asked by it; raises `ConfigError` when the task has no such argument."""
    pick = task.signature.picker
    rule, terms = limit.rule(task.name), limit.terms()
    if isinstance(limit, Breaker):
        return Keyed(rule, "breaker", terms, per_tenant=False, pickers=(), cost=1, wants_arguments=False)
    said = limit.cost if isinstance(limit, Rate) else 1
    cost = pick(said) if isinstance(said, str) else said
    pickers = tuple(pick(name) for name in limit.names)
    wants_arguments = bool(pickers) or isinstance(cost, Picker)
    return Keyed(rule, KINDS[type(limit)], terms, limit.per_tenant, pickers, cost, wants_arguments)


def passes_of(limits: Sequence[Keyed], job: GatedJob) -> tuple[Pass, ...]:
    """Return the gates of a job; raises `ConfigError` when a key cannot be taken from its arguments."""
    if len(limits) == 1:
        [one] = limits
        args, kwargs = _arguments(job) if one.wants_arguments else _NO_ARGUMENTS
        return _passes(one, job, args, kwargs)
    args, kwargs = _arguments(job) if any(one.wants_arguments for one in limits) else _NO_ARGUMENTS
    return tuple(_passes(one, job, args, kwargs)[0] for one in limits)


def key_text(rule: str, values: Sequence[Any]) -> str:
    """Return the key of a gate for the values of its limit's arguments; none: the limit has one gate."""
    if not values:
        return rule
    value = _text(values[0] if len(values) == 1 else values)
    text = f"{rule}={value}"
    return text if len(text) <= _LONGEST else f"{rule}={hashlib.sha256(value.encode()).hexdigest()}"


def _passes(one: Keyed, job: GatedJob, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Pass]:
    rule, kind, terms, per_tenant, pickers, cost, _ = one
    values = [picker.pick(args, kwargs) for picker in pickers]
    if per_tenant:
        values.insert(0, job.tenant)
    spent = cost if isinstance(cost, int) else _cost(cost.pick(args, kwargs), one, job)
    return _alone(key_text(rule, values), rule, kind, terms, spent)


@lru_cache(maxsize=10_000)
def _alone(key: str, rule: str, kind: Kind, terms: str, cost: int) -> tuple[Pass]:
    """Return the one pass of a job. Jobs share it: each object that lives as long as a job has garbage looked for."""
    return (Pass(key, rule, kind, terms, cost),)


def _cost(value: Any, one: Keyed, job: GatedJob) -> int:
    if is_count(value, MOST_TOKENS):
        return value
    msg = f"limit {one.rule!r} takes its cost from an argument of {job.name!r}, which is {value!r:.80}: no whole number"
    raise ConfigError(f"{msg} from 1 to {MOST_TOKENS:,}; enqueue the job with one")


def _arguments(job: GatedJob) -> tuple[Sequence[Any], Mapping[str, Any]]:
    try:
        return load_plain(job.args)
    except ArgumentsError as error:
        raise ConfigError(str(error)) from None


def _text(value: Any) -> str:
    if type(value) is int or (isinstance(value, str) and _is_plain(value)):
        return str(value)
    # What is equal in Python, as 1 and 1.0, is one key.
    return _encode(int(value) if isinstance(value, float) and value.is_integer() else value).decode()


def _is_plain(value: str) -> bool:
    return value.isprintable() and value not in _WORDS and not value.startswith(_STARTS)
