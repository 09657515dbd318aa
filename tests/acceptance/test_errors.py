"""What errors of jobs lead to: retries, dead letters, and a person's second chance."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest

from lineshaft import GiveUp, JobFailed, Lineshaft, Retry, RetryLater, Snooze, State, current_job
from lineshaft.retry import Exponential, Fixed
from tests.plugins.apps import Gates, StartWorker

AT_ONCE = Fixed(0)


class OtherError(Exception):
    pass


class Halt(BaseException):
    pass


def test_dead_letter_holds_every_attempts_error(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job that fails in every attempt is dead by `error`, with each attempt's type, message, traceback and time."""

    @app.task(name="bad", retry=Retry(max_attempts=3, backoff=AT_ONCE))
    def bad(what: str) -> None:
        raise ValueError(f"{what} {current_job().attempt}")

    start_worker(app)
    job = bad.enqueue("broken")
    with pytest.raises(JobFailed, match="ValueError: broken 3") as failed:
        job.result(10)
    assert (job.state, job.reason, job.attempt) == (State.DEAD, "error", 3)
    assert [(one["attempt"], one["type"], one["message"]) for one in job.errors] == [
        (number, "ValueError", f"broken {number}") for number in (1, 2, 3)
    ]
    assert all("in bad" in str(one["traceback"]) for one in job.errors)
    assert "execute.py" not in str(job.errors[0]["traceback"]), "our own frames stand before the user's"
    assert job.errors[0]["at"] <= job.errors[2]["at"]
    assert failed.value.error == job.errors[-1]
    assert failed.value.job is job


def test_success_after_failures(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job that succeeds in a later attempt completes and keeps the errors before it."""

    @app.task(name="third_time", retry=Retry(max_attempts=3, backoff=AT_ONCE))
    def third_time() -> int:
        if current_job().attempt < 3:
            raise OSError("not yet")
        return current_job().attempt

    start_worker(app)
    job = third_time.enqueue()
    assert job.result(10) == 3
    assert [one["message"] for one in job.errors] == ["not yet", "not yet"]


def test_backoff_decides_when(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Between attempts a job is `retrying` and due after what its backoff says."""
    app.on("retrying")(lambda event: gates.note(event))

    @app.task(name="bad", retry=Retry(max_attempts=3, backoff=Exponential(base="40s", factor=2, jitter="none")))
    def bad() -> None:
        raise ValueError("broken")

    start_worker(app)
    job = bad.enqueue()
    event = gates.next()
    assert (event.job_id, event.attempt, event.error) == (job.id, 1, "broken")
    job.refresh()
    assert (job.state, job.attempt) == (State.RETRYING, 1)
    assert abs(job.run_at - event.at - timedelta(seconds=40)) < timedelta(seconds=1)
    job.reschedule(delay=0)
    assert gates.next().attempt == 2
    assert abs(job.refresh().run_at - job.errors[1]["at"] - timedelta(seconds=80)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "retry,attempts,reason",
    [
        (Retry(max_attempts=3, backoff=AT_ONCE, retry_on=OtherError), 1, "rejected"),
        (Retry(max_attempts=3, backoff=AT_ONCE, retry_on=(OtherError, LookupError)), 3, "error"),
        (Retry(max_attempts=3, backoff=AT_ONCE, retry_on=lambda error: "key" in str(error)), 3, "error"),
        (Retry(max_attempts=3, backoff=AT_ONCE, give_up_on=KeyError), 1, "rejected"),
        (Retry(max_attempts=3, backoff=AT_ONCE, retry_on=KeyError, give_up_on=LookupError), 1, "rejected"),
        (None, 1, "error"),
    ],
    ids=["other", "parent", "predicate", "give-up", "give-up-beats", "none"],
)
def test_policy_chooses_errors(
    app: Lineshaft, start_worker: StartWorker, retry: Retry | None, attempts: int, reason: str
) -> None:
    """`retry_on` says which errors are tried again, `give_up_on` beats it, and `retry=None` is one attempt."""

    @app.task(name="bad", retry=retry)
    def bad() -> None:
        raise KeyError("key")

    start_worker(app)
    job = bad.enqueue()
    with pytest.raises(JobFailed):
        job.result(10)
    assert (job.attempt, job.reason, len(job.errors)) == (attempts, reason, attempts)


def test_backoff_that_breaks_costs_nothing(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A user's backoff function that raises leaves the job its next attempt, ten seconds later."""
    app.on("retrying")(lambda event: gates.note(event))

    def broken(attempt: int, error: BaseException) -> float:
        raise RuntimeError("broken policy")

    @app.task(name="bad", retry=Retry(max_attempts=2, backoff=broken))
    def bad() -> None:
        raise ValueError

    start_worker(app)
    job = bad.enqueue()
    event = gates.next()
    assert abs(job.refresh().run_at - event.at - timedelta(seconds=10)) < timedelta(seconds=1)


def test_steering(app: Lineshaft, start_worker: StartWorker) -> None:
    """`RetryLater` counts as an attempt, `Snooze` does not, `GiveUp` ends the job whatever the policy allows."""
    snoozed: list[int] = []

    @app.task(name="steer", retry=Retry(max_attempts=2))
    def steer() -> int:
        if current_job().attempt == 1:
            raise RetryLater(0, "busy")
        if len(snoozed) < 5:
            snoozed.append(current_job().attempt)
            raise Snooze("1ms")
        return current_job().attempt

    @app.task(name="resign", retry=Retry(max_attempts=9))
    def resign() -> None:
        raise GiveUp("no such customer")

    start_worker(app)
    job = steer.enqueue()
    assert job.result(10) == 2
    assert snoozed == [2] * 5
    assert [one["message"] for one in job.errors] == ["busy"]
    with pytest.raises(JobFailed, match="no such customer"):
        resign.enqueue().result(10)


def test_retry_later_is_bounded(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job that always asks to be tried later is dead once its attempts are used up."""

    @app.task(name="later", retry=Retry(max_attempts=2))
    def later() -> None:
        raise RetryLater(0)

    start_worker(app)
    job = later.enqueue()
    with pytest.raises(JobFailed):
        job.result(10)
    assert (job.attempt, job.reason) == (2, "error")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), Halt("halt"), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("is_async", [False, True], ids=["thread", "async"])
def test_exits_end_only_their_attempt(
    app: Lineshaft,
    start_worker: StartWorker,
    error: BaseException,
    is_async: bool,  # noqa: FBT001 - a parameter
) -> None:
    """`SystemExit`, `KeyboardInterrupt` and other `BaseException`s fail their attempt; the worker goes on."""

    def fail() -> None:
        raise error

    async def afail() -> None:
        raise error

    bad: Any = app.task(name="bad", retry=Retry(max_attempts=2, backoff=AT_ONCE))(afail if is_async else fail)
    app.task(name="good")(lambda: "good")
    start_worker(app, {"default": 1})
    job = bad.enqueue()
    with pytest.raises(JobFailed):
        job.result(10)
    assert [one["type"].rpartition(".")[2] for one in job.errors] == [type(error).__name__] * 2
    assert app.enqueue("good").result(10) == "good"


def test_exit_in_a_job_is_not_the_workers(app: Lineshaft, start_worker: StartWorker) -> None:
    """`sys.exit()` in a job ends the job with its code in the error, and not the worker's thread."""

    @app.task(name="leave", retry=None)
    def leave() -> None:
        sys.exit("enough")

    start_worker(app)
    job = leave.enqueue()
    with pytest.raises(JobFailed, match="SystemExit: enough"):
        job.result(10)


def test_person_retries_a_dead_job(app: Lineshaft, start_worker: StartWorker) -> None:
    """`job.retry()` of a dead job goes on with attempt numbers and with a fresh budget of attempts."""
    is_mended: list[bool] = []

    @app.task(name="bad", retry=Retry(max_attempts=2, backoff=AT_ONCE))
    def bad() -> int:
        if not is_mended:
            raise ValueError("broken")
        return current_job().attempt

    start_worker(app)
    job = bad.enqueue()
    with pytest.raises(JobFailed):
        job.result(10)
    job.retry()
    with pytest.raises(JobFailed):
        job.refresh().result(10)
    assert [one["attempt"] for one in job.errors] == [1, 2, 3, 4]
    is_mended.append(True)
    job.retry()
    assert job.refresh().result(10) == 5
    assert job.max_attempts == 6


def test_bulk_retry(app: Lineshaft, start_worker: StartWorker) -> None:
    """`app.jobs.retry` with a filter has every dead job of it tried again and says how many."""
    is_mended: list[bool] = []

    @app.task(name="bad", retry=None)
    def bad(number: int) -> int:
        if not is_mended:
            raise ValueError(number)
        return number

    start_worker(app)
    jobs = bad.enqueue_many(range(20))
    for job in jobs:
        job.wait(10)
    assert app.jobs.count(state="dead") == 20
    is_mended.append(True)
    with pytest.raises(TypeError, match="all=True"):
        app.jobs.retry()
    assert app.jobs.retry(name="bad") == 20
    assert [job.refresh().result(10) for job in jobs] == list(range(20))
    assert app.jobs.retry(name="bad") == 0
