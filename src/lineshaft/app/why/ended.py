"""How a finished job ended."""

from __future__ import annotations

from lineshaft.app.why.situation import Situation
from lineshaft.app.why.wording import behind, error_facts, failure, last_error
from lineshaft.clock import to_datetime
from lineshaft.explaining import Hold
from lineshaft.transitions import MOVES, Reason, State


def ended(known: Situation) -> Hold:
    """Say how the job ended, and how to have it tried again."""
    row, state = known.job.row, known.state
    assert row.finished_at is not None, "a finished job has the time of its end"
    error = last_error(row.errors) if state is State.DEAD else None
    facts = {"finished_at": to_datetime(row.finished_at), "attempt": row.attempt, "reason": row.reason}
    cure = f"lineshaft jobs retry {row.id}" if state in MOVES["revive"][0] else None
    told = DROPPED if row.reason == Reason.DROPPED else TEXTS[state]
    text = told.format(at=behind(row.finished_at, known.now), reason=row.reason, attempt=row.attempt)
    if error:
        text = f"{text}: attempt {error.attempt} failed with {failure(error)}"
    return Hold(state.value, text, cure=cure, facts=facts | error_facts(error))


DROPPED = "It was cancelled at {at} to make room for a newer one: its queue was full, and has on_full='drop_oldest'"
TEXTS = {
    State.COMPLETED: "It completed with attempt {attempt} at {at}",
    State.DEAD: "It is dead since {at}, reason {reason}",
    State.CANCELLED: "It was cancelled at {at}",
    State.SKIPPED: "It was skipped at {at}",
    State.EXPIRED: "It expired at {at}: its deadline passed before it had started",
}
