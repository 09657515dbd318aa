"""States, moves and what an outcome means for a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import HOUR, MINUTE, SECOND
from lineshaft.errors import InvalidTransition
from lineshaft.outcomes import (
    Done,
    Failed,
    Interrupted,
    JobError,
    Lost,
    Rejected,
    Snoozed,
    Stopped,
    TimedOut,
    Unknown,
    Unready,
)
from lineshaft.transitions import (
    FINAL,
    MOVES,
    UNFINISHED,
    Close,
    Complete,
    Held,
    PutBack,
    Reason,
    Stage,
    State,
    check_move,
    decide,
    expire,
    is_expired,
    rescue,
    state_of,
)

if TYPE_CHECKING:
    from lineshaft.outcomes import Outcome
    from lineshaft.transitions import Transition

NOW = 1_800_000_000 * SECOND
ERROR = JobError(1, "ValueError", "x", None, NOW)


def held(**fields: Any) -> Held:
    plain = Held("id", 4, 7, attempt=1, attempts_before=0, losses=0, deadline=None, created_at=NOW, unknown_since=None)
    return plain._replace(**fields)


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.name)
def test_every_stage_has_a_state(stage: Stage) -> None:
    """A row that nobody holds shows its stage, whatever was asked; a held one runs or is being stopped."""
    at_rest = State.QUEUED if stage in (Stage.READY, Stage.PARKED) else State[stage.name]
    assert {state_of(stage, is_held=False, is_cancel_requested=asked) for asked in (False, True)} == {at_rest}


def test_held_rows_run() -> None:
    """A held row runs, or is cancelling once it was asked to stop; a finished one keeps its state and its worker."""
    assert state_of(Stage.READY, is_held=True, is_cancel_requested=False) is State.RUNNING
    assert state_of(Stage.READY, is_held=True, is_cancel_requested=True) is State.CANCELLING
    assert state_of(Stage.COMPLETED, is_held=True, is_cancel_requested=True) is State.COMPLETED


def test_final_and_unfinished_states_are_all_states() -> None:
    """A state is final or not, and says so."""
    assert set(State) == FINAL | UNFINISHED
    assert all(state.is_final == (state in FINAL) for state in State)


def test_only_a_person_moves_a_final_job() -> None:
    """No move but revival and deletion starts from a final state."""
    assert {name for name, (sources, _, _) in MOVES.items() if FINAL.intersection(sources)} == {"revive", "delete"}


def test_a_running_job_cannot_be_deleted_or_rescheduled() -> None:
    """What a worker holds is not taken away under it."""
    for name in ("delete", "reschedule", "claim", "promote"):
        assert not {State.RUNNING, State.CANCELLING}.intersection(MOVES[name][0])


def test_move_is_checked() -> None:
    """A move from a state that the table does not list is refused, naming job, state and what it takes."""
    check_move("revive", "id", State.DEAD)
    with pytest.raises(
        InvalidTransition, match=r"^job id is completed: retry takes only jobs that are dead, cancelled"
    ):
        check_move("revive", "id", State.COMPLETED)


@pytest.mark.parametrize(
    "outcome, expected",
    [
        (Done("1"), Complete(held(), "1")),
        (Done(None), Complete(held(), None)),
        (Failed(ERROR, SECOND, 3), PutBack(held(), Stage.RETRYING, NOW + SECOND, ERROR)),
        (Failed(ERROR, 0, 3), PutBack(held(), Stage.READY, NOW, ERROR)),
        (Failed(ERROR, SECOND, 1), Close(held(), Stage.DEAD, Reason.ERROR, ERROR)),
        (Failed(ERROR, None, 3), Close(held(), Stage.DEAD, Reason.REJECTED, ERROR)),
        (TimedOut(ERROR, SECOND, 3), PutBack(held(), Stage.RETRYING, NOW + SECOND, ERROR)),
        (TimedOut(ERROR, SECOND, 1), Close(held(), Stage.DEAD, Reason.TIMEOUT, ERROR)),
        (TimedOut(ERROR, None, 3), Close(held(), Stage.DEAD, Reason.TIMEOUT, ERROR)),
        (Rejected(ERROR), Close(held(), Stage.DEAD, Reason.REJECTED, ERROR)),
        (Stopped(), Close(held(), Stage.CANCELLED, None, None)),
        (Snoozed(5), PutBack(held(), Stage.SCHEDULED, NOW + 5, gives_attempt_back=True)),
        (Snoozed(0), PutBack(held(), Stage.READY, NOW, gives_attempt_back=True)),
        (Interrupted(), PutBack(held(), Stage.READY, None, gives_attempt_back=True)),
        (
            Unknown(ERROR),
            PutBack(held(), Stage.SCHEDULED, NOW + SECOND, gives_attempt_back=True, unknown_since=NOW),
        ),
        (
            Unready(ERROR),
            PutBack(held(), Stage.RETRYING, NOW + SECOND, ERROR, gives_attempt_back=True, unknown_since=NOW),
        ),
        (
            Lost(ERROR, SECOND, 3),
            PutBack(held(), Stage.RETRYING, NOW + SECOND, ERROR, gives_attempt_back=True, losses=1),
        ),
        (Lost(ERROR, SECOND, 1), Close(held(), Stage.DEAD, Reason.LOST, ERROR, losses=1)),
    ],
    ids=str,
)
def test_outcomes_are_decided(outcome: Outcome, expected: Transition) -> None:
    """Each outcome leads to the transition that the contract promises."""
    assert decide(held(), outcome, NOW) == expected


def test_budget_counts_from_the_last_revival() -> None:
    """Attempts used up before a person had the job retried do not count against its budget."""
    revived = held(attempt=5, attempts_before=3)
    assert isinstance(decide(revived, Failed(ERROR, SECOND, 3), NOW), PutBack)
    assert isinstance(decide(revived, Failed(ERROR, SECOND, 2), NOW), Close)


def test_no_attempt_is_planned_past_the_deadline() -> None:
    """A job whose next attempt would start at or after its deadline is dead now."""
    assert isinstance(decide(held(deadline=NOW + SECOND + 1), Failed(ERROR, SECOND, 3), NOW), PutBack)
    assert isinstance(decide(held(deadline=NOW + SECOND), Failed(ERROR, SECOND, 3), NOW), Close)


@pytest.mark.parametrize(
    "waited, delay", [(0, SECOND), (10 * SECOND, 10 * SECOND), (30 * MINUTE, 5 * MINUTE), (HOUR - 1, 5 * MINUTE)]
)
def test_unknown_tasks_wait_longer_and_longer(waited: int, delay: int) -> None:
    """A job of an unknown task waits for a newer worker with growing delays, from when it was first met."""
    since = NOW - waited
    found = decide(held(unknown_since=since), Unknown(ERROR), NOW)
    assert found == PutBack(held(unknown_since=since), Stage.SCHEDULED, NOW + delay, None, True, 0, since)


def test_unknown_task_is_rejected_after_an_hour() -> None:
    """A task still unknown after an hour makes its job a dead letter."""
    lost_patience = held(unknown_since=NOW - HOUR)
    assert decide(lost_patience, Unknown(ERROR), NOW) == Close(lost_patience, Stage.DEAD, Reason.REJECTED, ERROR)


def test_children_that_do_not_start_are_waited_for_like_newer_workers() -> None:
    """A job that no child can be started for is put back with growing delays, and dead after an hour."""
    waited = held(unknown_since=NOW - 10 * SECOND)
    found = decide(waited, Unready(ERROR), NOW)
    assert found == PutBack(waited, Stage.RETRYING, NOW + 10 * SECOND, ERROR, True, 0, waited.unknown_since)
    lost_patience = held(unknown_since=NOW - HOUR)
    assert decide(lost_patience, Unready(ERROR), NOW) == Close(lost_patience, Stage.DEAD, Reason.REJECTED, ERROR)


def test_the_last_loss_buries() -> None:
    """A job is lost when its process died under it as often as allowed, not before."""
    assert isinstance(decide(held(losses=1), Lost(ERROR, 0, 3), NOW), PutBack)
    assert isinstance(decide(held(losses=2), Lost(ERROR, 0, 3), NOW), Close)


def test_first_rescue_blames_nobody() -> None:
    """A job whose worker died among neighbours runs again alone, and the loss is not counted."""
    found = rescue(held(losses=2), ERROR, is_isolated=False, is_cancel_requested=False, max_losses=3)
    assert found == PutBack(held(losses=2), Stage.READY, None, ERROR, gives_attempt_back=True, isolates=True)


def test_a_loss_alone_counts() -> None:
    """A job under which its worker died while it ran alone is to blame, and the last time buries it."""
    again = rescue(held(losses=1), ERROR, is_isolated=True, is_cancel_requested=False, max_losses=3)
    assert isinstance(again, PutBack)
    assert again.losses == 1
    last = rescue(held(losses=2), ERROR, is_isolated=True, is_cancel_requested=False, max_losses=3)
    assert last == Close(held(losses=2), Stage.DEAD, Reason.LOST, ERROR, losses=1)


def test_rescued_job_that_was_to_stop_is_cancelled() -> None:
    """A job that was asked to stop does not run again because its worker died."""
    found = rescue(held(), ERROR, is_isolated=False, is_cancel_requested=True, max_losses=3)
    assert found == Close(held(), Stage.CANCELLED, None, None)


@pytest.mark.parametrize(
    "fields, is_over",
    [
        ({"deadline": None}, False),
        ({"deadline": NOW}, True),
        ({"deadline": NOW + 1}, False),
        ({"deadline": NOW, "attempt": 2}, False),
        ({"deadline": NOW, "attempt": 4, "attempts_before": 3}, True),
    ],
)
def test_deadline_is_about_the_first_attempt(fields: dict[str, int | None], *, is_over: bool) -> None:
    """A claimed job expires when its deadline passed before its first attempt, later attempts do not."""
    assert is_expired(held(**fields), NOW) is is_over


def test_expired_job_is_closed_without_an_error() -> None:
    """An expired job has neither a reason nor an error."""
    assert expire(held()) == Close(held(), Stage.EXPIRED, None, None)
