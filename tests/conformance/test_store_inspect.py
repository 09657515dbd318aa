"""Reading jobs, queues, workers and logs, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.clock import HOUR
from lineshaft.store import inspect, upkeep
from lineshaft.store.inspect import Filter
from lineshaft.transitions import Complete, State
from tests.plugins.engines import NOW, WORKER, claim_held, finish, new_row, row_of, state_in, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from tests.plugins.engines import MakeJob

STORED = [s for s in State if s not in {State.BLOCKED, State.WAITING, State.SKIPPED}]


def ids(engine: Engine, wanted: Filter, *, limit: int = 100, cursor: str | None = None) -> list[str]:
    found = engine.read(lambda tx: inspect.list_jobs(tx, wanted, limit=limit, cursor=cursor))
    return [row.id for row in found]


def count(engine: Engine, wanted: Filter) -> int:
    return engine.read(lambda tx: inspect.count_jobs(tx, wanted))


def test_unknown_job_is_none(engine: Engine) -> None:
    """A job that was never stored is not found."""
    assert engine.read(lambda tx: inspect.get_job(tx, new_row()["id"])) is None


def test_each_job_is_listed_under_its_state_alone(engine: Engine, make_job: MakeJob) -> None:
    """A filter by state finds the jobs of that state, all of them and no other."""
    made = {state: make_job(state, queue=state.value).id for state in STORED}
    for state, job_id in made.items():
        assert ids(engine, Filter(states=(state,))) == [job_id], state
        assert count(engine, Filter(states=(state,))) == 1
        assert state_in(engine, job_id) is state
    assert count(engine, Filter()) == len(STORED)


def test_several_states_are_listed_together(engine: Engine, make_job: MakeJob) -> None:
    """A filter by several states finds live and finished jobs in one order, each once."""
    states = (State.DEAD, State.COMPLETED, State.QUEUED, State.RUNNING, State.CANCELLING)
    made = [make_job(state, queue=state.value).id for state in states]
    assert ids(engine, Filter(states=(*states, State.DEAD))) == sorted(made, reverse=True)
    assert count(engine, Filter(states=(*states, State.DEAD))) == len(states)


@pytest.mark.parametrize("states", [(), (State.BLOCKED,), (State.WAITING, State.SKIPPED)])
def test_states_without_jobs_are_empty(engine: Engine, make_job: MakeJob, states: tuple[State, ...]) -> None:
    """No states, or states that no job is in, find nothing."""
    make_job()
    assert ids(engine, Filter(states=states)) == []
    assert count(engine, Filter(states=states)) == 0


@pytest.mark.parametrize("is_finished", [False, True], ids=["live", "finished"])
@pytest.mark.parametrize(
    "wanted, columns, others",
    [
        (Filter(queue="pdf"), {"queue": "pdf"}, {"queue": "pdf2"}),
        (Filter(name="shop.pay"), {"name": "shop.pay"}, {"name": "shop.pays"}),
        (Filter(tenant="acme"), {"tenant": "acme"}, {"tenant": None}),
        (Filter(tag="q3"), {"tags": '["x","q3"]'}, {"tags": '["q33"]'}),
        (Filter(tag="q3"), {"tags": '["q3"]'}, {"tags": None}),
        (Filter(since=NOW), {"created_at": NOW}, {"created_at": NOW - 1}),
        (Filter(search="INVOICE-7"), {"args": '[["invoice-7.pdf"],{}]'}, {"args": '[["invoice-8.pdf"],{}]'}),
        (Filter(search="shop.pa"), {"name": "Shop.Pay"}, {"name": "shop.send"}),
        (Filter(search="50%_"), {"args": '[["50%_"],{}]'}, {"args": '[["50xx"],{}]'}),
    ],
)
def test_filters(
    engine: Engine, make_job: MakeJob, wanted: Filter, columns: dict[str, object], others: dict[str, object],
    *, is_finished: bool,
) -> None:  # fmt: skip
    """Each filter finds the jobs that it names and no others, live or finished."""
    state = State.COMPLETED if is_finished else State.QUEUED
    found, _ = make_job(state, **columns), make_job(state, **others)
    assert ids(engine, wanted) == [found.id]
    assert count(engine, wanted) == 1


def test_search_reads_errors(engine: Engine, make_job: MakeJob) -> None:
    """A search finds jobs by what their attempts failed of."""
    retrying, dead, _ = make_job(State.RETRYING), make_job(State.DEAD), make_job(State.COMPLETED)
    assert ids(engine, Filter(search="No Such Page")) == [dead.id, retrying.id]


def test_filters_add_up(engine: Engine) -> None:
    """A job has to satisfy every filter given."""
    both, one = new_row(queue="pdf", tenant="acme"), new_row(queue="pdf", tenant="other")
    store_rows(engine, both, one)
    assert ids(engine, Filter(queue="pdf", tenant="acme", states=(State.QUEUED,))) == [both["id"]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pages_cover_live_and_finished_jobs_once(engine: Engine, size: int) -> None:
    """Paging by cursor shows every job exactly once, the newest first, wherever it is kept."""
    rows = [new_row() for _ in range(12)]
    store_rows(engine, *rows)
    held = claim_held(engine, limit=8)
    finish(engine, *(Complete(one, "1") for one in held[::2]))
    seen: list[str] = []
    while page := ids(engine, Filter(), limit=size, cursor=seen[-1] if seen else None):
        assert len(page) <= size
        seen += page
    assert seen == sorted((row["id"] for row in rows), reverse=True)


def test_new_jobs_do_not_disturb_paging(engine: Engine) -> None:
    """A job that arrives between two pages neither repeats nor hides another."""
    rows = [new_row() for _ in range(4)]
    store_rows(engine, *rows)
    first = ids(engine, Filter(), limit=2)
    store_rows(engine, new_row())
    second = ids(engine, Filter(), limit=2, cursor=first[-1])
    assert first + second == sorted((row["id"] for row in rows), reverse=True)


def test_awaited_jobs_are_those_unfinished(engine: Engine, make_job: MakeJob) -> None:
    """Who waits learns which of the jobs are not finished yet."""
    running, done, waiting = make_job(State.RUNNING), make_job(State.COMPLETED), make_job(State.SCHEDULED)
    wanted = [running.id, done.id, waiting.id, new_row()["id"]]
    assert engine.write(lambda tx: inspect.mark_awaited(tx, wanted)) == {running.id, waiting.id}
    finish(engine, Complete(running.held, "1"))
    assert engine.read(lambda tx: inspect.still_unfinished(tx, wanted)) == {waiting.id}


def test_many_jobs_are_read_at_once(engine: Engine, make_job: MakeJob) -> None:
    """Finished and unfinished jobs are read together, each as it is read alone; ids that are not there are left out."""
    made = [make_job(state) for state in (State.COMPLETED, State.DEAD, State.RUNNING, State.SCHEDULED)]
    ids = [one.id for one in made]
    unknown = new_row()["id"]
    found = engine.read(lambda tx: inspect.get_jobs(tx, [*ids, unknown, *(new_row()["id"] for _ in range(300))]))
    assert found == {job_id: row_of(engine, job_id) for job_id in ids}
    assert engine.read(lambda tx: inspect.get_jobs(tx, [])) == {}


def test_a_glance_shows_what_a_move_changes(engine: Engine, make_job: MakeJob) -> None:
    """A claim and an end change what a glance at a job shows; a job that nobody touched looks the same."""
    moved, still = make_job(), make_job(State.SCHEDULED)

    def glance() -> dict[str, object]:
        return dict(engine.read(lambda tx: inspect.glance_at_jobs(tx, [moved.id, still.id])))

    first = glance()
    [held] = claim_held(engine)
    second = glance()
    assert first[moved.id] != second[moved.id]
    finish(engine, Complete(held, "1"))
    assert glance() == {still.id: first[still.id]}


def test_unfinished_jobs_are_counted_by_queue(engine: Engine, make_job: MakeJob) -> None:
    """The figures by queue, stage and holding cover the unfinished jobs and no finished one."""
    for state in (State.RUNNING, State.CANCELLING, State.COMPLETED, State.QUEUED, State.SCHEDULED):
        make_job(state)
    make_job(State.RETRYING, queue="pdf")
    found = {
        (queue, stage, bool(is_held), number) for queue, stage, is_held, number in engine.read(inspect.count_by_queue)
    }
    assert found == {("default", 0, False, 1), ("default", 1, False, 1), ("default", 1, True, 2), ("pdf", 2, False, 1)}


def test_running_jobs_are_counted_by_worker(engine: Engine, make_job: MakeJob) -> None:
    """Occupancy is read off the jobs held, finished ones not among them."""
    make_job(State.COMPLETED)
    make_job(State.RUNNING)
    make_job(State.CANCELLING)
    store_rows(engine, new_row())
    claim_held(engine, worker=8)
    assert engine.read(inspect.running_by_worker) == {WORKER: 2, 8: 1}


def test_workers_are_listed_as_registered(engine: Engine) -> None:
    """A worker's row says what it said of itself, and when it last spoke."""
    queues, tasks = {"pdf": 4}, ["a.b"]
    worker = engine.write(
        lambda tx: upkeep.register_worker(tx, host="h", pid=9, version="1", queues=queues, tasks=tasks, now=NOW)
    )
    engine.write(lambda tx: upkeep.beat(tx, worker=worker, server="", now=NOW + HOUR))
    engine.write(lambda tx: upkeep.set_idle(tx, worker=worker, is_idle=True))
    engine.write(lambda tx: upkeep.set_draining(tx, worker=worker))
    [row] = engine.read(inspect.list_workers)
    assert row == (worker, "h", 9, "1", '{"pdf":4}', '["a.b"]', NOW, NOW + HOUR, True, True, None)


def test_a_read_sees_what_a_write_left(engine: Engine, make_job: MakeJob) -> None:
    """What was committed is seen by the next read."""
    job = make_job(State.SCHEDULED)
    assert row_of(engine, job.id).run_at == NOW + HOUR
