"""The rules of limits: what code declares of them, what people change, and how busy their gates are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.gates import Kind
from lineshaft.store.queries import Statements

SQL: Final = Statements("rules")

_PAGE: Final = 1_000
_FARTHEST: Final = 10_000
_LEAST: Final = 100


class Rule(NamedTuple):
    """A limit that the store knows."""

    name: str
    kind: Kind
    declared: str
    """What the code said that last started a worker, as JSON."""
    overrides: str | None = None
    """What a person changed, as JSON."""
    updated_at: int = 0


class Occupancy(NamedTuple):
    """How busy a gate is."""

    key: str
    held: int
    """Jobs inside that workers hold."""
    waiting: int
    """Jobs in its line, counted to a bound."""


def list_rules(tx: Tx) -> list[Rule]:
    """Return all rules by name."""
    found: list[Rule] = []
    after, is_more = "", True
    while is_more:
        page = [Rule._make(row) for row in tx.run(SQL.list_rules, {"after": after, "limit": _PAGE})]
        found += page
        is_more = len(page) == _PAGE
        after = found[-1].name if found else ""
    return found


def read_rules(tx: Tx, names: Collection[str]) -> dict[str, Rule]:
    """Return those of the rules that there are, by name."""
    found = (Rule._make(row) for row in tx.run(SQL.read_rules, {"names": list(names)}))
    return {rule.name: rule for rule in found}


def lock_rule(tx: Tx, name: str) -> Rule | None:
    """Return a rule, which nobody else changes until the transaction ends; None: there is none of this name."""
    rows = tx.run(SQL.lock_rule, {"name": name})
    return Rule._make(rows[0]) if rows else None


def put_rules(tx: Tx, rules: Iterable[Rule], *, now: int) -> None:
    """Write what the code declares; what a person changed stays, unless the limit is of another kind from now on."""
    ordered = sorted(rules)
    rows = [{"name": one.name, "kind": one.kind, "declared": one.declared, "updated_at": now} for one in ordered]
    tx.run(SQL.put_rules, {}, rows)
    wake_gates(tx, [one.name for one in ordered], now)


def override_rule(tx: Tx, name: str, overrides: str | None, *, now: int) -> None:
    """Write what a person changed, None: nothing; it counts for the next claim, and jobs that wait are looked at."""
    tx.run(SQL.override_rule, {"name": name, "overrides": overrides, "now": now})
    wake_gates(tx, [name], now)


def wake_gates(tx: Tx, names: Sequence[str], now: int) -> None:
    """Have the gates of these rules looked at as soon as a worker can, where jobs wait."""
    tx.run(SQL.wake_gates, {"rules": list(names), "now": now})


def gates_of_rule(tx: Tx, name: str, limit: int = _PAGE) -> list[str]:
    """Return the keys of up to `limit` gates of a rule, of these those with a line first."""
    found = tx.run(SQL.gates_of_rule, {"name": name, "limit": limit})
    return [key for key, _ in sorted(found, key=lambda row: (bool(row[1]), row[0]))]


def occupancy(tx: Tx, keys: Sequence[str]) -> list[Occupancy]:
    """Return how busy gates are; of each line 10,000 jobs are counted, of many gates fewer, but 100 at least."""
    limit = max(_LEAST, _FARTHEST // max(1, len(keys)))
    return [Occupancy._make(row) for row in tx.run(SQL.occupancy, {"keys": list(keys), "limit": limit})]
