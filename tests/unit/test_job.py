"""Ids, and a job as its users see it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
import pytest

from lineshaft.clock import to_datetime, wall_clock
from lineshaft.errors import JobCancelled, JobFailed, JobNotFound, JobNotRun, JobTimeout, ResultGone
from lineshaft.ids import checked_id, derived_id, new_id, new_ids
from lineshaft.job import Job, JobRow, Progress
from lineshaft.outcomes import JobError
from lineshaft.transitions import Reason, Stage, State

if TYPE_CHECKING:
    from lineshaft.job import JobDoor

AT = 1_800_000_000_000_000
ERRORS = [JobError(number, "ValueError", f"error {number}", None, AT) for number in (1, 2)]


class Door:
    """Rebuilds results as an app does, for a task without annotations."""

    def load_result(self, name: str, text: str) -> Any:
        """Return the value; the task's name has to be the job's."""
        assert name == "a.b"
        return msgspec.json.decode(text)


def job(stage: Stage = Stage.READY, **columns: Any) -> Job[Any]:
    values: dict[str, Any] = dict.fromkeys(JobRow._fields) | {
        "id": new_id(), "queue": "default", "name": "a.b", "rank": -50, "run_at": AT, "stage": int(stage),
        "created_at": AT, "claim": 0, "attempt": 0, "max_attempts": 3, "cancel_requested": False, "args": "[[7],{}]",
    }  # fmt: skip
    return Job(cast("JobDoor", Door()), JobRow(**(values | columns)))


def test_ids_are_uuid7_in_order() -> None:
    """Ids are UUIDs of version 7 that carry the time and grow within a process."""
    before = wall_clock() // 1_000
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))
    first = UUID(made[0])
    assert (first.version, first.variant, str(first)) == (7, "specified in RFC 4122", made[0])
    assert abs((first.int >> 80) - before) < 10_000


def test_ids_made_at_once_follow_those_before() -> None:
    """Ids that are made many at a time are all different, in order, behind the ones before and ahead of the next."""
    made = [new_id(), *new_ids(10_000), new_id()]
    assert made == sorted(set(made))
    assert {UUID(one).version for one in made} == {7}
    assert {UUID(one).variant for one in made} == {"specified in RFC 4122"}


def test_derived_ids_follow_instants_and_places() -> None:
    """Ids derived of the same are the same; later instants and, at one instant, higher places have greater ones."""
    made = [derived_id(AT, "end", place=place) for place in range(5_000)]
    assert made == [derived_id(AT, "end", place=place) for place in range(5_000)]
    assert made == sorted(set(made))
    ticks = [derived_id(AT + micros, "tick", micros) for micros in range(5_000)]
    assert ticks == sorted(set(ticks))
    assert {UUID(one).version for one in made + ticks} == {7}
    assert derived_id(AT, "end") != derived_id(AT, "other")


def test_ids_of_threads_never_meet() -> None:
    """Threads that make ids at the same time make different ones."""
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: [new_id() for _ in range(500)], range(4)))
    assert len({one for some in made for one in some}) == 2_000


def test_ids_are_read_in_any_spelling() -> None:
    """An id is found however it is spelled, and what is no id is no job."""
    plain = new_id()
    assert checked_id(plain.upper()) == checked_id(plain.replace("-", "")) == plain
    for wrong in ("", "7", None, 5, "x" * 36):
        with pytest.raises(JobNotFound, match="is not a job id"):
            checked_id(wrong)  # type: ignore[arg-type]


def test_waiting_job() -> None:
    """A fresh job shows what it was enqueued with, and nothing that has not happened."""
    fresh = job(tags='["a"]', meta='{"k":1}', tenant="acme", deadline=AT + 1)
    assert (fresh.state, fresh.priority, fresh.attempt, fresh.tags, fresh.meta) == (
        State.QUEUED,
        50,
        0,
        ["a"],
        {"k": 1},
    )
    assert (fresh.args, fresh.tenant, fresh.deadline) == (([7], {}), "acme", to_datetime(AT + 1))
    assert (fresh.progress, fresh.errors, fresh.reason, fresh.started_at, fresh.finished_at) == (
        None,
        [],
        None,
        None,
        None,
    )
    assert (fresh.created_at, fresh.run_at, job().tags, job().meta) == (to_datetime(AT), to_datetime(AT), [], {})


def test_running_job() -> None:
    """A held job runs, shows its progress, and is cancelling once it was asked to stop."""
    running = job(worker=7, progress=f'[0.5,"half",{AT}]', started_at=AT)
    assert running.state is State.RUNNING
    assert running.progress == Progress(0.5, "half", to_datetime(AT))
    assert job(worker=7, cancel_requested=1).state is State.CANCELLING


def test_errors_are_in_order() -> None:
    """Every failed attempt is listed, the first one first."""
    lines = "\n".join(msgspec.json.encode(one).decode() for one in ERRORS)
    assert [one["message"] for one in job(errors=lines).errors] == ["error 1", "error 2"]


def test_result_of_a_completed_job() -> None:
    """A completed job has its value; `null` is a value."""
    assert job(Stage.COMPLETED, result='{"a":1}').value == {"a": 1}
    assert job(Stage.COMPLETED, result="null").value is None
    with pytest.raises(ResultGone, match="was not kept"):
        _ = job(Stage.COMPLETED).value


@pytest.mark.parametrize(
    "stage, columns, error, message",
    [
        (Stage.DEAD, {"reason": "error", "errors": msgspec.json.encode(ERRORS[0]).decode()}, JobFailed, "error 1"),
        (Stage.DEAD, {"reason": "lost"}, JobFailed, "no error was kept"),
        (Stage.DEAD, {"reason": "timeout"}, JobTimeout, "timeout"),
        (Stage.CANCELLED, {}, JobCancelled, "was cancelled"),
        (Stage.SKIPPED, {}, JobNotRun, "it is skipped"),
        (Stage.EXPIRED, {}, JobNotRun, "it is expired"),
        (Stage.READY, {}, ResultGone, "has no result yet: it is queued"),
    ],
)
def test_value_of_a_job_without_one(
    stage: Stage, columns: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A job that has no value raises what tells why, in one line that names it."""
    found = job(stage, **columns)
    with pytest.raises(error, match=message) as caught:
        _ = found.value
    assert type(caught.value) is error
    assert found.id in str(caught.value)


def test_failure_carries_its_job() -> None:
    """`JobFailed` gives the job, the reason and the last error."""
    lines = "\n".join(msgspec.json.encode(one).decode() for one in ERRORS)
    dead = job(Stage.DEAD, reason="error", errors=lines)
    with pytest.raises(JobFailed) as caught:
        _ = dead.value
    assert (caught.value.job, caught.value.reason) == (dead, Reason.ERROR)
    assert caught.value.error == dead.errors[-1]


def test_jobs_are_equal_by_id() -> None:
    """Two snapshots of one job are the same job."""
    one = job()
    assert one == job(Stage.DEAD, id=one.id)
    assert len({one, job(id=one.id), job()}) == 2
    assert repr(one) == f"<Job {one.id} a.b queued>"
