"""Whether anybody takes a waiting job: its queue, and the workers that serve it."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from lineshaft.app.why.situation import Situation
from lineshaft.app.why.wording import DEPLOY, behind, counted, span
from lineshaft.clock import to_datetime
from lineshaft.explaining import Hold
from lineshaft.store.explain import Pause


def paused(known: Situation, pause: Pause) -> Hold:
    """Say that the queue is paused, by whom and why."""
    queue = known.job.row.queue
    by, reason = f" by {pause.by}" if pause.by else "", f": {pause.reason}" if pause.reason else ""
    text = f"Its queue {queue!r} is paused since {behind(pause.at, known.now)}{by}{reason}"
    facts = {"queue": queue, "paused_at": to_datetime(pause.at), "paused_by": pause.by, "reason": pause.reason}
    return Hold("paused", text, cure=f"lineshaft queues resume {quote(queue)}", facts=facts)


def unserved(known: Situation) -> Iterator[Hold]:
    """Yield why no worker would take it: none is there, all are ending, or none knows its task."""
    if not known.serving:
        yield _no_worker(known)
    elif not known.open:
        yield _draining(known)
    elif not any(known.job.row.name in one.tasks for one in known.open):
        yield _unknown_to_all(known)


def _start(queue: str) -> str:
    return f"lineshaft --app MODULE:NAME worker --queues {quote(queue)}"


def _no_worker(known: Situation) -> Hold:
    queue = known.job.row.queue
    silent = [one for one in known.crew if queue in one.queues]
    why = "none runs"
    if silent:
        latest = max(silent, key=lambda one: one.heartbeat_at)
        why = f"{latest} does, and was last heard of {span(known.now - latest.heartbeat_at)} ago"
    elif known.live:
        others = sorted({name for one in known.live for name in one.queues})
        why = f"{counted(len(known.live), 'live worker')} for other queues: {', '.join(map(repr, others))}"
    text = f"No live worker takes jobs of its queue {queue!r}: {why}"
    facts = {"queue": queue, "live_workers": len(known.live), "silent": [one.id for one in silent]}
    return Hold("no-worker", text, cure=_start(queue), facts=facts)


def _draining(known: Situation) -> Hold:
    queue, count = known.job.row.queue, len(known.serving)
    who = f"Every one of the {count:,} live workers" if count > 1 else f"The only live worker, number {_ids(known)},"
    text = f"{who} that takes jobs of its queue {queue!r} is draining: it takes no more jobs"
    facts = {"queue": queue, "workers": [one.id for one in known.serving]}
    return Hold("draining", text, cure=_start(queue), facts=facts)


def _ids(known: Situation) -> str:
    return ", ".join(str(one.id) for one in known.serving)


def _unknown_to_all(known: Situation) -> Hold:
    row, count = known.job.row, len(known.open)
    who = f"None of the {count:,} live workers" if count > 1 else f"The only live worker, number {known.open[0].id},"
    verb = "knows" if count > 1 else "does not know"
    text = f"{who} that takes jobs of its queue {row.queue!r} {verb} the task {row.name!r}"
    facts = {"queue": row.queue, "task": row.name, "workers": [one.id for one in known.open]}
    return Hold("unknown-to-workers", text, cure=DEPLOY, facts=facts)
