"""`assert_enqueued`, `refute_enqueued` and `perform`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from unittest.mock import ANY

import pytest

from lineshaft import (
    ArgumentsError,
    ConfigError,
    Exponential,
    Inject,
    JobFailed,
    JobNotRun,
    Lineshaft,
    Retry,
    RetryLater,
    Snooze,
    TaskError,
    Unique,
    UnknownTaskError,
    current_job,
)
from lineshaft.testing import Testing, all_enqueued, aperform, assert_enqueued, perform, refute_enqueued

app = Lineshaft("postgresql://nobody@192.0.2.1:1/nothing?connect_timeout=1")


@app.task(queue="documents", tags=["pdf"])
def render_pdf(document_id: int, *, draft: bool = False, due: date | None = None) -> str:
    return f"{document_id}.pdf"


@app.task
def other() -> None:
    pass


@app.task(retry=Retry(max_attempts=3, backoff=Exponential()), unique=Unique(), delay="1h", keep_result=False)
def counted(number: int, source: str = Inject(lambda: "provided")) -> dict[str, Any]:
    other.enqueue()
    return {"attempt": current_job().attempt, "number": number, "source": source, "id": current_job().id is not None}


@app.task
async def doubled(number: int) -> tuple[int, int]:
    return number, id(asyncio.get_running_loop())


@app.task
def stops(how: str) -> None:
    raise {"snooze": Snooze("1h"), "later": RetryLater("1h"), "error": ValueError("broken")}[how]


@app.task
def numbered(attempt: int) -> int:
    return attempt


@pytest.fixture
def manual() -> Iterator[Testing]:
    with app.testing("manual") as t:
        yield t


@pytest.mark.usefixtures("manual")
class TestAssertEnqueued:
    def test_arguments_that_are_given_count(self) -> None:
        """Arguments agree however they were passed, by value after a round trip, and those not given do not count."""
        job = render_pdf.enqueue(document_id=7, draft=True, due=date(2026, 5, 1))
        assert assert_enqueued(render_pdf) == job
        assert assert_enqueued(render_pdf, args=(7,)) == job
        assert_enqueued(render_pdf, args=[7], kwargs={"draft": True, "due": date(2026, 5, 1)})
        assert_enqueued(render_pdf, args=(ANY,), kwargs={"draft": ANY})
        refute_enqueued(render_pdf, args=(8,))
        refute_enqueued(render_pdf, args=(7,), kwargs={"draft": False})
        refute_enqueued(other)

    def test_defaults_count(self) -> None:
        """An argument left to its default agrees with that."""
        render_pdf.enqueue(7)
        assert_enqueued(render_pdf, kwargs={"draft": False})

    def test_filters(self) -> None:
        """Each filter takes jobs that agree with it and no others."""
        job = render_pdf.options(priority="high", tags=["a", "b"], meta={"x": 1}, tenant="t", delay="10m").enqueue(7)
        agreeing: dict[str, Any] = {
            "queue": "documents",
            "priority": "high",
            "tags": ["a"],
            "meta": {"x": 1},
            "tenant": "t",
            "delay": "10m",
            "run_at": job.created_at + timedelta(minutes=10),
            "state": "scheduled",
        }
        assert_enqueued(render_pdf, **agreeing)
        for name, wrong in {
            "queue": "default",
            "priority": 49,
            "tags": ["c"],
            "meta": {"x": 2},
            "tenant": "u",
            "delay": "9m",
            "run_at": job.created_at,
            "state": "queued",
        }.items():
            refute_enqueued(render_pdf, **{**agreeing, name: wrong})

    def test_jobs_that_have_run_count(self, manual: Testing) -> None:
        """What was enqueued was enqueued, also after it has run; `state` says otherwise."""
        render_pdf.enqueue(7)
        manual.drain()
        assert_enqueued(render_pdf, args=(7,), count=1)
        refute_enqueued(render_pdf, state="queued")

    def test_count_and_order(self) -> None:
        """`count` wants exactly so many; the newest comes back, `all_enqueued` gives all, the oldest first."""
        jobs = render_pdf.enqueue_many([1, 2, 3])
        assert all_enqueued(render_pdf) == jobs
        assert assert_enqueued(render_pdf, count=3) == jobs[-1]
        with pytest.raises(AssertionError, match=r"^3 and not 2 jobs were enqueued as \(.*render_pdf\)"):
            assert_enqueued(render_pdf, count=2)

    def test_failure_shows_what_there_is(self) -> None:
        """A failed assertion says what was wanted and what was enqueued."""
        render_pdf.enqueue(8, draft=True)
        with pytest.raises(AssertionError) as failed:
            assert_enqueued(render_pdf, args=(7,), queue="documents")
        wanted, head, seen = str(failed.value).splitlines()
        assert wanted == f"no job was enqueued as ({render_pdf.name}, args=(7,), queue='documents')"
        assert head == "enqueued are:"
        assert seen == f"  {render_pdf.name}(8, draft=True) queued, queue documents"
        with pytest.raises(AssertionError, match=r"a job was enqueued as .*, and none should be"):
            refute_enqueued(render_pdf)

    def test_by_name(self) -> None:
        """A task that is known elsewhere only is named, its arguments are plain values."""
        app.enqueue("billing.charge", 7, currency="EUR")
        assert_enqueued("billing.charge", args=(7,), kwargs={"currency": "EUR"})
        refute_enqueued("billing.charge", kwargs={"currency": "USD"})
        refute_enqueued("billing.charge", args=(8,))

    def test_wrong_names_are_told(self) -> None:
        """An argument that the task does not have cannot be asserted by mistake."""
        render_pdf.enqueue(7)
        with pytest.raises(ConfigError, match="takes no such arguments"):
            refute_enqueued(render_pdf, kwargs={"drafts": True})
        with pytest.raises(TypeError, match="queues"):
            refute_enqueued(render_pdf, queues="x")  # type: ignore[call-arg]

    def test_an_app_must_be_meant(self) -> None:
        """With several apps under test a name alone says nothing."""
        with Lineshaft("memory://").testing("manual"), pytest.raises(ConfigError, match="several apps"):
            assert_enqueued("billing.charge")


def test_outside_of_a_block() -> None:
    """Outside of `app.testing()` nothing is known, and the assertion says so instead of passing or failing."""
    with pytest.raises(ConfigError, match=r"its app is not under test.*with app\.testing"):
        refute_enqueued(render_pdf)
    with pytest.raises(ConfigError, match="no app is under test"):
        refute_enqueued("billing.charge")


class TestPerform:
    def test_runs_as_a_job(self) -> None:
        """The task runs as a job of the given attempt, injected, undelayed, and its result comes back rebuilt."""
        expected = {"attempt": 3, "number": 7, "source": "provided", "id": True}
        assert perform(counted, 7, attempt=3) == expected
        assert perform(counted.new(7)) == {**expected, "attempt": 1}
        assert perform(counted.options(queue="x").new(7), attempt=2)["attempt"] == 2

    def test_raises_what_the_job_raises(self) -> None:
        """Errors come out as they are, and what a job steers itself with too."""
        with pytest.raises(ValueError, match="broken"):
            perform(stops, "error")
        with pytest.raises(Snooze):
            perform(stops, "snooze")
        with pytest.raises(RetryLater):
            perform(stops, "later", attempt=99)

    def test_arguments_are_checked(self) -> None:
        """A call that could not be enqueued cannot be performed."""
        with pytest.raises(ArgumentsError):
            perform(render_pdf, "seven")
        with pytest.raises(ConfigError, match="whole number from 1"):
            perform(render_pdf, 7, attempt=0)
        with pytest.raises(TaskError, match="needs a task"):
            perform(len)  # type: ignore[call-overload]
        with app.testing("manual"), pytest.raises(UnknownTaskError):
            perform(app._intake.by_name("elsewhere", [], {}))

    def test_a_parameter_named_attempt_is_the_tasks(self) -> None:
        """A task's own parameter wins over the number of the attempt."""
        assert perform(numbered, attempt=5) == 5
        assert perform(numbered.new(attempt=5), attempt=2) == 5

    def test_leaves_only_what_the_job_enqueued(self, manual: Testing) -> None:
        """A performed job was not enqueued; what it enqueued was."""
        perform(counted, 7)
        refute_enqueued(counted)
        assert_enqueued(other, state="queued")
        with pytest.raises(ValueError, match="broken"):
            perform(stops, "error")
        assert [job.name for job in manual.jobs] == [other.name]

    def test_inline_runs_what_the_job_enqueued(self) -> None:
        """Inside an inline block, what the performed job enqueued runs after it."""
        with app.testing("inline"):
            perform(counted, 7)
            assert_enqueued(other, state="completed")

    def test_jobs_that_wait_do_not_run(self, manual: Testing) -> None:
        """Only the one job runs, whatever else is due."""
        job = render_pdf.options(priority="critical").enqueue(1)
        perform(counted, 7)
        assert job.refresh().state == "queued"
        assert len(manual.drain()) == 2

    @pytest.mark.usefixtures("manual")
    def test_jobs_that_cannot_start(self) -> None:
        """A job that cannot start says why: its queue is paused, or its deadline has passed."""
        app.queues.pause("documents")
        with pytest.raises(ConfigError, match="queue 'documents' is paused"):
            perform(render_pdf, 7)
        with pytest.raises(JobNotRun, match="expired"):
            perform(other.options(deadline=0).new())
        assert all_enqueued(render_pdf) == all_enqueued(other) == []

    def test_awaited(self) -> None:
        """`aperform` runs an `async def` task on the loop that awaits it; `perform` does it too, on another one."""

        async def main() -> None:
            here = id(asyncio.get_running_loop())
            assert await aperform(doubled, 4) == (4, here)
            assert await aperform(doubled.new(4), attempt=2) == (4, here)
            with pytest.raises(ValueError, match="broken"):
                await aperform(stops, "error")

        asyncio.run(main())
        assert perform(doubled, 4)[0] == 4

    def test_rejected_result(self) -> None:
        """A result that could not be stored fails as in service."""

        @app.task(name="unstorable")
        def unstorable() -> Any:
            return object()

        with pytest.raises(Exception, match="unstorable") as failed:
            perform(unstorable)
        assert not isinstance(failed.value, JobFailed)
