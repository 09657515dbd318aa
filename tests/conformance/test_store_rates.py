"""How busy a store is: counts that stop at a limit, and what workers say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.clock import HOUR
from lineshaft.store import control, inspect, rates, upkeep
from lineshaft.store.rates import Due, Head, QueueLoad, Ready, WorkerLoad
from lineshaft.transitions import Stage, State
from tests.plugins.engines import NOW, new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from tests.plugins.engines import MakeJob


def register(engine: Engine) -> int:
    """Register a worker."""
    return engine.write(
        lambda tx: upkeep.register_worker(tx, host="h", pid=9, version="1", queues={"pdf": 4}, tasks=[], now=NOW)
    )


def test_heads_name_each_queue_with_its_ranks(engine: Engine) -> None:
    """Each queue with ready jobs is found once for each rank, whatever else it holds; never more than asked for."""
    found = [("mail", 0), ("pdf", -50), ("pdf", 0), ("pdf", 7)]
    for queue, rank in found * 3:
        store_rows(engine, new_row(queue=queue, rank=rank))
    store_rows(engine, new_row(queue="later", stage=int(Stage.SCHEDULED)))
    assert sorted(engine.read(lambda tx: rates.list_heads(tx, limit=10))) == [Head(*one) for one in found]
    assert len(engine.read(lambda tx: rates.list_heads(tx, limit=2))) == 2


def test_an_empty_store_has_nothing(engine: Engine) -> None:
    """Where there is nothing to count, nothing is found."""
    assert engine.read(lambda tx: rates.list_heads(tx, limit=10)) == []
    assert engine.read(lambda tx: rates.count_ready(tx, [], limit=10)) == []
    assert engine.read(lambda tx: rates.count_due(tx, limit=10)) == []


def test_ready_jobs_are_counted_up_to_the_limit(engine: Engine, make_job: MakeJob) -> None:
    """Running ones count too, and the time of the first that nobody holds is told."""
    make_job(State.RUNNING, run_at=NOW - 9)
    for number in range(3):
        store_rows(engine, new_row(run_at=NOW - number))
    heads = [Head("default", 0), Head("none", 0)]
    counted = engine.read(lambda tx: rates.count_ready(tx, heads, limit=10))
    assert counted == [Ready("default", 4, NOW - 2), Ready("none", 0, None)]
    assert engine.read(lambda tx: rates.count_ready(tx, heads[:1], limit=3)) == [Ready("default", 3, NOW - 2)]


def test_a_queue_whose_jobs_all_run_has_no_oldest(engine: Engine, make_job: MakeJob) -> None:
    """Nothing waits, so nothing has waited."""
    make_job(State.RUNNING)
    assert engine.read(lambda tx: rates.count_ready(tx, [Head("default", 0)], limit=9)) == [Ready("default", 1, None)]


def test_jobs_that_wait_for_their_time_are_counted(engine: Engine, make_job: MakeJob) -> None:
    """By queue and by what they wait for; of all together, no more than the limit."""
    make_job(State.RETRYING, queue="pdf")
    for _ in range(2):
        store_rows(engine, new_row(stage=int(Stage.SCHEDULED), run_at=NOW + HOUR))
    found = {Due("pdf", Stage.RETRYING, 1), Due("default", Stage.SCHEDULED, 2)}
    assert set(engine.read(lambda tx: rates.count_due(tx, limit=10))) == found
    assert sum(one.counted for one in engine.read(lambda tx: rates.count_due(tx, limit=2))) == 2


def test_the_total_grows_with_each_job(sqlite_engine: Engine) -> None:
    """On SQLite the total counts what was stored at once, also what is gone by then."""
    before = sqlite_engine.read(rates.enqueued_total)
    row = new_row()
    store_rows(sqlite_engine, row, new_row())
    sqlite_engine.write(lambda tx: control.delete_jobs(tx, [row["id"]]))
    assert sqlite_engine.read(rates.enqueued_total) == before + 2


def test_the_total_grows_on_postgres(postgres_engine: Engine) -> None:
    """On PostgreSQL it is that of the statistics, which a session brings up to date when it ends at the latest."""
    before = postgres_engine.read(rates.enqueued_total)
    store_rows(postgres_engine, new_row(), new_row())
    postgres_engine.close()
    assert postgres_engine.read(rates.enqueued_total) == before + 2


def test_a_heartbeat_carries_the_load(engine: Engine) -> None:
    """What a worker says of itself stays until it says something else; a beat without it leaves it."""
    worker = register(engine)
    assert rates.load_of(engine.read(inspect.list_workers)[0].load) == WorkerLoad(0, {})
    load = WorkerLoad(4, {"pdf": QueueLoad(3, 20, 2, 1)})
    for said in (rates.dump_load(load), None):
        engine.write(lambda tx, said=said: upkeep.beat(tx, worker=worker, server="", now=NOW, load=said))
        assert rates.load_of(engine.read(inspect.list_workers)[0].load) == load


def test_drained_workers_hear_it_with_their_next_beat(engine: Engine) -> None:
    """Those that there are are told, others are not made up; the others go on."""
    one, other = register(engine), register(engine)
    assert engine.write(lambda tx: control.drain_workers(tx, [one, 99])) == {one}
    heard = [engine.write(lambda tx, who=who: upkeep.beat(tx, worker=who, server="", now=NOW)) for who in (one, other)]
    assert [beaten and beaten.is_draining for beaten in heard] == [True, False]
