"""The doctor finds what is wrong around the jobs: schema, rights, disk, clocks and dead rows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, cast

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from lineshaft.cli import main
from lineshaft.clock import DAY, HOUR, SECOND
from lineshaft.doctor import HeldOpen, ailments, examine
from lineshaft.doctor.clock_skew import ClockSkew
from lineshaft.doctor.dead_rows import DeadRows
from lineshaft.doctor.full_disk import FullDisk
from lineshaft.doctor.newer_schema import NewerSchema
from lineshaft.doctor.old_schema import OldSchema
from lineshaft.doctor.rights import Rights
from lineshaft.ids import new_id
from lineshaft.store import migrate
from lineshaft.store.upkeep import ensure_history
from tests.chaos.test_skew import LIBRARY, lying
from tests.doctor.conftest import ROOT, patient_of
from tests.plugins.engines import new_row, open_engine, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine
    from tests.doctor.conftest import Change, Ward
    from tests.plugins.apps import StartProcess
    from tools.temporary_postgres import TemporaryPostgres

EVERYTHING = 1 << 60
needs_faketime = pytest.mark.skipif(
    LIBRARY is None, reason="libfaketime's wheel has a library for Linux on x86-64 only"
)


# --- the schema -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def old_store(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, str]]:
    """A store that has had the first migration only, and its address, on each engine in turn."""
    is_sqlite = request.param == "sqlite"
    url = (
        f"sqlite:///{request.getfixturevalue('tmp_path') / 'old.db'}"
        if is_sqlite
        else request.getfixturevalue("postgres_url")
    )
    engine = open_engine(url)
    with engine.migrating() as tx:
        for part in getattr(migrate.SQL.create_ledger, engine.dialect).parts:
            tx.run_script(part + ";\n")
        first = migrate.migrations(engine.dialect)[0]
        tx.run_script(first.text)
        row = {"number": first.number, "name": first.name, "is_additive": False}
        tx.run(migrate.SQL.record_migration, {**row, "now": 0})
    yield engine, url
    engine.close()


def test_old_schema(old_store: tuple[Engine, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A store that lacks migrations is found beside whatever else is wrong, and the command upgrades it."""
    engine, url = old_store
    patient = patient_of(engine, url)
    now = patient.now()
    table = "lineshaft_job" if engine.dialect == "sqlite" else "lineshaft.job"
    with engine.migrating() as tx:  # as the code of that schema does
        tx.run_script(
            f"insert into {table} (id, queue, name, rank, run_at, stage, created_at, max_attempts, args) values "
            f"('{new_id()}', 'pdf', 'shop.render', 0, {now - 5 * 60 * SECOND}, 1, {now - HOUR}, 3, '[[],{{}}]');"
        )
    found = examine(patient, ailments()).findings
    assert [one.ailment for one in found] == ["old-schema", "no-worker"]
    assert found[0].facts == {"schema": 1, "known": migrate.newest(engine.dialect), "kind": "breaking"}
    assert found[0].command == f"{patient.program} migrate"
    assert main(["migrate", "--store", url]) == 0
    capsys.readouterr()
    assert [one.ailment for one in examine(patient, ailments()).findings] == ["no-worker"]


def test_newer_schema(ward: Ward, change: Change) -> None:
    """A store that newer code has changed is found; what it has only added to is said to be unknown here."""
    next_one = migrate.newest(ward.engine.dialect) + 1
    row = "insert into lineshaft_migration (number, name, applied_at, is_additive) values"
    change(f"{row} ({next_one}, 'colour', 0, {'1' if ward.engine.dialect == 'sqlite' else 'true'})")
    assert ward.found(NewerSchema()) == []
    [unseen] = ward.unseen(NewerSchema())
    assert f"what schema {next_one} added" in unseen.reason
    change(f"{row} ({next_one + 1}, 'shape', 0, {'0' if ward.engine.dialect == 'sqlite' else 'false'})")
    [found] = ward.found(NewerSchema())
    assert found.facts == {"schema": next_one + 1, "known": next_one - 1}
    assert ward.found(OldSchema()) == []


def test_table_that_is_missing(ward: Ward, change: Change) -> None:
    """What cannot be looked at in a damaged store is said, and the rest is looked at."""
    change("drop table lineshaft_queue")
    report = examine(ward.patient, ailments())
    assert {one.ailment for one in report.unseen} >= {"no-worker", "paused-for-long"}
    assert report.findings == []


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(postgres_engine: Engine, postgres_url: str) -> Iterator[Engine]:
    """The store as a role sees it that has no rights at all."""
    postgres = cast("PostgresEngine", postgres_engine)
    with psycopg.connect(postgres._url, autocommit=True) as admin:
        admin.execute("create role visitor login")
        engine = type(postgres)(make_conninfo(postgres._url, user="visitor"), schema=postgres.schema)
        yield engine
        engine.close()
        admin.execute("drop owned by visitor")
        admin.execute("drop role visitor")


def test_role_without_rights(postgres_ward: Ward, stranger: Engine) -> None:
    """A role that may not look into the schema, and one that does not own it, are told what to grant."""
    patient = patient_of(stranger)
    schema = cast("PostgresEngine", stranger).schema
    assert postgres_ward.found(Rights()) == []
    for expected in (
        f"role 'visitor' may not use anything of schema '{schema}', which 'postgres' owns",
        f"role 'visitor' does not own schema '{schema}': 'postgres' does",
    ):
        [found] = Rights().look(patient)
        assert found.symptom == expected  # type: ignore[union-attr]
        report = examine(patient, ailments())
        assert "missing-rights" in [one.ailment for one in report.findings]
        with closing(psycopg.connect(cast("PostgresEngine", postgres_ward.engine)._url, autocommit=True)) as admin:
            for line in found.command.split(";"):  # type: ignore[union-attr]
                if line.strip():
                    admin.execute(line)
    assert list(Rights().look(patient)) == []
    stranger.write(lambda tx: ensure_history(tx, now=patient.now() + 90 * DAY))


def test_command_as_a_role_without_rights(
    stranger: Engine, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lineshaft doctor` finds the missing rights where the role may not even see whether there is a store."""
    url = postgres_url.replace("postgres@", "visitor@", 1)
    assert main(["doctor", "--store", url, "--json"]) == 1
    said = msgspec.json.decode(capsys.readouterr().out)
    assert [one["ailment"] for one in said["findings"]] == ["missing-rights"]
    assert "no-worker" in {one["ailment"] for one in said["unseen"]}


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_disk_that_is_almost_full(ward: Ward) -> None:
    """A volume with less room than is asked for is found, on PostgreSQL where the server is on this machine."""
    [found] = ward.found(FullDisk(EVERYTHING))
    assert 0 < found.facts["free_bytes"] <= found.facts["total_bytes"]
    assert " left of " in found.symptom
    assert found.command == f"du -xh {found.facts['folder']} | sort -h | tail -n 20"
    assert ward.found(FullDisk(1)) == []


def test_disk_that_cannot_be_seen(postgres_ward: Ward, stranger: Engine) -> None:
    """Where the role may not ask for the server's folder, the doctor says how to look."""
    [unseen] = FullDisk().look(patient_of(stranger))
    assert 'grant pg_read_all_settings to "visitor"' in unseen.reason  # type: ignore[union-attr]


def test_store_in_memory(memory_engine: Engine) -> None:
    """A store in memory is looked over without a disk, a server or a log."""
    assert examine(patient_of(memory_engine), ailments(least_free_bytes=EVERYTHING)).findings == []


# --- clocks -----------------------------------------------------------------------------------------------------------


@needs_faketime
def test_clock_of_the_host(postgres_ward: Ward) -> None:
    """A host whose clock is an hour behind the server's is told so; the same host with a true clock is not."""
    assert postgres_ward.found(ClockSkew()) == []
    command = [sys.executable, "-m", "lineshaft", "doctor", "--store", postgres_ward.url, "--json"]
    ran = subprocess.run(
        command, env={**os.environ, **lying(FAKETIME="-3600s")}, cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    assert ran.returncode == 1, ran.stderr
    [found] = msgspec.json.decode(ran.stdout)["findings"]
    assert found["ailment"] == "clock-skew"
    assert found["symptom"] == "this host's clock is 1h behind the store's"
    assert round(found["facts"]["seconds_ahead"]) == -3600


@needs_faketime
def test_clock_of_whoever_enqueued(ward: Ward, start_process: StartProcess) -> None:
    """A job that a host with a clock an hour ahead enqueued gives that host's clock away."""
    ward.enqueue()
    assert ward.found(ClockSkew()) == []
    script = ROOT / "tests" / "doctor" / "enqueue.py"
    process = start_process(script, ward.url, **lying(FAKETIME="+3600s"))
    _, line = process.expect("stored")
    [found] = ward.found(ClockSkew())
    assert found.facts["job"] == line.removeprefix("stored ")
    assert 3500 < found.facts["seconds_ahead"] <= 3600


# --- dead rows --------------------------------------------------------------------------------------------------------


def make_dead_rows(engine: Engine, count: int) -> None:
    """Store jobs and delete them."""
    postgres = cast("PostgresEngine", engine)
    store_rows(engine, *(new_row() for _ in range(count)))
    with psycopg.connect(postgres._url, autocommit=True) as other:
        other.execute(f"delete from {postgres.schema}.job")  # type: ignore[arg-type]


def run_in_psql(url: str, command: str) -> None:
    """Run a line as psql does: each statement by itself."""
    with psycopg.connect(url, autocommit=True) as psql:
        for statement in command.split(";"):
            if statement.strip():
                psql.execute(statement)  # type: ignore[arg-type]


def test_dead_rows(postgres_ward: Ward) -> None:
    """Dead rows that nobody vacuums are found with their number, and the command removes them, unless they are held."""
    ailment = DeadRows(most=1_000)
    url = cast("PostgresEngine", postgres_ward.engine)._url
    assert postgres_ward.found(ailment) == []
    with closing(psycopg.connect(url)) as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select 1")
        make_dead_rows(postgres_ward.engine, 2_000)
        found = postgres_ward.comes(ailment)
        assert (found.facts["dead"], found.facts["live"]) == (2_000, 0)
        assert "2,000 dead rows beside 0 live ones" in found.symptom
        run_in_psql(url, found.command)
        postgres_ward.comes(ailment)
        assert holder.info.backend_pid in [one.facts.get("pid") for one in postgres_ward.found(HeldOpen(0.0))]
    run_in_psql(url, found.command)
    postgres_ward.goes(ailment)


def test_autovacuum_that_is_off(own_postgres_server: Callable[..., TemporaryPostgres]) -> None:
    """A server, or a live table, whose autovacuum is off is found, and the command turns the server's on."""
    server = own_postgres_server(autovacuum="off")
    engine = open_engine(server.url)
    migrate.migrate(engine)
    patient = patient_of(engine)
    [found] = DeadRows().look(patient)
    assert found.symptom == "autovacuum is off for lineshaft.job"  # type: ignore[union-attr]
    run_in_psql(server.url, found.command)  # type: ignore[union-attr]
    engine.close()  # a session hears of it between two statements of its own
    assert list(DeadRows().look(patient)) == []
    run_in_psql(server.url, "alter table lineshaft.job set (autovacuum_enabled = off)")
    assert len(list(DeadRows().look(patient))) == 1
    run_in_psql(server.url, found.advice.rpartition(": ")[2])  # type: ignore[union-attr]
    assert list(DeadRows().look(patient)) == []
    engine.close()
