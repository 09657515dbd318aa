"""What a waiting job itself waits for: its time, its deadline, a task that is known."""

from __future__ import annotations

from collections.abc import Iterator

from lineshaft.app.why.running import START_A_WORKER
from lineshaft.app.why.situation import Situation
from lineshaft.app.why.wording import DEPLOY, ahead, behind, error_facts, failure, last_error, moment
from lineshaft.clock import to_datetime
from lineshaft.explaining import Hold
from lineshaft.transitions import UNKNOWN_PATIENCE, Stage


def is_overdue(known: Situation) -> bool:
    """Tell whether the job will never start, since its deadline has passed."""
    row = known.job.row
    is_retrying = row.stage == Stage.RETRYING
    return row.deadline is not None and row.deadline <= known.now and known.is_untried and not is_retrying


def overdue(known: Situation) -> Hold:
    """Say that the job is about to expire."""
    row = known.job.row
    assert row.deadline is not None, "without a deadline none has passed"
    who = "a live worker ends it with its next heartbeat" if known.live else "the next worker that starts ends it"
    text = f"Its deadline passed at {behind(row.deadline, known.now)} and it had not started: {who}, as expired"
    facts = {"deadline": to_datetime(row.deadline)}
    return Hold("deadline-passed", text, cure=None if known.live else START_A_WORKER, facts=facts)


def own(known: Situation) -> Iterator[Hold]:
    """Yield what of the job itself keeps it waiting."""
    row = known.job.row
    if row.cancel_requested:
        yield Hold("cancel-requested", "It was asked to stop while it ran: the worker that claims it next cancels it")
    if known.job.unknown_since is not None and row.stage != Stage.RETRYING:
        yield _unknown(known, known.job.unknown_since)
    elif not known.is_due:
        yield _retrying(known) if row.stage == Stage.RETRYING else _not_due(known)


def notes(known: Situation) -> Iterator[Hold]:
    """Yield what holds nothing by itself and still decides how it goes on."""
    row = known.job.row
    if known.job.is_isolated:
        text = (
            "A worker was lost under it: its next attempt runs alone in a child process, one such job after the "
            "other in each worker's queue"
        )
        yield Hold("isolated", text)
    if row.deadline is not None and row.deadline > known.now and known.is_untried:
        when = to_datetime(row.deadline)
        text = f"It expires at {ahead(row.deadline, known.now)} unless it has started by then"
        yield Hold("deadline", text, when, facts={"deadline": when})


def _unknown(known: Situation, since: int) -> Hold:
    row, ends = known.job.row, since + UNKNOWN_PATIENCE
    until = None if known.is_due else row.run_at
    again = "is to be claimed again" if until is None else f"is put back until {ahead(until, known.now)}"
    dead = f"at {ahead(ends, known.now)}" if ends > known.now else "with that claim"
    what = f"did not know the task {row.name!r}, or not all that this job asks for"
    text = f"A worker that claimed it {what}: it {again}, and dead {dead} if none does"
    facts = {"task": row.name, "since": to_datetime(since), "rejected_at": to_datetime(ends)}
    return Hold("unknown-task", text, moment(until), DEPLOY, facts)


def _retrying(known: Situation) -> Hold:
    row, error = known.job.row, last_error(known.job.row.errors)
    because = f" because attempt {error.attempt} failed with {failure(error)}" if error else ""
    text = f"Attempt {row.attempt + 1} of {row.max_attempts} waits until {ahead(row.run_at, known.now)}{because}"
    facts = {"attempt": row.attempt + 1, "max_attempts": row.max_attempts, **error_facts(error)}
    return Hold("retrying", text, to_datetime(row.run_at), facts=facts)


def _not_due(known: Situation) -> Hold:
    row, until = known.job.row, to_datetime(known.job.row.run_at)
    if row.claim == 0:
        text = f"It is scheduled and not due before {ahead(row.run_at, known.now)}"
        return Hold("scheduled", text, until, facts={"run_at": until})
    text = f"It ran and was put back until {ahead(row.run_at, known.now)}: it snoozed, or was given another time"
    return Hold("snoozed", text, until, facts={"run_at": until})
