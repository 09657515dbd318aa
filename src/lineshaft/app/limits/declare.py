"""What a worker does about the limits of its app when it starts: the store knows them then as the code says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lineshaft.features.limits.keys import KINDS
from lineshaft.options import Said
from lineshaft.store.rules import Rule, put_rules, read_rules

if TYPE_CHECKING:
    from lineshaft.app.store import Store


def declare_limits(store: Store, declared: Mapping[str, Said]) -> None:
    """Write the rules of limits that the store does not know like this; one read when it knows them all.

    The last start wins: apps that share a limit say it alike.
    """
    if not declared:
        return
    known = store.read(lambda tx: read_rules(tx, declared.keys()))
    wanted = list(_out_of_line(declared, known))
    if wanted:
        now = store.engine.clock.now()
        store.write(lambda tx, _: put_rules(tx, wanted, now=now))


def _out_of_line(declared: Mapping[str, Said], known: Mapping[str, Rule]) -> Iterator[Rule]:
    for name, said in declared.items():
        rule, terms = known.get(name), said.limit.terms()
        kind = KINDS[type(said.limit)]
        if rule is None or (not said.is_reference and (rule.kind, rule.declared) != (kind, terms)):
            yield Rule(name, kind, terms)
