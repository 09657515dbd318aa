"""What limits of its whole queue hold a waiting job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from lineshaft.app.flows import rate_text
from lineshaft.app.why.situation import Situation
from lineshaft.app.why.wording import ahead, counted
from lineshaft.clock import to_datetime
from lineshaft.explaining import Hold
from lineshaft.store.grants import Flow, Holder, QueueRate

_LONGEST = 5


def limited(known: Situation, flow: Flow, tat: int, holders: Sequence[Holder]) -> Iterator[Hold]:
    """Yield which limits of its queue are used up; `tat` is that of the queue's rate."""
    if flow.concurrency is not None and sum(one.places for one in holders) >= flow.concurrency:
        yield _full(known, flow.concurrency, holders)
    if flow.rate is not None and flow.rate.tokens.are_left(tat, known.now) < 1:
        yield _early(known, flow.rate, tat)


def _full(known: Situation, limit: int, holders: Sequence[Holder]) -> Hold:
    queue = known.job.row.queue
    most = sorted(holders, key=lambda one: (-one.places, one.worker))
    told = [f"{one.places:,} with worker {one.worker}" for one in most[:_LONGEST]]
    rest = sum(one.places for one in most[_LONGEST:])
    if rest:
        told.append(f"{rest:,} with {counted(len(most) - _LONGEST, 'other')}")
    places = "the only place is" if limit == 1 else f"all {limit:,} places are"
    text = f"Its queue {queue!r} runs {counted(limit, 'job')} at once over all workers, and {places} taken"
    facts = {
        "queue": queue,
        "concurrency": limit,
        "holders": [{"worker": one.worker, "places": one.places} for one in most],
    }
    cure = f"lineshaft queues update {quote(queue)} --concurrency N"
    return Hold("queue-limit", f"{text}: {', '.join(told)}", cure=cure, facts=facts)


def _early(known: Situation, rate: QueueRate, tat: int) -> Hold:
    queue, free_at = known.job.row.queue, rate.tokens.free_at(tat, 1)
    text = f"Its queue {queue!r} starts {rate_text(rate)} over all workers; the next one at {ahead(free_at, known.now)}"
    facts = {"queue": queue, "rate": rate_text(rate), "burst": rate.tokens.burst}
    cure = f"lineshaft queues update {quote(queue)} --rate N/TIME"
    return Hold("queue-rate", text, until=to_datetime(free_at), cure=cure, facts=facts)
