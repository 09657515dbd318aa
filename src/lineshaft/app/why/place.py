"""Where a job stands that may run now: who is before it, and whether a slot is free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from lineshaft.app.why.situation import Member, Situation
from lineshaft.app.why.wording import span
from lineshaft.explaining import Hold
from lineshaft.store.explain import HeldJob

FARTHEST: Final = 10_000
"""How many jobs of a queue are looked at: with a million before it, an explanation costs no more."""
_LONGEST: Final = 3


class Slots(NamedTuple):
    """The slots of a queue, over all its workers."""

    total: int
    free: int


def standing(known: Situation, ahead: int, held: Sequence[HeldJob]) -> Iterator[Hold]:
    """Yield what is before the job; `ahead` and `held` were counted among up to `FARTHEST` jobs and one more."""
    slots = _slots(known, held, is_cut=ahead > FARTHEST)
    if slots.total and not slots.free:
        yield _busy(known, slots, held)
    if ahead:
        yield _behind(known, slots, ahead)


def _slots(known: Situation, held: Sequence[HeldJob], *, is_cut: bool) -> Slots:
    queue, by_worker = known.job.row.queue, Counter(one.worker for one in held)
    free = 0
    for one in known.open:
        here = by_worker[one.id]
        if is_cut:  # those that run may stand behind what was looked at: then the worker's own word counts too
            here = max(here, _said(one, queue))
        free += max(0, min(one.queues[queue] - here, _most(one) - here - _elsewhere(one, queue)))
    return Slots(sum(min(one.queues[queue], _most(one)) for one in known.open), free)


def _most(one: Member) -> int:
    """Return how many jobs the worker runs at once, over all its queues."""
    return one.load.slots or sum(one.queues.values())


def _said(one: Member, queue: str) -> int:
    return one.load.queues[queue].held if queue in one.load.queues else 0


def _elsewhere(one: Member, queue: str) -> int:
    return sum(load.held for name, load in one.load.queues.items() if name != queue)


def _busy(known: Situation, slots: Slots, held: Sequence[HeldJob]) -> Hold:
    longest = sorted(held, key=lambda one: (one.started_at, one.id))[:_LONGEST]
    ran = [f"{one.id} ({one.name}, worker {one.worker}) for {span(known.now - one.started_at)}" for one in longest]
    text = f"The only slot for its queue {known.job.row.queue!r} is busy"
    if slots.total > 1:
        text = f"All {slots.total:,} slots for its queue {known.job.row.queue!r} are busy"
    text += f"; longest runs {', '.join(ran)}" if ran else " with jobs of other queues"
    facts = {
        "slots": slots.total,
        "longest": [
            {"id": one.id, "task": one.name, "worker": one.worker, "seconds": (known.now - one.started_at) / 1_000_000}
            for one in longest
        ],
    }
    return Hold("slots-busy", text, facts=facts)


def _behind(known: Situation, slots: Slots, ahead: int) -> Hold:
    is_cut = ahead > FARTHEST
    count = min(ahead, FARTHEST)
    come = "job comes" if ahead == 1 else "jobs come"
    text = f"{'More than ' if is_cut else ''}{count:,} {come} before it in its queue {known.job.row.queue!r}"
    text += " by priority, then time, then id"
    if slots.total:
        text += f"; free slots: {slots.free:,} of {slots.total:,}"
    facts = {"ahead": count, "is_more": is_cut, "slots": slots.total, "free": slots.free}
    return Hold("jobs-ahead", text, facts=facts)
