"""States, moves and reasons: the only place that knows which state may follow which.

A job's row keeps a `Stage`; the public `State` is derived from it by `state_of`. Whether a job is running is not
a stage but the fact that a worker holds it, so that a claim writes no indexed column (docs/architecture.md).
`docs/states.md` is generated from `MOVES` and checked by a test.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from lineshaft.clock import HOUR, MINUTE, SECOND
from lineshaft.errors import InvalidTransition
from lineshaft.outcomes import (
    Done,
    Failed,
    Interrupted,
    JobError,
    Lost,
    Outcome,
    Rejected,
    Settled,
    Snoozed,
    Stopped,
    TimedOut,
    Unknown,
    Unready,
)


class State(StrEnum):
    """What a job is doing, as everybody sees it."""

    BLOCKED = "blocked"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    RETRYING = "retrying"
    WAITING = "waiting"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the job will never move again by itself."""
        return self in FINAL


FINAL: Final = frozenset({State.COMPLETED, State.DEAD, State.CANCELLED, State.SKIPPED, State.EXPIRED})
UNFINISHED: Final = frozenset(State) - FINAL


class Reason(StrEnum):
    """Why a job is dead; `dropped`: why it was cancelled, to make room in its full queue."""

    ERROR = "error"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    LOST = "lost"
    DEPENDENCY = "dependency"
    DROPPED = "dropped"


class Stage(IntEnum):
    """What a job's row keeps; the statements name these numbers."""

    SCHEDULED = 0
    READY = 1
    RETRYING = 2
    PARKED = 5
    COMPLETED = 10
    DEAD = 11
    CANCELLED = 12
    SKIPPED = 13
    EXPIRED = 14


_RESTING: Final = {
    Stage.SCHEDULED: State.SCHEDULED,
    Stage.READY: State.QUEUED,
    Stage.RETRYING: State.RETRYING,
    Stage.PARKED: State.QUEUED,
    Stage.COMPLETED: State.COMPLETED,
    Stage.DEAD: State.DEAD,
    Stage.CANCELLED: State.CANCELLED,
    Stage.SKIPPED: State.SKIPPED,
    Stage.EXPIRED: State.EXPIRED,
}


def state_of(stage: int, *, is_held: bool, is_cancel_requested: bool) -> State:
    """Return the public state of a row: its stage, whether a worker holds it, and whether it was asked to stop."""
    if is_held and stage == Stage.READY:
        return State.CANCELLING if is_cancel_requested else State.RUNNING
    return _RESTING[Stage(stage)]


MOVES: Final[dict[str, tuple[tuple[State | None, ...], tuple[State | None, ...], str]]] = {
    "enqueue": ((None,), (State.QUEUED, State.SCHEDULED), "a client stores the job, to run now or at its time"),
    "promote": ((State.SCHEDULED, State.RETRYING), (State.QUEUED,), "its time has come"),
    "claim": (
        (State.QUEUED,),
        (State.RUNNING, State.CANCELLING),
        "a worker takes it; one that was asked to stop while it was put back is taken to be cancelled",
    ),
    "park": (
        (State.RUNNING, State.QUEUED),
        (State.QUEUED,),
        "a gate refused it: it stands in the gate's line, out of sight of claims; no attempt is counted",
    ),
    "admit": ((State.QUEUED,), (State.QUEUED,), "the gate has room, and it is the first of the line"),
    "complete": ((State.RUNNING, State.CANCELLING), (State.COMPLETED,), "the function returned"),
    "retry": (
        (State.RUNNING, State.CANCELLING),
        (State.RETRYING, State.QUEUED),
        "the attempt failed and another one is allowed; one that was asked to stop comes back at once, to be cancelled",
    ),
    "snooze": (
        (State.RUNNING, State.CANCELLING),
        (State.SCHEDULED, State.QUEUED),
        "the job put itself back; no attempt is counted",
    ),
    "release": (
        (State.RUNNING, State.CANCELLING),
        (State.QUEUED, State.SCHEDULED),
        "the worker stops, or does not know the task; no attempt is counted",
    ),
    "rescue": ((State.RUNNING, State.CANCELLING), (State.QUEUED,), "its worker is gone; no attempt is counted"),
    "die": ((State.RUNNING, State.CANCELLING), (State.DEAD,), "no attempt is left, or none can help"),
    "request_cancel": ((State.RUNNING,), (State.CANCELLING,), "a person or a job asked it to stop"),
    "cancel": (
        (State.BLOCKED, State.SCHEDULED, State.QUEUED, State.RETRYING, State.WAITING, State.CANCELLING),
        (State.CANCELLED,),
        "it was cancelled before it could complete",
    ),
    "expire": (
        (State.SCHEDULED, State.QUEUED, State.RUNNING),
        (State.EXPIRED,),
        "its deadline passed before it started; a worker that has just taken it notices too",
    ),
    "reschedule": (
        (State.SCHEDULED, State.QUEUED, State.RETRYING),
        (State.SCHEDULED, State.QUEUED),
        "a person gave it another time",
    ),
    "revive": (
        (State.DEAD, State.CANCELLED, State.EXPIRED),
        (State.QUEUED,),
        "a person had it tried again, with a fresh budget of attempts",
    ),
    "delete": (tuple(s for s in State if s not in {State.RUNNING, State.CANCELLING}), (None,), "a person removed it"),
}
"""Each move with the states that it may start from and end in (None: the job does not exist), and its reason."""


def check_move(move: str, job_id: str, state: State) -> None:
    """Raise `InvalidTransition` unless the move may start from this state."""
    allowed = MOVES[move][0]
    if state not in allowed:
        names = ", ".join(s.value for s in allowed if s)
        verb = move.replace("revive", "retry").replace("_", " ")
        msg = f"job {job_id} is {state}: {verb} takes only jobs that are {names}"
        raise InvalidTransition(msg)


class Held(NamedTuple):
    """A job that a worker holds: what the fence and the decisions need."""

    id: str
    claim: int
    worker: int
    attempt: int
    attempts_before: int
    """Attempts used up before a person last had the job retried."""
    losses: int
    deadline: int | None
    created_at: int
    unknown_since: int | None
    key: int | None = None
    """The store's private number of the row, where it keeps one."""


class Complete(NamedTuple):
    """Write the result and end the job as completed."""

    held: Held
    result: str | None


class Close(NamedTuple):
    """End the job in another final state."""

    held: Held
    stage: Stage
    reason: Reason | None
    error: JobError | None
    losses: int = 0


class PutBack(NamedTuple):
    """Give the job back to the queue."""

    held: Held
    stage: Stage
    run_at: int | None
    """None keeps the place in the queue that the job had."""
    error: JobError | None = None
    gives_attempt_back: bool = False
    losses: int = 0
    unknown_since: int | None = None
    isolates: bool = False
    """The next attempt runs alone in a child process, so that only the guilty job is counted lost."""


Transition = Complete | Close | PutBack

UNKNOWN_PATIENCE: Final = HOUR
_UNKNOWN_FIRST_WAIT: Final = SECOND
UNKNOWN_LONGEST_WAIT: Final = 5 * MINUTE


def decide(held: Held, outcome: Outcome, now: int) -> Transition | None:  # noqa: C901 - one line an outcome
    """Return what an outcome means for the job; None when its own transaction has written that already."""
    match outcome:
        case Done(result):
            return Complete(held, result)
        case Settled():
            return None
        case Failed(error, retry_in, max_attempts):
            return _retry_or_die(held, error, retry_in, max_attempts, Reason.ERROR, now)
        case TimedOut(error, retry_in, max_attempts):
            return _retry_or_die(held, error, retry_in, max_attempts, Reason.TIMEOUT, now)
        case Rejected(error):
            return Close(held, Stage.DEAD, Reason.REJECTED, error)
        case Stopped():
            return Close(held, Stage.CANCELLED, None, None)
        case Snoozed(delay):
            return PutBack(held, *_place(now, delay, Stage.SCHEDULED), gives_attempt_back=True)
        case Interrupted():
            return PutBack(held, Stage.READY, None, gives_attempt_back=True)
        case Unknown(error):
            return _wait_for_abler_worker(held, error, now)
        case Unready(error):
            found = _wait_for_abler_worker(held, error, now)
            return found._replace(stage=Stage.RETRYING, error=error) if isinstance(found, PutBack) else found
        case Lost(error, retry_in, max_losses):
            return _isolate_or_bury(held, error, retry_in, max_losses, now)


def expire(held: Held) -> Close:
    """End a claimed job whose deadline passed before it could start."""
    return Close(held, Stage.EXPIRED, None, None)


def rescue(held: Held, error: JobError, *, is_isolated: bool, is_cancel_requested: bool, max_losses: int) -> Transition:
    """Return what becomes of a job whose worker is gone.

    The first time it runs again alone, uncounted: a neighbour may have killed the worker. Alone, a loss counts.
    """
    if is_cancel_requested:
        return Close(held, Stage.CANCELLED, None, None)
    counted = int(is_isolated)
    if held.losses + counted >= max_losses:
        return Close(held, Stage.DEAD, Reason.LOST, error, losses=counted)
    return PutBack(held, Stage.READY, None, error=error, gives_attempt_back=True, losses=counted, isolates=True)


def is_expired(held: Held, now: int) -> bool:
    """Tell whether the job's deadline passed before its first attempt."""
    return held.deadline is not None and held.deadline <= now and held.attempt - held.attempts_before <= 1


def _retry_or_die(
    held: Held, error: JobError, retry_in: int | None, max_attempts: int, reason: Reason, now: int
) -> Transition:
    if retry_in is None:
        return Close(held, Stage.DEAD, Reason.REJECTED if reason is Reason.ERROR else reason, error)
    has_budget = held.attempt - held.attempts_before < max_attempts
    has_time = held.deadline is None or now + retry_in < held.deadline
    if has_budget and has_time:
        return PutBack(held, *_place(now, retry_in, Stage.RETRYING), error=error)
    return Close(held, Stage.DEAD, reason, error)


def _place(now: int, delay: int, stage: Stage) -> tuple[Stage, int]:
    return (stage, now + delay) if delay > 0 else (Stage.READY, now)


def _wait_for_abler_worker(held: Held, error: JobError, now: int) -> Transition:
    since = held.unknown_since or now
    waited = now - since
    if waited >= UNKNOWN_PATIENCE:
        return Close(held, Stage.DEAD, Reason.REJECTED, error)
    delay = min(max(_UNKNOWN_FIRST_WAIT, waited), UNKNOWN_LONGEST_WAIT)
    return PutBack(held, Stage.SCHEDULED, now + delay, gives_attempt_back=True, unknown_since=since)


def _isolate_or_bury(held: Held, error: JobError, retry_in: int, max_losses: int, now: int) -> Transition:
    if held.losses + 1 >= max_losses:
        return Close(held, Stage.DEAD, Reason.LOST, error, losses=1)
    stage, run_at = _place(now, retry_in, Stage.RETRYING)
    return PutBack(held, stage, run_at, error=error, gives_attempt_back=True, losses=1)
