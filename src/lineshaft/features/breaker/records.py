"""What the store knows of circuit breakers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from lineshaft.engines.base import Tx
from lineshaft.features.breaker.kind import PREFIX, moved_news
from lineshaft.features.breaker.moves import ByHand, Phase, State, by_hand, dump_state, load_state, rested, terms_of
from lineshaft.gates import News
from lineshaft.options import BreakerTerms
from lineshaft.store.gates import lock_and_read
from lineshaft.store.queries import Statements

SQL: Final = Statements("breaker", "lineshaft.features.breaker")

MOST_COUNTED: Final = 10_000
"""So many waiting jobs are counted, no more."""


class StoredBreaker(NamedTuple):
    """A breaker as the store knows it."""

    name: str
    terms: BreakerTerms
    state: State
    waiting: int
    """How many jobs stand in its line, counted to `MOST_COUNTED`."""
    is_declared: bool
    """Whether the code that last started a worker names it."""


def open_breakers(tx: Tx) -> frozenset[str]:
    """Return the keys of the breakers that jobs cannot simply pass."""
    states = ((key, load_state(state)) for key, state in tx.run(SQL.breaker_states, {}))
    return frozenset(key for key, state in states if state.phase not in (Phase.CLOSED, Phase.FORCED_CLOSED))


def list_breakers(tx: Tx, now: int, named: Iterable[str] = ()) -> list[StoredBreaker]:
    """Return the breakers that are `named`, that code declares or that were ever used, by name.

    They are as they would decide now.
    """
    rows: dict[str, tuple[str | None, str | None, int]] = {PREFIX + name: (None, None, 0) for name in named}
    rows |= {name: (declared, None, 0) for name, declared in tx.run(SQL.declared_breakers, {})}
    for key, declared, state, waiting in tx.run(SQL.list_breakers, {}):
        rows[key] = (declared, state, waiting)
    return [_breaker(key, *rows[key], now) for key in sorted(rows)]


def move_breaker(tx: Tx, name: str, move: ByHand, now: int) -> News | None:
    """Move a breaker by hand and return what is told of that, if anything; one that was never used is made."""
    key = PREFIX + name
    gate = lock_and_read(tx, {key: key})[key]
    before = load_state(gate.state)
    after = by_hand(before, move, now)
    if after != before:
        tx.run(SQL.set_breaker, {"key": key, "state": dump_state(after), "now": now})
    return moved_news(key, key, before, after, now, f"{move} by hand")


def _breaker(key: str, declared: str | None, text: str | None, waiting: int, now: int) -> StoredBreaker:
    state = load_state(text)
    terms = terms_of(declared, state)
    name = key.removeprefix(PREFIX)
    return StoredBreaker(name, terms, rested(state, terms, now), waiting, is_declared=declared is not None)
