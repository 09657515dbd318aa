"""What a running job is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from lineshaft.app.why.situation import Member, Situation
from lineshaft.app.why.wording import ahead, behind, moment, span
from lineshaft.clock import to_datetime
from lineshaft.explaining import Hold

START_A_WORKER = "lineshaft --app MODULE:NAME worker"


def running(known: Situation, timeout: int | None) -> Iterator[Hold]:
    """Yield what holds a job that a worker has; `timeout` is that of an attempt in microseconds, if it is known."""
    number = known.job.row.worker
    worker = next((one for one in known.crew if one.id == number), None)
    if worker is None:
        yield _gone(known)
    elif known.is_silent(worker):
        yield _judged(known, worker)
    if known.job.row.cancel_requested:
        yield _cancelling(known)
    yield _running(known, worker, timeout)


def _gone(known: Situation) -> Hold:
    number = known.job.row.worker
    text = f"Its worker {number} is not registered any more; a live worker looks for such jobs once an hour"
    return Hold("worker-gone", text, cure=None if known.live else START_A_WORKER, facts={"worker": number})


def _judged(known: Situation, worker: Member) -> Hold:
    ends = worker.heartbeat_at + known.settings.lease
    text = f"Its {worker} was last heard of {span(known.now - worker.heartbeat_at)} ago and is being judged dead"
    facts = {
        "worker": worker.id, "host": worker.host, "pid": worker.pid, "lease_ends_at": to_datetime(ends),
        "heartbeat_at": to_datetime(worker.heartbeat_at),
    }  # fmt: skip
    if not known.live:
        text += ", but no live worker is there to put the job back"
        return Hold("worker-silent", text, cure=START_A_WORKER, facts=facts)
    if ends <= known.now:
        text += ": its lease is over, and a live worker puts the job back with its next heartbeat"
        return Hold("worker-silent", text, facts=facts)
    text += f": the job is put back within seconds if its process is gone, else when its lease ends, {_at(ends, known)}"
    return Hold("worker-silent", text, to_datetime(ends), facts=facts)


def _at(when: int, known: Situation) -> str:
    return f"at {ahead(when, known.now)}"


def _cancelling(known: Situation) -> Hold:
    asked_at, patience = known.job.cancel_requested_at, known.settings.stop_patience
    when = f" at {behind(asked_at, known.now)}" if asked_at else ""
    text = f"It was asked to stop{when} and has not ended: it hears of that with its worker's next heartbeat"
    facts = {"asked_at": moment(asked_at)}
    if asked_at and known.now - asked_at > patience:
        text = f"It was asked to stop{when} and ignores it: its slot is given to others, and it ends with its own code"
        cure = "Have its loops call current_job().check_cancelled(), or run it in a process: runs_in='process'"
        return Hold("cancelling", text, cure=cure, facts=facts)
    return Hold("cancelling", text, facts=facts)


def _running(known: Situation, worker: Member | None, timeout: int | None) -> Hold:
    row = known.job.row
    started_at = known.now if row.started_at is None else row.started_at
    who = str(worker) if worker else f"worker {row.worker}"
    said = [f"Attempt {row.attempt} of {row.max_attempts} was taken by {who} at {behind(started_at, known.now)}"]
    facts: dict[str, Any] = {
        "worker": row.worker, "host": worker and worker.host, "pid": worker and worker.pid, "attempt": row.attempt,
        "max_attempts": row.max_attempts, "started_at": to_datetime(started_at), "progress": None,
    }  # fmt: skip
    if row.progress:
        fraction, message, _ = msgspec.json.decode(row.progress)
        facts["progress"] = {"fraction": fraction, "message": message}
        said.append(f"is at {fraction:.0%}" + (f" ({message})" if message else ""))
    if known.job.is_isolated:
        said.append("runs alone since a worker was lost under it")
    if worker and worker.is_draining:
        said.append("is the worker's last work, for that is draining")
    until = None if timeout is None else started_at + timeout
    if until is not None:
        said.append(f"times out at {ahead(until, known.now) if until > known.now else behind(until, known.now)}")
    return Hold("running", _listed(said), moment(until), facts=facts)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
