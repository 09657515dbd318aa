"""Fair queues: jobs take turns by places that are drawn when they are stored, so a claim stays one range of an index.

Start-time fair queueing: whose jobs wait already draws behind them, `step` apart; whoever has none waiting draws where
the queue has come to, and next. All places drawn so are odd: the even one below is for the first job of somebody who
has none waiting, which so goes before all others, and behind such jobs that came before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from lineshaft.engines.base import Tx
from lineshaft.options.fair import UNIT, Fair
from lineshaft.store.queries import Statements

SQL: Final = Statements("turns")

_SLACK: Final = 8 * UNIT
"""How far a queue comes before that is written down: a job that comes back takes it back by no more."""

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Whose(NamedTuple):
    """Whose jobs take turns, among those of one priority in one queue."""

    queue: str
    rank: int
    key: str


class Wanted(NamedTuple):
    """How many turns somebody wants, and how far apart."""

    step: int
    jobs: int


Turns = Mapping[Whose, Iterator[int]]

_NONE: Final[Iterator[int | None]] = repeat(None)


def fair_settings(tx: Tx, queues: Collection[str]) -> dict[str, Fair]:
    """Return those of the queues that are fair, with whose turns they take."""
    rows = tx.run(SQL.fair_settings, {}, [{"queue": name} for name in sorted(queues)])
    return {name: fair_of(flow) for name, flow in rows}


def fair_of(flow: str) -> Fair:
    """Return what the settings of a fair queue say of turns."""
    return Fair.load(_decode(flow)["fair"])


def take_turns(tx: Tx, wanted: Mapping[Whose, Wanted], *, now: int, is_apart: bool = False) -> Turns:
    """Draw turns, each a place in a queue; none for queues that are not fair any more.

    They are kept from others until the transaction ends: in one that may last draw them `is_apart`, in a transaction of
    their own. What is drawn and not used leaves a gap that nobody sees.
    """
    rows = [{**whose._asdict(), **one._asdict()} for whose, one in sorted(wanted.items())]
    drawn = tx.run(SQL.take_turns, {"now": now, "slack": _SLACK, "is_apart": is_apart}, rows)
    return {(whose := Whose(*row[:3])): _places(row[3], wanted[whose].step, is_first=row[4]) for row in drawn}


def turns_for(jobs: Iterable[Whose], fair: Mapping[str, Fair]) -> dict[Whose, Wanted]:
    """Return what to draw for jobs of these queues, a turn each."""
    counts = Counter(jobs)
    return {whose: Wanted(fair[whose.queue].step(whose.key), number) for whose, number in counts.items()}


def promote_fair(tx: Tx, now: int, limit: int) -> int:
    """Let jobs of fair queues that have fallen due draw their turns, in the order of their times; return how many."""
    due = sorted(tx.run(SQL.lock_due, {"now": now, "limit": limit}), key=itemgetter(1, 0))
    if not due:
        return 0
    whose = [Whose(*row[2:]) for row in due]
    fair = fair_settings(tx, {one.queue for one in whose})
    wanted = turns_for((one for one in whose if one.queue in fair), fair)
    turns: Turns = take_turns(tx, wanted, now=now) if wanted else {}
    placed = [{"id": row[0], "turn": next(turns.get(one, _NONE))} for row, one in zip(due, whose, strict=True)]
    return int(tx.run(SQL.set_turns, {}, placed)[0][0])


def _places(start: int, step: int, *, is_first: bool) -> Iterator[int]:
    if is_first:
        yield start - 1
        start += step
    yield from count(start, step)
