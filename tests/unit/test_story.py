"""What has happened to a job, told from the rows that are read of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lineshaft.app.story import Story
from lineshaft.clock import SECOND, to_datetime
from lineshaft.events import JobDead, JobEvent, JobProgressed, JobRetrying
from lineshaft.job import JobRow
from lineshaft.outcomes import WORKER_LOST, JobError
from lineshaft.transitions import Stage

AT = 1_800_000_000 * SECOND
NOW = AT + 100 * SECOND


def row(stage: Stage = Stage.READY, *errors: JobError, **columns: Any) -> JobRow:
    """Return a job that waits for its first attempt, but for these columns."""
    values: dict[str, Any] = dict.fromkeys(JobRow._fields) | {
        "id": "id", "queue": "default", "name": "a.b", "rank": 0, "run_at": AT, "stage": int(stage), "created_at": AT,
        "claim": 0, "attempt": 0, "max_attempts": 3, "cancel_requested": False, "args": "[[],{}]",
        "errors": "\n".join(msgspec.json.encode(one).decode() for one in errors) or None,
    }  # fmt: skip
    return JobRow(**(values | columns))


def running(claim: int, *errors: JobError, at: int = 1, **columns: Any) -> JobRow:
    """Return the job while a worker holds it."""
    values = {"worker": 7, "claim": claim, "attempt": claim, "started_at": AT + at * SECOND}
    return row(Stage.READY, *errors, **(values | columns))


def error(attempt: int, at: int, kind: str = "ValueError") -> JobError:
    """Return an attempt's error."""
    return JobError(attempt, kind, f"error {attempt}", None, AT + at * SECOND)


def told(*rows: JobRow) -> list[list[JobEvent]]:
    """Return what is told at each row."""
    story = Story()
    return [story.tell(one, NOW) for one in rows]


def names(events: list[JobEvent]) -> list[str]:
    """Return kinds and attempts."""
    return [f"{event.kind} {event.attempt}" for event in events]


def test_same_row_tells_nothing() -> None:
    """A job that is read again unchanged has nothing new."""
    for one in (row(), running(1, progress='[0.5,"half",1]'), row(Stage.RETRYING, error(1, 2), claim=1, attempt=1)):
        assert told(one, one)[1] == []


def test_first_row_tells_what_the_store_keeps() -> None:
    """The first look tells the enqueue, each failure before the last start, the start, the progress and the end."""
    errors = [error(1, 2), error(2, 4), error(3, 6)]
    columns = {
        "claim": 3,
        "attempt": 3,
        "started_at": AT + 5 * SECOND,
        "reason": "error",
        "finished_at": AT + 7 * SECOND,
    }
    [events] = told(row(Stage.DEAD, *errors, progress=f'[0.5,"half",{AT + 6 * SECOND}]', **columns))
    assert names(events) == ["enqueued 0", "retrying 1", "retrying 2", "started 3", "progressed 3", "dead 3"]
    assert [(event.at - to_datetime(AT)).total_seconds() for event in events] == [0, 2, 4, 5, 6, 7]
    assert [one.error for one in events if isinstance(one, JobRetrying | JobDead)] == ["error 1", "error 2", "error 3"]
    assert [(one.fraction, one.message) for one in events if isinstance(one, JobProgressed)] == [(0.5, "half")]


@pytest.mark.parametrize(
    "after, expected",
    [
        (row(Stage.RETRYING, error(1, 2), claim=1, attempt=1), ["retrying 1"]),
        (row(Stage.SCHEDULED, claim=1, attempt=0), ["snoozed 1"]),
        (row(Stage.READY, claim=1, attempt=0), ["released 1"]),
        (row(Stage.READY, error(1, 2, WORKER_LOST), claim=1, attempt=0), ["rescued 1"]),
        (row(Stage.COMPLETED, claim=1, attempt=1, finished_at=AT), ["completed 1"]),
        (row(Stage.CANCELLED, claim=1, attempt=1, finished_at=AT), ["cancelled 1"]),
        (row(Stage.EXPIRED, claim=1, attempt=1, finished_at=AT), ["expired 1"]),
        (row(Stage.DEAD, error(1, 2), claim=1, attempt=1, finished_at=AT, reason="error"), ["dead 1"]),
        (running(2, error(1, 2), at=3), ["retrying 1", "started 2"]),
        (running(2, error(1, 2, WORKER_LOST), at=3, attempt=1), ["rescued 1", "started 1"]),
        (running(1, progress=f"[0.5,null,{AT}]"), ["progressed 1"]),
        (running(1, cancel_requested=True), []),
    ],
)
def test_each_move_has_its_event(after: JobRow, expected: list[str]) -> None:
    """Whatever becomes of a running job is told once, with the number of the attempt that it happened to."""
    assert names(told(running(1), after)[1]) == expected


def test_attempt_between_two_looks_is_told() -> None:
    """A start and what came of it, both since the last look, are both told, in order."""
    assert names(told(row(), row(Stage.RETRYING, error(1, 2), claim=1, attempt=1, started_at=AT))[1]) == [
        "started 1",
        "retrying 1",
    ]
    assert names(told(row(), row(Stage.SCHEDULED, claim=1, attempt=0, started_at=AT))[1]) == ["started 1", "snoozed 1"]
    assert names(told(row(), row(Stage.COMPLETED, claim=1, attempt=1, started_at=AT, finished_at=AT))[1]) == [
        "started 1",
        "completed 1",
    ]


def test_job_that_expired_never_started() -> None:
    """A claim that only found that the job's deadline had passed is no start."""
    assert names(told(row(), row(Stage.EXPIRED, claim=1, attempt=1, started_at=AT, finished_at=AT))[1]) == ["expired 1"]


def test_same_words_after_a_new_start_are_progress() -> None:
    """The progress of another attempt is told, though it should say the same."""
    text = f'[0.5,"half",{AT}]'
    assert names(told(running(1, progress=text), running(2, error(1, 2), at=3, progress=text))[1]) == [
        "retrying 1",
        "started 2",
        "progressed 2",
    ]


def test_revived_job_goes_on() -> None:
    """A dead job that was tried again before it was looked at is told as retrying."""
    assert names(told(running(1), row(Stage.READY, error(1, 2), claim=1, attempt=1))[1]) == ["retrying 1"]
