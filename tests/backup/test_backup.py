"""Backups and restores: what goes in comes out, on and between both engines, or nothing happens at all."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.backup import back_up, read_manifest, restore
from lineshaft.errors import ConfigError, SchemaError, StoreError, StoreUnavailableError
from lineshaft.store import control, copy, inspect, upkeep
from lineshaft.store.claim import claim_jobs
from lineshaft.store.copy import TABLES, UNFINISHED, Digest, take_rows
from lineshaft.store.epoch import LEAP, epoch_began_at, fence
from lineshaft.store.finish import Progress, save_progress
from lineshaft.store.migrate import newest
from lineshaft.transitions import Complete, State
from tests.plugins.contents import Quiet, fill, rows_of
from tests.plugins.engines import NOW, claim_held, finish, new_row, open_engine, row_of, state_in, store_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.backup import Restored
    from lineshaft.engines.base import Engine, Tx
    from tests.plugins.engines import MakeJob

NOT_COPIED = {
    "worker": "workers belong to where they run",
    "epoch": "a restore begins one",
    "closure": "a copy closes the store that it leaves, not what is in it",
    "migration": "a backup and a store have a ledger each",
    "leader": "one of the workers, who belong to where they run",
    "slot": "places of jobs that workers hold",
    "queue_grant": "what workers may hold, who belong to where they run",
    "block": "tells the pruner where it has looked; it looks anew",
}
NOT_COPIED_COLUMNS = {("job", "seq"), ("job", "is_awaited"), ("job", "is_followed")}
"""Private, or marks of clients that listen to the store which is copied."""


FLOW = ["limit_rule", "gate", "slot", "queue_grant", "fair", "limit_course"]
SINCE_GATES = ("limit_rules", "gates", "turns", "limit_course")


class Busy(Quiet):
    """Does something to the store whenever a table's turn comes."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def step(self, what: str, total: int) -> None:  # noqa: ARG002 - the watcher's signature
        """Act."""
        self._act()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the backup goes."""
    return tmp_path / "jobs.backup"


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty store without a schema, on each engine in turn."""
    is_sqlite = request.param == "sqlite"
    address = f"sqlite:///{tmp_path / 'target.db'}" if is_sqlite else request.getfixturevalue("other_postgres_url")
    engine = open_engine(address)
    yield engine
    engine.close()


def put_back(engine: Engine, file: Path, *, resumes: bool = False) -> Restored:
    """Restore without anybody looking on."""
    return restore(engine, file, resumes=resumes, watcher=Quiet())


def test_what_goes_in_comes_out(durable_engine: Engine, target: Engine, make_job: MakeJob, file: Path) -> None:
    """A restored store, on the same engine or the other one, holds all rows of the backup; what ran waits again."""
    made = fill(durable_engine, make_job)
    before = durable_engine.read(rows_of)
    assert all(before.values()), "a table without rows shows nothing"
    manifest = back_up(durable_engine, file, Quiet())
    restored = put_back(target, file, resumes=True)
    expected = before | {"unfinished": {fence(row) for row in before["unfinished"]}}
    assert target.read(rows_of) == expected
    assert {name: table.count for name, table in manifest.tables.items()} == {k: len(v) for k, v in before.items()}
    assert set(restored.interrupted) == {made[State.RUNNING], made[State.CANCELLING]}
    for state, job in made.items():
        assert state_in(target, job) is (State.QUEUED if state in (State.RUNNING, State.CANCELLING) else state)


def test_digest_is_the_same_on_every_engine(
    durable_engine: Engine, target: Engine, make_job: MakeJob, file: Path
) -> None:
    """Equal rows give an equal digest, in whatever order an engine gives them; one other character gives another."""
    fill(durable_engine, make_job)
    first = back_up(durable_engine, file, Quiet())
    put_back(target, file, resumes=True)
    again = back_up(target, file.with_name("again"), Quiet())
    same = {"finished", "queues", "logs", "unique_keys", "schedules", "ticks", "backfills"}
    same |= {"limit_rules", "gates", "turns", "limit_course"}
    assert {name: first.tables[name] for name in same} == {name: again.tables[name] for name in same}
    one, other = Digest(), Digest()
    assert list(one.over([("a", 1), ("b", None)])) != list(other.over([("b", None), ("a", 2)]))
    assert one.text != other.text


def test_every_column_is_copied(durable_engine: Engine) -> None:
    """No table and no column of the schema is left out of a backup but those that are named here with the reason."""
    loaded = " ".join(" ".join((one.load.sqlite.parts[0], one.load.postgres.parts[0])) for one in TABLES)
    for table, column in durable_engine.read(_columns):
        if table in NOT_COPIED or (table, column) in NOT_COPIED_COLUMNS or re.match(r"history_", table):
            continue
        assert re.search(rf"\blineshaft[_.]{table} \(", loaded), f"table {table} is in no backup"
        assert re.search(rf"\b{column}\b", loaded), f"{table}.{column} is in no backup"


def _columns(tx: Any) -> list[tuple[str, str]]:
    if tx.dialect == "sqlite":
        found = tx.connection.execute(
            "select m.name, c.name from sqlite_master m, pragma_table_info(m.name) c"
            " where m.type = 'table' and m.name like 'lineshaft%'"
        )
        return [(table.removeprefix("lineshaft_"), column) for table, column in found.fetchall()]
    found = tx.connection.execute(
        "select table_name, column_name from information_schema.columns where table_schema = %s", (tx._schema,)
    )
    return list(found.fetchall())


def test_backup_is_one_moment(durable_engine: Engine, make_job: MakeJob, address: str, file: Path) -> None:
    """What happens while the backup is made is not in it: it equals the store at the moment at which it began."""
    fill(durable_engine, make_job)
    before = durable_engine.read(_digests)
    writer = open_engine(address)

    def act() -> None:
        store_rows(writer, new_row(queue="busy"), new_row(queue="busy"))
        finish(writer, Complete(claim_held(writer, queue="busy")[0], "1"))
        writer.write(lambda tx: control.purge_queue(tx, "in-queued"))

    manifest = back_up(durable_engine, file, Busy(act))
    writer.close()
    assert {name: table.digest for name, table in manifest.tables.items()} == before
    assert durable_engine.read(_digests) != before


def _digests(tx: Tx) -> dict[str, str]:
    found = {}
    for table in TABLES:
        digest = Digest()
        assert list(digest.over(take_rows(tx, table)))
        found[table.name] = digest.text
    return found


def test_pages_join(durable_engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables longer than a page are read whole, each row once."""
    monkeypatch.setattr(copy, "_PAGE", 7)
    rows = [new_row() for _ in range(50)]
    store_rows(durable_engine, *rows)
    finish(durable_engine, *(Complete(one, None) for one in claim_held(durable_engine, limit=25)))
    durable_engine.write(
        lambda tx: tx.load(copy.SQL.load_logs, [(rows[n // 4]["id"], n % 4 + 1, 1, "{}", NOW) for n in range(40)])  # type: ignore[attr-defined]
    )
    manifest = back_up(durable_engine, file, Quiet())
    assert [manifest.tables[name].count for name in ("finished", "unfinished", "logs")] == [25, 25, 40]
    put_back(durable_engine, file)
    assert durable_engine.read(lambda tx: len({row[0] for row in take_rows(tx, UNFINISHED)})) == 25


def register(engine: Engine, queue: str = "default") -> int:
    """Register a worker and return its number."""
    return engine.write(
        lambda tx: upkeep.register_worker(tx, host="h", pid=1, version="1", queues={queue: 1}, tasks=[], now=NOW)
    )


def test_earlier_workers_are_fenced(durable_engine: Engine, file: Path) -> None:
    """A worker of before the restore can finish, put forward, claim and beat nothing; one that registers now can."""
    engine = durable_engine
    old = register(engine)
    store_rows(engine, new_row(), new_row())
    [running] = claim_held(engine, worker=old)
    back_up(engine, file, Quiet())
    newcomer = register(engine)
    put_back(engine, file, resumes=True)
    before = engine.read(rows_of)
    assert finish(engine, Complete(running, "late"), worker=old) == []
    engine.write(lambda tx: save_progress(tx, [Progress(running, "[1.0,null,1]")], worker=old))
    for number in (old, newcomer):
        assert claim_held(engine, worker=number, limit=9) == []
        assert not engine.write(lambda tx, number=number: upkeep.beat(tx, worker=number, server="", now=NOW))
    assert engine.read(rows_of) == before
    mine = register(engine)
    assert mine >= newcomer + LEAP
    claims = claim_held(engine, worker=mine, limit=9)
    assert sorted(one.claim for one in claims) == [LEAP + 1, LEAP + 2], "claim numbers are never used twice"
    assert [one.attempt for one in claims] == [1, 1], "no attempt is used up"
    assert finish(engine, Complete(running, "late"), worker=old) == []
    assert len(finish(engine, *(Complete(one, "1") for one in claims), worker=mine)) == 2


def test_numbers_go_on_in_another_place(durable_engine: Engine, target: Engine, file: Path) -> None:
    """A store restored in another place, and restored again, gives workers numbers that were given in none of them."""
    given = [register(durable_engine)]
    back_up(durable_engine, file, Quiet())
    given += [register(durable_engine) for _ in range(5)]
    for _ in range(2):
        put_back(target, file)
        given.append(register(target))
    put_back(durable_engine, file)
    given.append(register(durable_engine))
    assert len(set(given)) == len(given)
    assert given[-1] > given[5] + LEAP
    assert target.read(epoch_began_at) is not None


def test_claim_of_an_earlier_epoch_beginning_behind_a_floor_is_refused(durable_engine: Engine, file: Path) -> None:
    """The claim that leaves out what comes before a place is fenced like the other one."""
    from lineshaft.store.claim import Place

    old = register(durable_engine)
    store_rows(durable_engine, new_row())
    back_up(durable_engine, file, Quiet())
    put_back(durable_engine, file, resumes=True)
    start = Place(-100, 0, "00000000-0000-0000-0000-000000000000")
    taken = {}
    for number in (old, register(durable_engine)):
        taken[number] = durable_engine.write(
            lambda tx, number=number: claim_jobs(tx, queue="default", limit=1, worker=number, now=NOW, start=start)
        )
    assert [len(one) for one in taken.values()] == [0, 1]


def test_queues_come_back_paused(durable_engine: Engine, make_job: MakeJob, file: Path) -> None:
    """A restore pauses the queues with jobs, settings or workers, and tells those apart that were paused before."""
    make_job(queue="waiting")
    durable_engine.write(lambda tx: control.pause_queue(tx, "closed", now=NOW))
    durable_engine.write(lambda tx: control.limit_queue(tx, "limited", 5))
    back_up(durable_engine, file, Quiet())
    register(durable_engine, "served")
    restored = put_back(durable_engine, file)
    assert restored.paused == ["limited", "served", "waiting"]
    queues = {name: (paused_at, depth) for name, paused_at, depth, *_ in durable_engine.read(inspect.list_queues)}
    assert queues["closed"] == (NOW, None)
    assert queues["limited"][0] is not None
    assert queues["limited"][1] == 5
    assert claim_held(durable_engine, queue="waiting", worker=register(durable_engine)) == []
    assert put_back(durable_engine, file, resumes=True).paused == []
    assert claim_held(durable_engine, queue="waiting", worker=register(durable_engine))


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _scribble(file: Path) -> None:
    file.write_bytes(b"x" * 10_000)


def _sql(statement: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(statement)
            connection.commit()

    return change


DAMAGES = {
    "cut": (_cut, StoreError, "damaged|cannot be read"),
    "scribbled": (_scribble, StoreError, "is not a backup that can be read"),
    "a row gone": (_sql("delete from lineshaft_job where stage < 10"), StoreError, "damaged: its unfinished jobs"),
    "a row changed": (_sql("update lineshaft_job set args = '[]'"), StoreError, "damaged: its finished jobs"),
    "no manifest": (_sql("delete from lineshaft_backup"), StoreError, "is not a backup; name a file"),
    "a store": (_sql("drop table lineshaft_backup"), StoreError, "is not a backup; name a file"),
    "half a manifest": (_sql("update lineshaft_backup set manifest = '{'"), StoreError, "its manifest cannot be read"),
    "made by a newer version": (
        _sql("update lineshaft_backup set manifest = json_set(manifest, '$.schema', 999)"),
        SchemaError, "made by a newer Lineshaft",
    ),
    "gone": (Path.unlink, StoreUnavailableError, "there is no backup"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_backup_changes_nothing(damage: str, durable_engine: Engine, make_job: MakeJob, file: Path) -> None:
    """A backup that is not what was written is refused in one line, and the store stays as it was, epoch and all."""
    fill(durable_engine, make_job)
    back_up(durable_engine, file, Quiet())
    worker = register(durable_engine)
    before = durable_engine.read(rows_of)
    act, error, words = DAMAGES[damage]
    act(file)
    with pytest.raises(error, match=words) as told:
        put_back(durable_engine, file)
    assert "\n" not in str(told.value)
    assert durable_engine.read(rows_of) == before
    assert durable_engine.write(lambda tx: upkeep.beat(tx, worker=worker, server="", now=NOW))
    assert durable_engine.read(epoch_began_at) is None


def test_older_backup_is_upgraded(durable_engine: Engine, make_job: MakeJob, file: Path) -> None:
    """A backup of an older schema goes through the migrations since, in a copy: the file stays as it is."""
    job = make_job(State.COMPLETED).id
    back_up(durable_engine, file, Quiet())
    dropped = {3: ["epoch", "closure"], 4: ["block"], 5: ["leader", "schedule", "tick", "backfill"], 6: [], 7: FLOW}
    assert set(range(3, newest("sqlite") + 1)) == dropped.keys()
    for number, tables in dropped.items():
        for table in tables:
            _sql(f"drop table lineshaft_{table}")(file)
        _sql(f"delete from lineshaft_migration where number = {number}")(file)
    for column in ("max_depth_per_tenant", "on_full", "block_timeout", "flow", "is_gated", "is_fair"):
        _sql(f"alter table lineshaft_queue drop column {column}")(file)
    for index in ("line", "parked", "sequence", "ready"):
        _sql(f"drop index lineshaft_job_{index}")(file)
    for column in ("gate", "turn", "sequence", "fair"):
        _sql(f"alter table lineshaft_job drop column {column}")(file)
    _sql("create index lineshaft_job_ready on lineshaft_job (queue, rank, run_at, id) where stage = 1")(file)
    unknown = ", ".join(f"'$.tables.{name}'" for name in ("schedules", "ticks", "backfills", *SINCE_GATES))
    _sql(f"update lineshaft_backup set manifest = json_remove(json_set(manifest, '$.schema', 2), {unknown})")(file)
    as_it_was = file.read_bytes()
    put_back(durable_engine, file)
    assert state_in(durable_engine, job) is State.COMPLETED
    assert file.read_bytes() == as_it_was


def test_failed_backup_leaves_the_old_one(durable_engine: Engine, make_job: MakeJob, file: Path) -> None:
    """A backup that breaks off leaves the file of that name as it was, and nothing beside it."""
    make_job()
    back_up(durable_engine, file, Quiet())
    as_it_was, beside = file.read_bytes(), sorted(file.parent.iterdir())

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(durable_engine, file, Busy(stop))
    assert file.read_bytes() == as_it_was
    assert sorted(file.parent.iterdir()) == beside
    assert read_manifest(file).tables["unfinished"].count == 1


def test_backup_into_a_folder_that_is_not_there(durable_engine: Engine, tmp_path: Path) -> None:
    """A file that cannot be made is an error of one line that names it."""
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        back_up(durable_engine, tmp_path / "no" / "jobs.backup", Quiet())


def test_memory_has_no_backups(memory_engine: Engine, file: Path) -> None:
    """A store that ends with its process is neither backed up nor restored."""
    for act in (lambda: back_up(memory_engine, file, Quiet()), lambda: put_back(memory_engine, file)):
        with pytest.raises(ConfigError, match="ends with its process"):
            act()


def test_store_without_a_schema_has_no_backup(target: Engine, file: Path) -> None:
    """A backup of what is no store is refused and makes none."""
    with pytest.raises(SchemaError, match="holds no Lineshaft store"):
        back_up(target, file, Quiet())
    assert not target.has_schema()
    assert not file.exists()


def test_results_survive(durable_engine: Engine, make_job: MakeJob, file: Path) -> None:
    """A finished job comes back with its result, its claim and the time until which it is kept."""
    job = make_job(State.COMPLETED).id
    before = row_of(durable_engine, job)
    back_up(durable_engine, file, Quiet())
    put_back(durable_engine, file)
    assert row_of(durable_engine, job) == before
