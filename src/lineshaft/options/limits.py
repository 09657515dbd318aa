"""How many jobs may run at once, how often, and in which order: as a task or a job says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from lineshaft.clock import SECOND, Duration, to_micros
from lineshaft.counts import is_count
from lineshaft.errors import ConfigError
from lineshaft.gcra import usual_burst
from lineshaft.options.refusals import check_name, refused

Key = str | Sequence[str] | None
"""One argument or several, by name; a dot leads into one: `"order.customer_id"`."""

_RATE: Final = re.compile(r"\s*(\d+)\s*/\s*(\S+)\s*")
_MOST_AT_ONCE: Final = 5_000
"""Each decision reads who holds the places of the gate: with more, that would cost more than the jobs."""
MOST_TOKENS: Final = 1_000_000
_PLACES_OF: Final = "app.queues.update(NAME, concurrency={})"


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Lets up to `limit` jobs run at once, over all workers of the store.

    `key` names the argument, or several, whose values have that many places each. `per_tenant` gives each tenant its
    own. Tasks that say the same `name` share the places; without it they are the task's own. `ordered`, with a limit
    of 1, is `Order`. Raises `ConfigError`, naming the place and the option, when one is wrong.
    """

    limit: int
    key: Key = None
    name: str | None = None
    per_tenant: bool = False
    ordered: bool = False

    def __post_init__(self) -> None:
        if not is_count(self.limit):
            raise refused(f"limit={self.limit!r} of Concurrency must be a whole number from 1 to {_MOST_AT_ONCE:,}")
        if self.limit > _MOST_AT_ONCE:
            raise refused(
                f"limit={self.limit} of Concurrency is over {_MOST_AT_ONCE:,}: to see who holds its places would cost "
                f"more than the jobs; limit their queue instead, {_PLACES_OF.format(self.limit)}"
            )
        _check_rest(self)
        _check_bool(self, "ordered")
        if self.ordered and self.limit != 1:
            raise refused(
                f"limit={self.limit} of Concurrency beside ordered=True: jobs that run at once have no order; "
                "give limit=1, or leave ordered out"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments whose values have places of their own."""
        return _names(self.key)

    def rule(self, task: str) -> str:
        """Return the name of its rule for a task of this name."""
        return _rule(self, task)

    def terms(self) -> str:
        """Return what it says, as JSON in one spelling."""
        return _json(ConcurrencyTerms(self.limit, self.names, self.per_tenant))

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return _dumped(self)


@dataclass(frozen=True, slots=True)
class Order:
    """Runs jobs strictly one after the other, in the order in which they were enqueued.

    A job that waits for its time or for another attempt holds those behind it. `key` names the argument, or several,
    whose values have an order each; `per_tenant`: each tenant has; `name` is shared by tasks whose jobs are in one
    order. Raises `ConfigError`, naming the place and the option, when one is wrong.
    """

    key: Key = None
    name: str | None = None
    per_tenant: bool = False

    def __post_init__(self) -> None:
        _check_rest(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments whose values have an order each."""
        return _names(self.key)

    def rule(self, task: str) -> str:
        """Return the name of its rule for a task of this name."""
        return _rule(self, task)

    def terms(self) -> str:
        """Return what it says, as JSON in one spelling."""
        return _json(OrderTerms(self.names, self.per_tenant))

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return _dumped(self)


@dataclass(frozen=True, slots=True)
class Rate:
    """Lets jobs start so often: `count` tokens come in each `per` (a duration), and each job takes `cost` of them.

    `burst` tokens at most are saved up while none is wanted (default: those of one job and of 0.1 s; those of one job
    where a token takes over 10 s to come). `cost` is a whole number, or names the argument that says it. `key`, `name`
    and `per_tenant` as in `Concurrency`. In any time jobs take at most the burst and what comes in that time; a single
    one that costs more than the burst waits until all of it is there, and those behind it until its debt is paid.
    Raises `ConfigError`, naming the place and the option, when one is wrong.
    """

    count: int
    per: Duration
    key: Key = None
    burst: int | None = None
    cost: int | str = 1
    name: str | None = None
    per_tenant: bool = False

    def __post_init__(self) -> None:
        for option, value in (("count", self.count), ("burst", 1 if self.burst is None else self.burst)):
            if not is_count(value, MOST_TOKENS):
                raise refused(f"{option}={value!r} of Rate must be a whole number from 1 to {MOST_TOKENS:,}")
        self._check_per()
        self._check_cost()
        _check_rest(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments whose values have tokens of their own."""
        return _names(self.key)

    @property
    def interval(self) -> int:
        """`per` in microseconds."""
        return _micros(self.per)

    def rule(self, task: str) -> str:
        """Return the name of its rule for a task of this name."""
        return _rule(self, task)

    def terms(self) -> str:
        """Return what it says, as JSON in one spelling; durations in microseconds."""
        cost = self.cost if isinstance(self.cost, int) else None
        return _json(RateTerms(self.count, self.interval, self.burst, cost, self.names, self.per_tenant))

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**_dumped(self), "per": self.interval / SECOND}

    def _check_per(self) -> None:
        micros = _micros(self.per)
        if micros == 0:
            raise refused(f"per={self.per!r} of Rate is no time at all; give a longer one such as '1m'")
        if self.count > micros:
            raise refused(f"count={self.count} of Rate in {self.per!r} is over one a microsecond; leave the rate out")

    def _check_cost(self) -> None:
        if isinstance(self.cost, str):
            _check_path("cost", self.cost, "Rate")
        elif not is_count(self.cost, MOST_TOKENS):
            raise refused(f"cost={self.cost!r} of Rate must be a whole number from 1, or the name of an argument")
        elif self.burst is not None and self.cost > self.burst:
            raise refused(
                f"cost={self.cost} of Rate is over burst={self.burst}, so each job would owe tokens; "
                f"give burst={self.cost} or more"
            )


class ConcurrencyTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules places in the store; `key` and `per_tenant` are for people."""

    limit: int
    key: tuple[str, ...] = ()
    per_tenant: bool = False


class OrderTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules an order in the store: all of it is for people."""

    key: tuple[str, ...] = ()
    per_tenant: bool = False


class RateTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules a rate in the store; `per` in microseconds, `cost` None where each job says its own."""

    count: int
    per: int
    burst: int | None = None
    cost: int | None = 1
    key: tuple[str, ...] = ()
    per_tenant: bool = False

    @property
    def most(self) -> int:
        """How many tokens are saved up."""
        return self.burst or usual_burst(self.count, self.per, self.cost or 1)


def parsed_rate(text: str) -> tuple[int, str]:
    """Return the count and the duration of a rate such as `"100/m"` or `"5/10s"`; raises `ConfigError`."""
    found = _RATE.fullmatch(text)
    if found is not None:
        per = found[2] if found[2][0].isdigit() else f"1{found[2]}"
        try:
            if to_micros(per):
                return int(found[1]), per
        except ConfigError:
            pass
    raise refused(
        f"rate={text!r} is no rate; write how many in which time, such as '100/m', '10/s' or '5/30s' "
        "(units ms, s, m, h, d, w)"
    )


def check_key(key: Any, what: str) -> None:
    """Raise `ConfigError` unless this names one argument, or several, or is None."""
    if key is None:
        return
    is_list = isinstance(key, list | tuple)
    names: tuple[Any, ...] = tuple(key) if is_list else (key,)
    if callable(key) or not names or not all(isinstance(one, str) for one in names):
        raise refused(f"key={key!r} of {what} must name one argument or several, such as 'customer_id'")
    for one in names:
        _check_path("key", one, what)
    if len(set(names)) < len(names):
        raise refused(f"key={key!r} of {what} names an argument twice")


def _check_rest(limit: Concurrency | Order | Rate) -> None:
    what = type(limit).__name__
    check_key(limit.key, what)
    if isinstance(limit.key, list):
        object.__setattr__(limit, "key", tuple(limit.key))
    check_name(what, limit.name)
    _check_bool(limit, "per_tenant")


def _check_bool(limit: Any, option: str) -> None:
    value = getattr(limit, option)
    if not isinstance(value, bool):
        raise refused(f"{option}={value!r} of {type(limit).__name__} must be True or False")


def _check_path(option: str, path: str, what: str) -> None:
    if not all(part.isidentifier() for part in path.split(".")):
        raise refused(f"{option}={path!r} of {what} must name an argument, such as 'customer_id' or 'order.customer'")


def _micros(per: Duration) -> int:
    try:
        return to_micros(per, "per")
    except ConfigError as error:
        raise refused(str(error)) from None


def _names(key: Key) -> tuple[str, ...]:
    return () if key is None else (key,) if isinstance(key, str) else tuple(key)


def _rule(limit: Concurrency | Order | Rate, task: str) -> str:
    return limit.name or ".".join((task, type(limit).__name__.lower(), *limit.names))


def _json(terms: msgspec.Struct) -> str:
    return msgspec.json.encode(terms, order="sorted").decode()


def _dumped(limit: Any) -> dict[str, Any]:
    said = {one.name: getattr(limit, one.name) for one in fields(limit) if getattr(limit, one.name) != one.default}
    return {"kind": type(limit).__name__.lower(), **said}
