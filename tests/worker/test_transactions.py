"""`current_job().transaction()`: what a job writes commits with its completion, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lineshaft import Cancelled, JobFailed, JobTimeout, Lineshaft, Retry, State, current_job
from lineshaft.retry import Fixed
from tests.plugins.apps import Gates, StartWorker

TWICE = Retry(max_attempts=2, backoff=Fixed(0))


@pytest.fixture
def count(durable_app: Lineshaft) -> Callable[[], int]:
    """Counts the rows of a table `effect` that the test's jobs write into."""
    table = _table(durable_app)
    with durable_app.transaction() as connection:
        connection.execute(f"create table {table} (name text)")

    def count() -> int:
        with durable_app.transaction() as connection:
            found: int = connection.execute(f"select count(*) from {table}").fetchone()[0]
            return found

    return count


def _table(app: Lineshaft) -> str:
    schema = app.settings.store.rpartition("schema=")[2] if app.settings.store.startswith("postgres") else "main"
    return f"{schema}.effect"


def test_effect_and_completion_commit_together(
    durable_app: Lineshaft, start_worker: StartWorker, gates: Gates, count: Callable[[], int]
) -> None:
    """Nobody sees the block's writes before the function returns; then they and the completion are there at once."""
    app, table = durable_app, _table(durable_app)

    @app.task(name="write")
    def write() -> str:
        with current_job().transaction() as connection:
            connection.execute(f"insert into {table} values ('effect')")
            app.enqueue("follow")
        gates.note("block over")
        gates.wait("go")
        return "done"

    app.task(name="follow")(lambda: "followed")
    start_worker(app)
    job = write.enqueue()
    assert gates.next() == "block over"
    assert app.jobs.count(name="follow") == 0
    gates.open("go")
    assert job.result(10) == "done"
    assert count() == 1
    [follower] = app.jobs.list(name="follow")
    assert follower.result(10) == "followed"


@pytest.mark.parametrize("is_async", [False, True], ids=["thread", "async"])
@pytest.mark.parametrize("where", ["inside", "after"])
def test_error_rolls_back(
    durable_app: Lineshaft,
    start_worker: StartWorker,
    count: Callable[[], int],
    is_async: bool,  # noqa: FBT001 - a parameter
    where: str,
) -> None:
    """An error in the block or after it rolls back what the attempt wrote and enqueued; the next attempt's is kept."""
    app, statement = durable_app, f"insert into {_table(durable_app)} values ('effect')"

    def fail(here: str) -> None:
        if where == here and current_job().attempt == 1:
            raise ValueError(here)

    def plain() -> None:
        with current_job().transaction() as connection:
            connection.execute(statement)
            app.enqueue("follow")
            fail("inside")
        fail("after")

    async def coroutine() -> None:
        async with current_job().atransaction() as connection:
            outcome: Any = connection.execute(statement)
            if hasattr(outcome, "__await__"):
                await outcome
            await app.aenqueue("follow")
            fail("inside")
        fail("after")

    app.task(name="follow")(lambda: None)
    task: Any = app.task(name="write", retry=TWICE)(coroutine if is_async else plain)
    start_worker(app)
    job = task.enqueue()
    job.result(10)
    assert [error["message"] for error in job.errors] == [where]
    assert (count(), app.jobs.count(name="follow")) == (1, 1)


def test_second_block_is_refused(durable_app: Lineshaft, start_worker: StartWorker, count: Callable[[], int]) -> None:
    """A job has one transaction: a second block fails the attempt and rolls the first one back."""
    app, table = durable_app, _table(durable_app)

    @app.task(name="write", retry=None)
    def write() -> None:
        with current_job().transaction() as connection:
            connection.execute(f"insert into {table} values ('effect')")
        with current_job().transaction():
            pass

    start_worker(app)
    with pytest.raises(JobFailed, match="second transaction"):
        write.enqueue().result(10)
    assert count() == 0


def test_stop_rolls_back(
    durable_app: Lineshaft, start_worker: StartWorker, gates: Gates, count: Callable[[], int]
) -> None:
    """A job that times out after its block leaves no effect, and the store takes writes at once."""
    app, table = durable_app, _table(durable_app)

    @app.task(name="write", timeout=0.1, retry=None)
    def write() -> None:
        with current_job().transaction() as connection:
            connection.execute(f"insert into {table} values ('effect')")
        gates.wait("never")

    start_worker(app)
    with pytest.raises(JobTimeout):
        write.enqueue().result(10)
    assert count() == 0
    assert app.enqueue("anything").state is State.QUEUED


def test_stops_that_race_with_the_commit(
    durable_app: Lineshaft, start_worker: StartWorker, count: Callable[[], int]
) -> None:
    """Timeouts that race with commits leave each job completed with its effect or dead without, no open block."""
    app, table = durable_app, _table(durable_app)

    @app.task(name="write", timeout=0.004, retry=None)
    def write() -> None:
        try:
            with current_job().transaction() as connection:
                connection.execute(f"insert into {table} values ('effect')")
        except Cancelled:
            current_job().log.info("stopped in the block")
            raise

    start_worker(app, {"default": 2})
    jobs = write.enqueue_many([()] * 60)
    for job in jobs:
        job.wait(20)
    completed = [job for job in jobs if job.state is State.COMPLETED]
    assert count() == len(completed)
    assert {job.state for job in jobs} <= {State.COMPLETED, State.DEAD}
    assert app.enqueue("anything").state is State.QUEUED


def test_plain_transaction_outside_a_job(durable_app: Lineshaft, count: Callable[[], int]) -> None:
    """`app.transaction()` commits what is written and enqueued inside it together, and rolls both back on an error."""
    app, statement = durable_app, f"insert into {_table(durable_app)} values ('effect')"
    with app.transaction() as connection:
        connection.execute(statement)
        app.enqueue("follow")
    with pytest.raises(ValueError, match="no"), app.transaction() as connection:  # noqa: PT012 - the block is tested
        connection.execute(statement)
        app.enqueue("follow")
        raise ValueError("no")
    assert (count(), app.jobs.count()) == (1, 1)
