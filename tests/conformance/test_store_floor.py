"""Claims that begin behind a place, and the look at what stands before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from lineshaft.engines.postgres.transaction import bind, in_schema
from lineshaft.store import claim
from lineshaft.store.claim import Place, claim_jobs, first_before
from lineshaft.store.control import pause_queue, resume_queue
from tests.plugins.engines import NOW, WORKER, claim_held, new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Statement
    from lineshaft.engines.postgres import PostgresEngine
    from lineshaft.store.enqueue import NewRow


def place_of(row: NewRow) -> Place:
    return Place(row["rank"], row["run_at"], row["id"])


def claim_from(engine: Engine, start: Place, limit: int = 10) -> list[str]:
    taken = engine.write(lambda tx: claim_jobs(tx, queue="default", limit=limit, worker=WORKER, now=NOW, start=start))
    return [one.held.id for one in taken]


def look(engine: Engine, place: Place) -> Place | None:
    return engine.read(lambda tx: first_before(tx, "default", place))


def test_a_claim_from_a_place_takes_it_and_what_follows(engine: Engine) -> None:
    """A claim that starts at a place takes that job and later ones in order, and none of smaller rank, time or id."""
    urgent, early = new_row(rank=-1), new_row(run_at=NOW - 1)
    first, second = sorted((new_row(), new_row()), key=lambda row: row["id"])
    late, idle, other = new_row(run_at=NOW + 1), new_row(rank=1, run_at=0), new_row(queue="other", rank=5)
    store_rows(engine, idle, late, second, first, early, urgent, other)
    assert claim_from(engine, place_of(second), limit=1) == [second["id"]]
    assert claim_from(engine, place_of(second)) == [late["id"], idle["id"]]
    assert [one.id for one in claim_held(engine, limit=10)] == [urgent["id"], early["id"], first["id"]]


def test_the_look_finds_the_first_job_before_a_place(engine: Engine) -> None:
    """The look finds the first job that could be claimed before a place: by rank, by time, and by id."""
    place = Place(0, NOW, "80000000-0000-7000-8000-000000000000")
    assert look(engine, place) is None
    for row in (
        new_row(id="00000000-0000-7000-8000-000000000001"),
        new_row(run_at=NOW - 1),
        new_row(rank=-1, run_at=NOW + 1),
    ):
        store_rows(engine, row)
        assert look(engine, place) == place_of(row)
    store_rows(engine, new_row(queue="other", rank=-9))
    assert look(engine, place) == place_of(row)


def test_the_look_passes_over_what_cannot_be_claimed(engine: Engine) -> None:
    """Running and scheduled jobs, and those of a paused queue, are not waiting before a place."""
    place = Place(0, NOW, "00000000-0000-7000-8000-000000000000")
    running, waiting = new_row(rank=-2), new_row(rank=-1)
    store_rows(engine, running, waiting, new_row(rank=-3, stage=0, run_at=NOW + 1))
    claim_held(engine, limit=1)
    assert look(engine, place) == place_of(waiting)
    engine.write(lambda tx: pause_queue(tx, "default", now=NOW))
    assert look(engine, place) is None
    assert claim_from(engine, place_of(waiting)) == []
    engine.write(lambda tx: resume_queue(tx, "default"))
    assert look(engine, place) == place_of(waiting)


def test_a_claim_from_a_place_does_not_read_what_lies_before_it(postgres_engine: Engine) -> None:
    """PostgreSQL begins the scan at the place: the comparison is a condition of the index and no filter."""
    store_rows(postgres_engine, *(new_row(run_at=NOW + number) for number in range(2_000)))
    condition = "Index Cond: "
    for statement in (claim.SQL.claim_jobs_from, claim.SQL.first_before):
        plan = explained(postgres_engine, statement)
        line = next(one for one in plan if condition in one and "rank" in one)
        assert "ROW(rank, COALESCE(turn, run_at), id)" in line, plan
        assert not any("Filter" in one and "ROW(" in one for one in plan), plan
        assert not any("Sort" in one or "Seq Scan on job" in one for one in plan), plan


def explained(engine: Engine, statement: Statement) -> list[str]:
    """Explain a statement with the engine's own session settings, in its generic plan."""
    postgres = cast("PostgresEngine", engine)
    place = Place(0, NOW, "80000000-0000-7000-8000-000000000000")
    params = {"queue": "default", "limit": 100, "worker": WORKER, "now": NOW, "is_granted": False} | place._asdict()
    text = b"explain " + in_schema(statement.postgres.parts[0], postgres.schema)
    with postgres.transaction() as tx:
        return [line for (line,) in tx.connection.execute(text, bind(statement, params, None)).fetchall()]
