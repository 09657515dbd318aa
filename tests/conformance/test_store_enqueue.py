"""Enqueue on every engine: all or nothing, once however often it is sent, never over a queue's depth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest

from lineshaft.clock import HOUR
from lineshaft.errors import QueueFull, StoreError, StoreUnavailableError
from lineshaft.ids import new_id
from lineshaft.store import control, inspect
from lineshaft.store.claim import claim_jobs
from lineshaft.store.enqueue import insert_alone, insert_jobs
from lineshaft.transitions import Complete, State
from tests.plugins.engines import LIMIT_SECONDS, NOW, WORKER, claim_held, finish, new_row, row_of, state_in, store_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine
    from lineshaft.store.enqueue import NewRow
    from tests.plugins.engines import MakeJob


def limit(engine: Engine, depth: int | None, queue: str = "default") -> None:
    engine.write(lambda tx: control.limit_queue(tx, queue, depth))


def count(engine: Engine, wanted: inspect.Filter | None = None) -> int:
    return engine.read(lambda tx: inspect.count_jobs(tx, wanted or inspect.Filter()))


def store_alone(engine: Engine, row: NewRow) -> None:
    assert insert_alone(engine, row)


def store_with_its_like(engine: Engine, row: NewRow) -> None:
    store_rows(engine, row, {**row, "id": new_id(), "args": "[[],{}]"})


def store_with_another(engine: Engine, row: NewRow) -> None:
    store_rows(engine, row, new_row(queue="other"))


@pytest.mark.parametrize("store", [store_alone, store_with_its_like, store_with_another])
def test_every_column_is_stored(engine: Engine, store: Callable[[Engine, NewRow], None]) -> None:
    """What was enqueued is what is read back, whichever statement stored it."""
    row = new_row(
        queue="pdf", rank=-50, run_at=NOW + 1, stage=0, created_at=NOW - 5, max_attempts=9, deadline=NOW + 7,
        tenant="acme", tags='["q3","ä"]', meta='{"by":"ann"}', args='[[1,"\\u0000 \\"x\\" ☃"],{"draft":true}]',
    )  # fmt: skip
    store(engine, row)
    stored = row_of(engine, row["id"])._asdict()
    shared = row.keys() & stored.keys()
    assert {name: stored[name] for name in shared} == {name: dict(row)[name] for name in shared}
    assert (stored["claim"], stored["attempt"], stored["worker"]) == (0, 0, None)


def test_options_and_context_reach_the_worker(engine: Engine) -> None:
    """Options and context are handed to whoever claims the job."""
    store_rows(engine, new_row(options='{"timeout":5}', context='{"trace":"1"}'))
    [job] = engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=WORKER, now=NOW))
    assert (job.options, job.context) == ('{"timeout":5}', '{"trace":"1"}')


def test_many_jobs_are_stored_at_once(engine: Engine) -> None:
    """A thousand jobs are one statement and all are there."""
    store_rows(engine, *(new_row() for _ in range(1_000)))
    assert count(engine) == 1_000


def test_an_error_later_in_the_transaction_stores_nothing(engine: Engine) -> None:
    """A job exists if and only if its transaction committed."""

    def store_then_fail() -> None:
        with engine.transaction() as tx:
            insert_jobs(tx, [new_row(), new_row()])
            raise LookupError

    with pytest.raises(LookupError):
        store_then_fail()
    assert count(engine) == 0


def test_resent_waiting_job_stays_one(engine: Engine) -> None:
    """A job that is sent again while it waits is stored once, as it was first."""
    row = new_row(args="[[1],{}]")
    store_rows(engine, row)
    store_rows(engine, new_row(id=row["id"], args="[[2],{}]"), is_resend=True)
    assert row_of(engine, row["id"]).args == "[[1],{}]"
    assert count(engine) == 1


@pytest.mark.parametrize("state", [s for s in State if s not in {State.BLOCKED, State.WAITING, State.SKIPPED}], ids=str)
def test_resend_leaves_a_job_in_any_state_alone(engine: Engine, make_job: MakeJob, state: State) -> None:
    """A job that was stored, run or finished before the resend arrives is neither changed nor run again."""
    job = make_job(state)
    before = row_of(engine, job.id)
    store_rows(engine, new_row(id=job.id), is_resend=True)
    assert row_of(engine, job.id) == before
    assert count(engine) == 1
    assert len(claim_held(engine, limit=5)) == (state is State.QUEUED)


def test_partly_stored_batch_is_completed(engine: Engine) -> None:
    """Of a batch that is sent again only the missing jobs are added."""
    rows = [new_row() for _ in range(4)]
    store_rows(engine, *rows[:2])
    [held] = claim_held(engine)
    finish(engine, Complete(held, "1"))
    store_rows(engine, *rows, is_resend=True)
    assert count(engine) == 4
    assert state_in(engine, held.id) is State.COMPLETED


def test_jobs_of_one_call_keep_what_is_their_own(engine: Engine) -> None:
    """Jobs that share everything but id and arguments are stored with their own."""
    rows = [new_row(args=f"[[{number}],{{}}]") for number in range(100)]
    store_rows(engine, *rows)
    assert [row_of(engine, row["id"]).args for row in rows] == [row["args"] for row in rows]


def test_alone_stores_nothing_in_a_limited_queue(engine: Engine) -> None:
    """One statement cannot hold a queue's depth, so it leaves limited queues to a transaction that can."""
    limit(engine, 3)
    assert not insert_alone(engine, new_row())
    assert insert_alone(engine, new_row(queue="other"))
    assert count(engine) == 1


def test_alone_waits_for_another_writer(engine: Engine) -> None:
    """An enqueue in the middle of somebody else's transaction is stored as soon as that has ended."""
    with ThreadPoolExecutor(1) as thread:
        with engine.transaction() as tx:
            insert_jobs(tx, [new_row()])
            stored = thread.submit(insert_alone, engine, new_row())
        assert stored.result(LIMIT_SECONDS)
    assert count(engine) == 2


def test_alone_refuses_a_text_that_postgres_cannot_hold(postgres_engine: Engine) -> None:
    """A text with a NUL in it is refused, not cut off at it."""
    with pytest.raises(StoreError, match="NUL"):
        insert_alone(postgres_engine, new_row(tenant="acme\0corp"))
    assert count(postgres_engine) == 0


def test_alone_outlives_a_rollback_on_its_session(engine: Engine) -> None:
    """After somebody's transaction was rolled back on the same connection the next enqueue works as before."""
    assert insert_alone(engine, new_row())
    with suppress(LookupError), engine.transaction() as tx:
        insert_jobs(tx, [new_row()])
        raise LookupError
    assert insert_alone(engine, new_row())
    assert count(engine) == 2


def test_alone_finds_its_session_cut(postgres_engine: Engine) -> None:
    """An enqueue on a session that was cut says that the store is away, and the next one works."""
    assert insert_alone(postgres_engine, new_row())
    cut_idle_sessions(postgres_engine)
    with pytest.raises(StoreUnavailableError):
        insert_alone(postgres_engine, new_row())
    assert insert_alone(postgres_engine, new_row())
    assert count(postgres_engine) == 2


def cut_idle_sessions(engine: Engine) -> None:
    others = (
        "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
        " where pid <> pg_backend_pid() and datname = current_database() and application_name = 'lineshaft'"
    )
    with cast("PostgresEngine", engine).connect() as connection:
        connection.execute(others)


def test_full_queue_takes_nothing(engine: Engine) -> None:
    """A batch that would exceed the depth is refused whole, with the figures in one line."""
    limit(engine, 3)
    store_rows(engine, new_row(), new_row())
    with pytest.raises(QueueFull, match=r"^queue 'default' holds 2 of at most 3 .* cannot take 2 more; .*$"):
        store_rows(engine, new_row(), new_row())
    store_rows(engine, new_row())
    assert count(engine) == 3


def test_full_queue_refuses_a_batch_for_several_queues(engine: Engine) -> None:
    """One full queue keeps the whole batch out, the jobs for other queues too."""
    limit(engine, 1)
    with pytest.raises(QueueFull):
        store_rows(engine, new_row(queue="other"), new_row(), new_row())
    assert count(engine) == 0


def test_zero_depth_closes_a_queue(engine: Engine) -> None:
    """A depth of 0 takes no job at all."""
    limit(engine, 0)
    with pytest.raises(QueueFull):
        store_rows(engine, new_row())


def test_depth_counts_what_waits(engine: Engine, make_job: MakeJob) -> None:
    """Running and finished jobs take no place; scheduled and retrying ones do."""
    make_job(State.COMPLETED)
    make_job(State.RUNNING)
    make_job(State.RETRYING)
    make_job(State.SCHEDULED)
    limit(engine, 3)
    store_rows(engine, new_row())
    with pytest.raises(QueueFull):
        store_rows(engine, new_row())


def test_lifted_depth_limits_nothing(engine: Engine) -> None:
    """Taking the limit away lets jobs in again."""
    limit(engine, 0)
    limit(engine, None)
    store_rows(engine, new_row())
    assert count(engine) == 1


def test_resend_into_a_full_queue_succeeds(engine: Engine) -> None:
    """Jobs that are stored already need no second place, so their resend is no QueueFull."""
    limit(engine, 2)
    rows = [new_row(), new_row()]
    store_rows(engine, *rows)
    store_rows(engine, *rows, is_resend=True)
    assert count(engine) == 2


def test_concurrent_enqueuers_never_exceed_the_depth(
    engine: Engine, race: Callable[[int, Callable[[int], int]], list[int]]
) -> None:
    """However many clients enqueue at the same moment, the queue never holds more than its depth."""
    limit(engine, 10)

    def enqueue(_: int) -> int:
        stored = 0
        for size in (1, 2, 3):
            try:
                store_rows(engine, *(new_row() for _ in range(size)))
                stored += size
            except QueueFull:
                continue
        return stored

    assert sum(race(6, enqueue)) == count(engine)
    assert 8 <= count(engine) <= 10  # a batch of three may not fit into the last two places


def test_concurrent_resends_store_one_job(
    engine: Engine, race: Callable[[int, Callable[[int], None]], list[None]]
) -> None:
    """A job that is sent several times at once is stored once."""
    rows = [new_row(run_at=NOW + HOUR, stage=0) for _ in range(5)]
    race(4, lambda _: store_rows(engine, *rows, is_resend=True))
    assert count(engine) == 5


def test_a_depth_may_be_passed_over(engine: Engine) -> None:
    """Rows that are not limited are stored whatever the depth of their queue, in one statement for all queues."""
    limit(engine, 1)
    rows = [new_row(), new_row(), new_row(queue="other")]
    engine.write(lambda tx: insert_jobs(tx, rows, is_limited=False))
    assert {state_in(engine, row["id"]) for row in rows} == {State.QUEUED}
    with pytest.raises(QueueFull):
        engine.write(lambda tx: insert_jobs(tx, [new_row()]))
