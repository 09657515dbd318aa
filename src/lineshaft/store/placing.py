"""Storing new jobs where they stand: in the line of a gate, in a strict order, or at a turn of a fair queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from lineshaft.gates import NOWHERE
from lineshaft.store.depth import Dropping
from lineshaft.store.enqueue import NewRow, TurnsNeededError, insert_jobs
from lineshaft.store.turns import Turns, Wanted, Whose, fair_settings, take_turns, turns_for
from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.feature import Incoming
    from lineshaft.options import Fair

Draw = Callable[["Tx", Mapping[Whose, Wanted], int], Turns]
"""Draws turns, in the transaction that stores the jobs or in another."""


def draw_here(tx: Tx, wanted: Mapping[Whose, Wanted], now: int) -> Turns:
    """Draw turns in the transaction itself, which has to be a short one."""
    return take_turns(tx, wanted, now=now)


def store_incoming(
    tx: Tx,
    jobs: Sequence[Incoming],
    now: int,
    *,
    is_resend: bool = False,
    is_limited: bool = True,
    dropping: Dropping | None = None,
    draw: Draw = draw_here,
) -> Mapping[str, Fair]:
    """Store those of the jobs that no other one stands for, as `insert_jobs` does, and return the queues found fair.

    Where a job stands already (`Incoming.placed`) counts; jobs of fair queues that have no turn draw one.
    """
    new = [one for one in jobs if one.existing_id is None]
    if not new:
        return {}
    rows = cast("list[NewRow]", [one.row for one in new])
    fair: dict[str, Fair] = {}
    for has_turns in (True, False):
        try:
            insert_jobs(
                tx,
                rows,
                is_resend=is_resend,
                is_limited=is_limited,
                dropping=dropping,
                placed={one.row["id"]: one.placed for one in new if one.placed is not None},
                has_turns=has_turns,
            )
            break
        except TurnsNeededError as needed:
            fair = fair_settings(tx, needed.queues)
            place_in_turn(new, fair, lambda wanted: draw(tx, wanted, now))
    return fair


def place_in_turn(
    jobs: Sequence[Incoming], fair: Mapping[str, Fair], draw: Callable[[Mapping[Whose, Wanted]], Turns]
) -> None:
    """Note where jobs of fair queues stand that have no turn; those that are to run later draw theirs then."""
    new = [
        (one, _whose(one, fair[one.row["queue"]])) for one in jobs if one.row["queue"] in fair and not _has_turn(one)
    ]
    ready = [whose for one, whose in new if one.row["stage"] == Stage.READY]
    turns: Turns = draw(turns_for(ready, fair)) if ready else {}
    for one, whose in new:
        place = (one.placed or NOWHERE)._replace(fair=whose.key)
        if one.row["stage"] != Stage.READY:
            one.placed = place
        elif whose in turns:  # else the queue is fair no more
            one.placed = place._replace(turn=next(turns[whose]))


def _has_turn(one: Incoming) -> bool:
    return one.placed is not None and one.placed.fair is not None


def _whose(one: Incoming, fair: Fair) -> Whose:
    row = one.row
    return Whose(row["queue"], row["rank"], fair.whose(row["tenant"], one.fair_text))
