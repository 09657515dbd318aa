"""`app.limits`: listing the limits that a store knows, and changing them while workers run."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lineshaft.app.crossing import twin
from lineshaft.app.limits.changes import overrides_after
from lineshaft.app.limits.course import LimitChange, course_reader
from lineshaft.app.limits.limit import Limit, LimitKey, limit_of
from lineshaft.clock import to_datetime
from lineshaft.errors import LimitNotFound
from lineshaft.features.adaptive.aimd import within
from lineshaft.features.adaptive.kind import load_learnt, terms_of
from lineshaft.features.limits.lines import holders
from lineshaft.features.limits.rate import RateKind
from lineshaft.options import UNSET
from lineshaft.store.gates import read_gates
from lineshaft.store.rules import (
    Occupancy,
    Rule,
    gates_of_rule,
    list_rules,
    lock_rule,
    occupancy,
    override_rule,
    read_rules,
)

if TYPE_CHECKING:
    from datetime import datetime

    from lineshaft.app.store import Store
    from lineshaft.engines.base import Tx
    from lineshaft.gates import Gate

_MOST_KEYS: Final = 100
_MOST_JOBS: Final = 10
_MOST_NAMES: Final = 10


class Limits:
    """The limits of a store: those that the code of its workers declares. Breakers are `app.breakers`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> list[Limit]:
        """Return all limits by name, with how busy they are.

        Of each, 1,000 gates are looked at and some 10,000 jobs of their lines: it costs no more than that.
        """
        return self._store.read(lambda tx: [limit_of(rule, _busy(tx, rule)) for rule in _limits(tx)])

    def get(self, name: str) -> Limit:
        """Return one limit, with its 100 busiest gates; raises `LimitNotFound`."""

        def read(tx: Tx) -> Limit:
            rule = _found(tx, read_rules(tx, [name]).get(name), name)
            busy = _busy(tx, rule)
            return limit_of(rule, busy, self._busiest(tx, rule, busy))

        return self._store.read(read)

    def update(
        self,
        name: str,
        *,
        limit: int = UNSET,
        rate: str = UNSET,
        burst: int | None = UNSET,
        low: int = UNSET,
        high: int = UNSET,
    ) -> Limit:
        """Change a limit for all workers, from their next claim on, and return it.

        `limit` is that of a `Concurrency`; `rate`, such as `"100/m"`, and `burst` (None: the default) those of a
        `Rate`; `low` and `high` the bounds of an `Adaptive`. What is not said stays. It stays through deploys, until
        `reset`. Running jobs go on when the limit is lowered: nobody else starts until there are fewer. Raises
        `LimitNotFound`, and `ConfigError` for what the limit cannot be.
        """
        given = {"limit": limit, "rate": rate, "burst": burst, "low": low, "high": high}
        said = {option: value for option, value in given.items() if value is not UNSET}
        return self._change(name, lambda rule: overrides_after(rule, said))

    def reset(self, name: str) -> Limit:
        """Have a limit be as the code says again, and return it; raises `LimitNotFound`."""
        return self._change(name, lambda _: None)

    def course(self, key: str, *, since: datetime | None = None, limit: int = 1_000) -> builtins.list[LimitChange]:
        """Return how a limit that learns has moved, the oldest change first: up to the last `limit` of them.

        `key` is one of `LimitKey.key`: the limit's name, with `=value` behind it where it has a key; `since` an aware
        time. Changes are kept for 7 days, one a second at most. Raises `LimitNotFound` for a name that is unknown.
        """
        read = course_reader(key, since, limit)

        def found(tx: Tx) -> builtins.list[LimitChange]:
            name = key.partition("=")[0]
            _found(tx, read_rules(tx, [name]).get(name), name)
            return read(tx)

        return self._store.read(found)

    alist = twin(list)
    aget = twin(get)
    aupdate = twin(update)
    areset = twin(reset)
    acourse = twin(course)

    def _change(self, name: str, change: Callable[[Rule], str | None]) -> Limit:
        now = self._store.engine.clock.now()

        def write(tx: Tx) -> Limit:
            rule = _found(tx, lock_rule(tx, name), name)
            rule = rule._replace(overrides=change(rule))
            override_rule(tx, name, rule.overrides, now=now)
            return limit_of(rule, _busy(tx, rule))

        return self._store.write(lambda tx, _: write(tx))

    def _busiest(self, tx: Tx, rule: Rule, busy: Sequence[Occupancy]) -> builtins.list[LimitKey]:
        chosen = sorted(busy, key=lambda one: (-one.held - one.waiting, one.key))[:_MOST_KEYS]
        gates = read_gates(tx, [one.key for one in chosen])
        now = self._store.engine.clock.now()
        free_at, learnt = partial(_free_at, rule, now=now), partial(_learnt, rule, now=now)
        return [_limit_key(tx, one, free_at(gates.get(one.key)), learnt(gates.get(one.key))) for one in chosen]


def _limits(tx: Tx) -> list[Rule]:
    return [rule for rule in list_rules(tx) if rule.kind != "breaker"]


def _found(tx: Tx, rule: Rule | None, name: str) -> Rule:
    if rule is not None and rule.kind != "breaker":
        return rule
    known = [one.name for one in _limits(tx)]
    shown = ", ".join(known[:_MOST_NAMES]) + (", …" if len(known) > _MOST_NAMES else "")
    msg = f"no limit is named {name!r}; known are: {shown or 'none, for no worker has started that declares one'}"
    raise LimitNotFound(msg)


def _busy(tx: Tx, rule: Rule) -> list[Occupancy]:
    return occupancy(tx, gates_of_rule(tx, rule.name))


def _free_at(rule: Rule, gate: Gate | None, now: int) -> int | None:
    if rule.kind != "rate" or gate is None:
        return None
    free_at = RateKind().judge(gate, rule.declared, now).free_at
    return free_at if free_at > now else None


def _learnt(rule: Rule, gate: Gate | None, now: int) -> int | None:
    if rule.kind != "adaptive":
        return None
    terms = terms_of(rule.declared, rule.overrides, rule.declared)
    return within(load_learnt(None if gate is None else gate.state, terms), terms, now).learnt.limit


def _limit_key(tx: Tx, one: Occupancy, free_at: int | None, learnt: int | None) -> LimitKey:
    jobs: tuple[Any, ...] = tuple(held.id for held in holders(tx, one.key, _MOST_JOBS)) if one.held else ()
    return LimitKey(one.key, one.held, one.waiting, jobs, None if free_at is None else to_datetime(free_at), learnt)
