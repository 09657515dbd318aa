"""What becomes of a job that meets another one of its key: decided here, written elsewhere."""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from lineshaft.errors import UniqueConflictError
from lineshaft.features.unique import pacing
from lineshaft.options import Debounce, Throttle
from lineshaft.options.fair import whose
from lineshaft.transitions import FINAL, State, state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lineshaft.feature import Incoming
    from lineshaft.options import Pace, Unique

WAITING: Final = frozenset({State.SCHEDULED, State.QUEUED, State.RETRYING})
FOREVER: Final = 2**63 - 1
"""`until` of a key that a finished job holds for as long as the history keeps it."""

REPLACED: Final = (
    "args",
    "queue",
    "rank",
    "run_at",
    "stage",
    "max_attempts",
    "deadline",
    "tags",
    "meta",
    "options",
    "context",
)
"""What a job takes from the one that replaces it; id, attempts and errors stay its own."""


class Action(Enum):
    """What is done with a newcomer."""

    STORE = "store"
    SKIP = "skip"
    REPLACE = "replace"


class Holder(NamedTuple):
    """The job that a key belongs to."""

    id: str
    state: State
    created_at: int
    is_waiting: bool
    """Whether it can be replaced: no worker holds it, and nobody asked it to stop."""
    is_stored: bool
    """Whether it was stored before this call."""
    stage: int
    run_at: int
    started_at: int | None
    """When its last attempt began."""


class Answer(NamedTuple):
    """What is done with one newcomer, and who holds the key afterwards."""

    job: Incoming
    action: Action
    holder: Holder | None


def digest(job: Incoming) -> str:
    """Return the key of a job: SHA-256, in hex, over its tenant, its task's name and the arguments that count."""
    text = msgspec.json.encode([job.row["tenant"], job.row["name"], job.unique_text])
    return hashlib.sha256(text).hexdigest()


def place_of(job: Incoming) -> dict[str, str | None]:
    """Return where a job stands that replaces a stored one: in which order, and at whose turn where that counts."""
    return {
        "sequence": None if job.placed is None else job.placed.sequence,
        "turn_of_tenant": whose(job.row["tenant"]),
        "turn_of_key": whose(job.fair_text),
    }


def held_until(job: Incoming) -> int | None:
    """Return when the job, once finished, stops to hold its key; None when it does so at once."""
    rule = _rule(job)
    if isinstance(rule.pace, Throttle):
        return FOREVER  # its start counts, and nobody knows now when that will be
    if isinstance(rule.pace, Debounce):
        return None
    if not rule.counting & FINAL:
        return None
    return FOREVER if rule.window is None else int(job.row["created_at"]) + rule.window


def settle(newcomers: Sequence[Incoming], holder: Holder | None, stored: Collection[str], now: int) -> Iterator[Answer]:
    """Yield what is done with jobs of one key, in order; each meets what the one before it left.

    `stored` are the ids of those that the store has already: resends of an enqueue whose answer was lost.
    Raises `UniqueConflictError` where a newcomer's rule says so.
    """
    for job in newcomers:
        answer = _resent(job, holder, stored) or _meet(job, holder, now)
        holder = answer.holder
        yield answer


def _resent(job: Incoming, holder: Holder | None, stored: Collection[str]) -> Answer | None:
    is_resent = job.row["id"] in stored or (holder is not None and holder.id == job.row["id"])
    return Answer(job, Action.STORE, holder) if is_resent else None


def _meet(job: Incoming, holder: Holder | None, now: int) -> Answer:
    rule = _rule(job)
    if rule.pace is not None:
        return _paced(job, holder, rule.pace, now)
    if holder is None or not _counts(holder, rule, now):
        return Answer(job, Action.STORE, _newborn(job.row))
    if rule.on_conflict == "error":
        raise _conflict(job, holder)
    if rule.on_conflict == "replace" and holder.is_waiting:
        return Answer(job, Action.REPLACE, _moved(holder, job.row["run_at"], job.row["stage"]))
    return Answer(job, Action.SKIP, holder)


def _paced(job: Incoming, holder: Holder | None, pace: Pace, now: int) -> Answer:
    if holder is not None and holder.is_waiting:
        place = pacing.place_of_waiting(holder, job.row["created_at"], pace, now)
        return Answer(job, Action.REPLACE, _moved(holder, *place))
    own = _newborn(job.row)
    return Answer(job, Action.STORE, _moved(own, *pacing.place_of_new(own, holder, pace, now)))


def _moved(holder: Holder, run_at: int, stage: int) -> Holder:
    state = state_of(stage, is_held=False, is_cancel_requested=False)
    return holder._replace(state=state, run_at=run_at, stage=stage)


def _counts(holder: Holder, rule: Unique, now: int) -> bool:
    is_recent = rule.window is None or now - holder.created_at < rule.window
    return is_recent and holder.state in rule.counting


def _newborn(row: dict[str, Any]) -> Holder:
    state = state_of(row["stage"], is_held=False, is_cancel_requested=False)
    stage, run_at = row["stage"], row["run_at"]
    return Holder(row["id"], state, row["created_at"], state in WAITING, False, stage, run_at, None)


def _conflict(job: Incoming, holder: Holder) -> UniqueConflictError:
    what = f"is {holder.state}" if holder.is_stored else "stands before it in the same call"
    return UniqueConflictError(
        f"{job.row['name']}: job {holder.id} of the same unique key {what}, so nothing was stored; "
        "look at that job, or use on_conflict='skip' or 'replace'",
        holder.id,
    )


def _rule(job: Incoming) -> Unique:
    rule = job.options.unique
    assert rule is not None
    return rule
