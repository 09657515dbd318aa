"""Who comes before a job of a fair queue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lineshaft.explaining import Hold
from lineshaft.options.fair import NOBODY, UNIT
from lineshaft.store.fairness import Turn, turn_of

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.job import JobRow

_FARTHEST: Final = 10_000
"""How many jobs are looked at: with a million before it, an explanation costs no more."""


def explain(tx: Tx, job: JobRow) -> Iterator[Hold]:
    """Yield what is before a ready job, if its queue is fair and anything is."""
    turn = turn_of(tx, job.id, limit=_FARTHEST + 1)
    if turn is not None and turn.before:
        yield _earlier(job, turn)


def _earlier(job: JobRow, turn: Turn) -> Hold:
    is_more = turn.before > _FARTHEST
    count = min(turn.before, _FARTHEST)
    jobs = "1 job" if count == 1 else f"{count:,} jobs"
    whose = f"of {turn.others:,} other{'' if turn.others == 1 else 's'}" if turn.others else "of its own"
    text = f"Its queue {job.queue!r} is fair by {turn.fair.by}, and {'more than ' if is_more else ''}{jobs} {whose}"
    facts = {
        "by": turn.fair.by,
        "of": None if turn.key == NOBODY else turn.key[1:],
        "weight": round(UNIT / turn.fair.step(turn.key)),
        "place": turn.place,
        "before": count,
        "is_more": is_more,
        "others": turn.others,
    }
    return Hold("turn", f"{text} {'has' if count == 1 else 'have'} earlier turns", facts=facts)
