"""Moving a store: what was in one is in the other, and at no moment can both be written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.copying import copy_store, reopen
from lineshaft.copying.record import closed_record
from lineshaft.errors import ConfigError, SchemaError, StoreClosedError, StoreError
from lineshaft.store import closure, control, migrate, upkeep
from lineshaft.store.copy import SCHEDULES, TABLES, Digest, load_rows, take_rows
from lineshaft.transitions import Complete, State
from tests.plugins.contents import Quiet, rows_of
from tests.plugins.engines import (
    NOW,
    claim_held,
    finish,
    new_row,
    open_engine,
    row_of,
    state_in,
    store_rows,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft.engines.base import Engine
    from tests.copying.conftest import Full

HELD = (State.RUNNING, State.CANCELLING)
NOT_BARRED = {"migration", "epoch", "closure", "leader"}


class BrokenOffError(Exception):
    """What a test breaks a copy off with."""


class Breaking(Quiet):
    """Breaks a copy off when a table's turn comes, and may do something before."""

    def __init__(self, table: str, act: Callable[[], object] = lambda: None) -> None:
        self._table, self._act = table, act

    def step(self, what: str, total: int) -> None:  # noqa: ARG002 - the watcher's signature
        """Act and raise at the table."""
        if what == self._table:
            self._act()
            raise BrokenOffError


def break_off(full: Full, empty: Engine, table: str = "queues", act: Callable[[], object] = lambda: None) -> None:
    """Copy until a table's turn."""
    with pytest.raises(BrokenOffError):
        copy_store(full.engine, empty, Breaking(table, act))


def enqueue(engine: Engine) -> None:
    """Enqueue a job."""
    store_rows(engine, new_row())


def register(engine: Engine) -> int:
    """Register a worker that lives."""
    now = engine.clock.now()
    return engine.write(
        lambda tx: upkeep.register_worker(tx, host="h", pid=1, version="1", queues={"default": 1}, tasks=[], now=now)
    )


def test_what_is_in_one_is_in_the_other(full: Full, empty: Engine) -> None:
    """Each table of the target, on the same engine or the other one, has the rows of the source, equal by digest."""
    full.add_bulk()
    copied = copy_store(full.engine, empty, Quiet(), chunk=400)
    there = full.engine.read(rows_of)
    assert empty.read(rows_of) == there
    for table in TABLES:
        digest = Digest()
        count = len(list(digest.over(empty.read(lambda tx, table=table: list(take_rows(tx, table))))))
        assert copied.tables[table.name].count == count > 0
        assert copied.tables[table.name].digest == digest.text
    for state, job in full.jobs.items():
        assert state_in(empty, job) is (State.QUEUED if state in HELD else state)


def test_jobs_of_workers_that_are_gone_wait_again(full: Full, empty: Engine) -> None:
    """What a dead worker held waits again in both stores, no attempt used up; a request to cancel it stays."""
    before = {state: row_of(full.engine, full.jobs[state]) for state in HELD}
    copied = copy_store(full.engine, empty, Quiet())
    assert set(copied.interrupted) == {full.jobs[state] for state in HELD}
    for state, row in before.items():
        after = row_of(empty, full.jobs[state])
        assert (after.worker, after.attempt, after.claim) == (None, row.attempt - 1, row.claim)
        assert after.cancel_requested == row.cancel_requested


def test_paused_queues_stay_paused(full: Full, empty: Engine) -> None:
    """A worker of the target takes what waits but from queues that were paused; none is paused that was not."""
    full.engine.write(lambda tx: control.pause_queue(tx, "in-queued", now=NOW))
    copy_store(full.engine, empty, Quiet())
    worker = register(empty)
    assert claim_held(empty, queue="in-queued", worker=worker) == []
    assert [one.id for one in claim_held(empty, queue="in-running", worker=worker)] == [full.jobs[State.RUNNING]]


def writes(full: Full, engine: Engine) -> dict[str, Callable[[], object]]:
    """Return what clients and people do to a store that changes it."""
    return {
        "enqueue": lambda: enqueue(engine),
        "cancel": lambda: engine.write(
            lambda tx: control.cancel_jobs(tx, [full.jobs[State.QUEUED]], now=NOW, expires_at=NOW)
        ),
        "retry": lambda: engine.write(lambda tx: control.revive_jobs(tx, [full.jobs[State.DEAD]], now=NOW)),
        "reschedule": lambda: engine.write(
            lambda tx: control.reschedule_job(tx, full.jobs[State.SCHEDULED], run_at=NOW, now=NOW)
        ),
        "delete": lambda: engine.write(lambda tx: control.delete_jobs(tx, [full.jobs[State.COMPLETED]])),
        "pause": lambda: engine.write(lambda tx: control.pause_queue(tx, "default", now=NOW)),
        "start a worker": lambda: register(engine),
        "claim": lambda: claim_held(engine, queue="in-queued"),
    }


def refused(full: Full, engine: Engine, words: str) -> None:
    """Check that a store takes nothing, says why in one line, and can be read."""
    before = engine.read(rows_of)
    for name, write in writes(full, engine).items():
        with pytest.raises(StoreClosedError, match=words) as told:
            write()
        assert "\n" not in str(told.value), name
    assert engine.read(rows_of) == before


def test_one_store_at_most_is_open(full: Full, empty: Engine) -> None:
    """While rows are copied both stores refuse whatever writes, afterwards the source does; the target is open."""

    def look() -> None:
        refused(full, full.engine, "was closed to be moved to")
        with pytest.raises(StoreClosedError, match="is being copied from"):
            enqueue(empty)

    break_off(full, empty, act=look)
    refused(full, full.engine, "was closed to be moved to")
    with pytest.raises(StoreClosedError, match="is being copied from"):
        register(empty)
    copy_store(full.engine, empty, Quiet())
    refused(full, full.engine, "was closed to be moved to")
    for write in writes(full, empty).values():
        write()


def test_every_table_is_barred(durable_engine: Engine) -> None:
    """A closed store has a bar on each table but those that tell of the store itself; an opened one has none."""
    note = closure.Closure("no 'more'", "{}")
    durable_engine.write(lambda tx: closure.close_store(tx, durable_engine, note))
    assert durable_engine.read(_barred) == durable_engine.read(_tables) - NOT_BARRED
    with pytest.raises(StoreClosedError, match="no 'more'"):
        enqueue(durable_engine)
    durable_engine.write(lambda tx: closure.open_store(tx, durable_engine, None))
    assert durable_engine.read(_barred) == set()
    enqueue(durable_engine)


def _tables(tx: Any) -> set[str]:
    if tx.dialect == "sqlite":
        found = tx.connection.execute("select name from sqlite_master where type = 'table' and name like 'lineshaft%'")
        return {name.removeprefix("lineshaft_") for (name,) in found.fetchall()}
    found = tx.connection.execute(
        "select relname from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'p')"
        " and not relispartition", (tx._schema,),
    )  # fmt: skip
    return {name for (name,) in found.fetchall()}


def _barred(tx: Any) -> set[str]:
    if tx.dialect == "sqlite":
        found = tx.connection.execute("select tbl_name from sqlite_master where type = 'trigger'")
        return {name.removeprefix("lineshaft_") for (name,) in found.fetchall()}
    found = tx.connection.execute(
        "select relname from pg_trigger t join pg_class c on c.oid = tgrelid"
        " where relnamespace = %s::regnamespace and not relispartition", (tx._schema,),
    )  # fmt: skip
    return {name for (name,) in found.fetchall()}


def test_nothing_that_was_acknowledged_stays_behind(full: Full, empty: Engine, race: Any) -> None:
    """Clients that enqueue while the source is closed hear of it, and whatever was acknowledged is in the target."""
    clients = 3

    def act(number: int) -> list[str]:
        if number == clients:
            copy_store(full.engine, empty, Quiet())
            return []
        return _enqueue_until_refused(full.address)

    acknowledged = [job for jobs in race(clients + 1, act) for job in jobs]
    assert {state_in(empty, job) for job in acknowledged} <= {State.QUEUED}
    assert empty.read(rows_of) == full.engine.read(rows_of)


def _enqueue_until_refused(address: str) -> list[str]:
    engine = open_engine(address)
    acknowledged: list[str] = []
    try:
        while True:
            row = new_row()
            store_rows(engine, row)
            acknowledged.append(row["id"])
    except StoreClosedError:
        return acknowledged
    finally:
        engine.close()


def test_live_worker_is_in_the_way(full: Full, empty: Engine) -> None:
    """A copy begins when every worker has ended, also of the target, and says who has not; nothing is closed before."""
    worker = register(full.engine)
    with pytest.raises(StoreError, match=rf"has live workers \({worker} on h\); end them"):
        copy_store(full.engine, empty, Quiet())
    enqueue(full.engine)
    full.engine.write(lambda tx: upkeep.remove_worker(tx, worker))
    other = register(empty)
    with pytest.raises(StoreError, match="has live workers"):
        copy_store(full.engine, empty, Quiet())
    empty.write(lambda tx: upkeep.remove_worker(tx, other))
    copy_store(full.engine, empty, Quiet())
    assert empty.read(rows_of) == full.engine.read(rows_of)


def test_target_begins_an_epoch(full: Full, empty: Engine) -> None:
    """Workers of the target have numbers that no worker of the source had: none can pass for another."""
    earlier = register(full.engine)
    full.engine.write(lambda tx: upkeep.remove_worker(tx, earlier))
    copy_store(full.engine, empty, Quiet())
    assert register(empty) > earlier
    assert claim_held(empty, queue="in-queued", worker=earlier) == []


def test_broken_off_copy_goes_on(full: Full, empty: Engine) -> None:
    """A copy that stopped at a table does not copy again what it had, and ends with all of it."""
    full.add_bulk()
    break_off(full, empty)
    told = []

    class Noting(Quiet):
        def step(self, what: str, total: int) -> None:
            told.append((what, total))

    copy_store(full.engine, empty, Noting())
    assert told[0] == ("queues", 0)
    assert empty.read(rows_of) == full.engine.read(rows_of)


def test_done_is_done(full: Full, empty: Engine) -> None:
    """The same line once more says the same and changes nothing, whatever the target has done since."""
    first = copy_store(full.engine, empty, Quiet())
    worker = register(empty)
    [held] = claim_held(empty, queue="in-queued", worker=worker)
    finish(empty, Complete(held, "1"), worker=worker)
    before = empty.read(rows_of)
    assert copy_store(full.engine, empty, Quiet()) == first
    assert empty.read(rows_of) == before
    assert empty.read(closed_record) is None


def test_changed_target_is_noticed(full: Full, empty: Engine) -> None:
    """A target that is not equal in the end stays closed, and the error names the table."""

    def spoil() -> None:
        def change(tx: Any) -> None:
            closure.unbar(tx)
            control.pause_queue(tx, "in-dead", now=NOW)

        empty.write(change)

    break_off(full, empty, "comparing finished jobs", spoil)
    with pytest.raises(StoreError, match=r"differs from .* in its queues, 4 of 3; it stays closed"):
        copy_store(full.engine, empty, Quiet())
    assert empty.read(closed_record) is not None


def test_target_that_holds_something_is_refused(full: Full, empty: Engine) -> None:
    """Only an empty store is copied into: another is named, and neither of the two is closed."""
    migrate.migrate(empty)
    empty.write(lambda tx: control.limit_queue(tx, "mine", 3))
    before = empty.read(rows_of)
    with pytest.raises(StoreError, match="holds jobs or settings that a copy would mix with"):
        copy_store(full.engine, empty, Quiet())
    enqueue(full.engine)
    enqueue(empty)
    assert empty.read(rows_of)["queues"] == before["queues"]


def test_part_of_another_copy_is_refused(full: Full, empty: Engine, tmp_path: Path) -> None:
    """A source that was opened again has changed: what an earlier copy of it left is not gone on with."""
    break_off(full, empty)
    reopen(full.engine)
    enqueue(full.engine)
    with pytest.raises(StoreError, match="holds a part of another copy"):
        copy_store(full.engine, empty, Quiet())
    with pytest.raises(StoreClosedError, match="is being copied from"):
        reopen(empty)
    third = open_engine(f"sqlite:///{tmp_path / 'third.db'}")
    copy_store(full.engine, third, Quiet())
    with pytest.raises(StoreError, match=r"was closed to be moved to .*third\.db, not to"):
        copy_store(full.engine, empty, Quiet())
    with pytest.raises(StoreClosedError, match="is being copied from"):
        copy_store(empty, third, Quiet())
    third.close()


def test_reopened_source_goes_on(full: Full, empty: Engine) -> None:
    """A store that is opened again takes everything, refuses workers of before, and can be closed again."""
    old = register(full.engine)
    full.engine.write(lambda tx: upkeep.remove_worker(tx, old))
    for _ in range(2):
        with pytest.raises(StoreError, match="is not closed"):
            reopen(full.engine)
        full.engine.write(lambda tx: closure.close_store(tx, full.engine, closure.Closure("no", _record())))
        reopen(full.engine)
    assert claim_held(full.engine, queue="in-queued", worker=old) == []
    worker = register(full.engine)
    assert claim_held(full.engine, queue="in-queued", worker=worker)
    full.engine.write(lambda tx: upkeep.remove_worker(tx, worker))
    copied = copy_store(full.engine, empty, Quiet())
    assert copied.interrupted == [full.jobs[State.QUEUED]]


def _record() -> str:
    return '{"role": "source", "copy": "1", "source": "a", "target": "b", "closed_at": 1}'


def test_one_store_by_two_names(sqlite_engine: Engine, tmp_path: Path) -> None:
    """A store is not copied into itself, whatever it is called; it stays open."""
    (tmp_path / "link.db").symlink_to(tmp_path / "jobs.db")
    for name in ("jobs.db", "link.db"):
        other = open_engine(f"sqlite:///{tmp_path / name}")
        with pytest.raises(ConfigError, match="are the same store"):
            copy_store(sqlite_engine, other, Quiet())
        other.close()
    enqueue(sqlite_engine)


def test_one_postgres_store_by_two_names(postgres_engine: Engine, postgres_url: str) -> None:
    """A server's other name does not make its store another one."""
    joint = "?application_name=x&" if "?" in postgres_url else "?"
    other = open_engine(postgres_url.replace("?", joint))
    other.address += "#"  # as another name of the host would
    with pytest.raises(ConfigError, match="are the same store"):
        copy_store(postgres_engine, other, Quiet())
    other.close()
    enqueue(postgres_engine)


def test_memory_is_refused(full: Full, memory_engine: Engine) -> None:
    """A store that ends with its process is neither source nor target."""
    for source, target in ((full.engine, memory_engine), (memory_engine, full.engine)):
        with pytest.raises(ConfigError, match="ends with its process"):
            copy_store(source, target, Quiet())
    enqueue(full.engine)


@pytest.mark.parametrize("end", ["source", "target"])
@pytest.mark.parametrize("number, words", [(9_999, "upgrade Lineshaft here"), (-1, "run 'lineshaft migrate'")])
def test_other_schema_is_refused(full: Full, empty: Engine, end: str, number: int, words: str) -> None:
    """A store of another schema than this code's is neither source nor target, were it newer by additions only."""
    migrate.migrate(empty)
    engine = full.engine if end == "source" else empty
    engine.write(lambda tx: _set_schema(tx, number))
    with pytest.raises(SchemaError, match=words):
        copy_store(full.engine, empty, Quiet())
    enqueue(full.engine)


def _set_schema(tx: Any, number: int) -> None:
    ledger = "lineshaft_migration" if tx.dialect == "sqlite" else f"{tx._schema}.migration"
    newest = migrate.newest(tx.dialect)
    if number < 0:
        tx.connection.execute(f"delete from {ledger} where number = {newest}")
    else:
        tx.connection.execute(f"insert into {ledger} select {number}, 'x', 1, true")


def test_source_without_a_store_is_refused(empty: Engine, sqlite_engine: Engine) -> None:
    """An address that holds no store is no source, and nothing is made there."""
    with pytest.raises(SchemaError, match="holds no Lineshaft store"):
        copy_store(empty, sqlite_engine, Quiet())
    assert not empty.has_schema()


def test_housekeeping_of_the_target_gives_way(full: Full, empty: Engine) -> None:
    """A target on which a worker has run holds only schedules of its housekeeping: the source's take their place."""
    migrate.migrate(empty)
    empty.write(lambda tx: load_rows(tx, SCHEDULES, [_schedule("lineshaft.prune-jobs", "system")]))  # type: ignore[arg-type]
    copy_store(full.engine, empty, Quiet())
    assert empty.read(rows_of) == full.engine.read(rows_of)


def test_schedules_of_the_target_are_in_the_way(full: Full, empty: Engine) -> None:
    """A target with a schedule that somebody made there is refused."""
    migrate.migrate(empty)
    empty.write(lambda tx: load_rows(tx, SCHEDULES, [_schedule("nightly", "runtime")]))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="jobs or settings that a copy would mix with"):
        copy_store(full.engine, empty, Quiet())


def _schedule(name: str, source: str) -> tuple[Any, ...]:
    return (name, source, None, "{}", None, None, 1, NOW, NOW, *[None] * 11)
