"""Forgetting limits that learn and that nobody uses any more, and their courses of long ago."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from lineshaft.clock import DAY, MINUTE
from lineshaft.features.adaptive.aimd import Learnt
from lineshaft.store.course import prune_course
from lineshaft.store.queries import Statements

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.feature import Write

SQL: Final = Statements("adaptive", "lineshaft.features.adaptive")

KEPT: Final = DAY
"""For how long a limit is remembered that nothing is heard of."""
_CHUNK: Final = 500

_decode: Final = msgspec.json.Decoder(Learnt, strict=True).decode


def tidy(write: Write, now: int) -> None:
    """Go through all of them, a part in each transaction."""
    after: str | None = ""
    while after is not None:
        after = write(partial(forget_learnt, now=now, after=after))
    place: tuple[str, int] | None = ("", 0)
    while place is not None:
        place = write(partial(prune_course, now=now, after=place))


def forget_learnt(tx: Tx, *, now: int, after: str) -> str | None:
    """Look at a part of the gates behind a key, forget what those have learnt that rest for a day, and return the last.

    None: all have been looked at.
    """
    found = [(row[0], row[1]) for row in tx.run(SQL.part_of_learnt, {"after": after, "limit": _CHUNK})]
    idle = [{"key": key, "state": state} for key, state in found if state and _is_idle(state, now)]
    if idle:
        tx.run(SQL.forget_learnt, {}, idle)
    return found[-1][0] if len(found) == _CHUNK else None


def _is_idle(state: str, now: int) -> bool:
    try:
        learnt = _decode(state)
    except msgspec.MsgspecError:  # of a gate of another kind
        return False
    heard = (at * MINUTE for at, _ in learnt.lows)
    return max(learnt.told_at, learnt.cut_at or 0, *heard, 0) < now - KEPT
