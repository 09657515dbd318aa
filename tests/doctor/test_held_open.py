"""The doctor finds a transaction that somebody really holds open, and nothing where nobody does."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psycopg
import pytest
from psycopg import pq
from psycopg.conninfo import make_conninfo

from lineshaft.doctor import Finding, HeldOpen, Unseen, examine
from tests.doctor.conftest import patient_of
from tests.plugins.engines import new_row, open_engine, store_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine
    from tests.plugins.engines import Child
    from tools.temporary_postgres import TemporaryPostgres

AT_ONCE = HeldOpen(longest_seconds=0.0)
LOG_PAGES = 40
SOON = HeldOpen(left_pages=LOG_PAGES, watch_seconds=0.2)
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin")
connection.execute("select count(*) from lineshaft_job").fetchall()
print("reading", flush=True)
sys.stdin.readline()
"""


def look(engine: Engine, ailment: HeldOpen) -> list[Finding]:
    """Return what is wrong."""
    return [one for one in ailment.look(patient_of(engine)) if isinstance(one, Finding)]


def be_a_replica_for_a_moment(url: str, slot: str) -> None:
    """Do what a replica with `hot_standby_feedback` does: ask the server to keep the rows that it may still read."""
    with psycopg.connect(url, autocommit=True) as other:
        [xid] = other.execute("select txid_current()").fetchone() or [0]
    server = pq.PGconn.connect(f"{url}?replication=true".encode())
    started = server.exec_(f"START_REPLICATION SLOT {slot} PHYSICAL 0/1000000".encode())
    assert started.status == pq.ExecStatus.COPY_BOTH, server.error_message
    server.put_copy_data(struct.pack(">cqIIII", b"h", 0, xid, 0, 0, 0))
    server.put_copy_end()
    while server.get_copy_data(0)[0] > 0:  # the server ends the copy only after it has read what stood before
        pass
    while server.get_result():
        pass
    server.finish()


@contextmanager
def connected(engine: Engine) -> Iterator[psycopg.Connection]:
    """Open somebody else's connection to the store's database, in a transaction as soon as it does something."""
    url = cast("PostgresEngine", engine)._url
    with closing(psycopg.connect(url, application_name="nightly report")) as connection:
        yield connection


def found_of(engine: Engine, connection: psycopg.Connection) -> list[Finding]:
    """Return what is said of this connection: other tests may run on the same server."""
    pid = connection.info.backend_pid
    return [one for one in look(engine, AT_ONCE) if one.facts.get("pid") == pid]


def grow_log(engine: Engine) -> None:
    """Write more pages than the doctor lets a reader keep in the log."""
    for _ in range(4):
        store_rows(engine, *(new_row(args="x" * 3_000) for _ in range(LOG_PAGES)))


def test_session_that_holds_a_snapshot(postgres_engine: Engine) -> None:
    """A session is named with its pid, application, user, age and state, and the line that ends it is right."""
    with connected(postgres_engine) as other:
        other.execute("set transaction isolation level repeatable read")
        other.execute("select 'totals of the day'")
        [found] = found_of(postgres_engine, other)
        assert found.facts["application"] == "nightly report"
        assert found.facts["state"] == "idle in transaction"
        assert found.facts["seconds"] >= 0
        for part in (str(other.info.backend_pid), "'nightly report'", "'postgres'", "idle in transaction", "totals of"):
            assert part in found.symptom
        assert "idle_in_transaction_session_timeout" in found.advice
        with psycopg.connect(cast("PostgresEngine", postgres_engine)._url, autocommit=True) as doctor:
            doctor.execute(found.command)
        with pytest.raises(psycopg.OperationalError):
            other.execute("select 1")
        assert found_of(postgres_engine, other) == []


def test_session_that_has_written(postgres_engine: Engine) -> None:
    """A transaction with an id holds the horizon back without a snapshot."""
    with connected(postgres_engine) as other:
        other.execute("select txid_current()")
        assert [one.facts["pid"] for one in found_of(postgres_engine, other)] == [other.info.backend_pid]


def test_harmless_sessions_are_not_named(postgres_engine: Engine) -> None:
    """A transaction that keeps no snapshot and has written nothing holds nothing back; nor is a young one reported."""
    with connected(postgres_engine) as idle, connected(postgres_engine) as young:
        idle.execute("select 1")
        assert found_of(postgres_engine, idle) == []
        young.execute("select txid_current()")
        pids = [one.facts.get("pid") for one in look(postgres_engine, HeldOpen())]
        assert young.info.backend_pid not in pids


def test_prepared_transaction(own_postgres_server: Callable[..., TemporaryPostgres]) -> None:
    """A transaction that was prepared and forgotten is found, and its cure removes it."""
    server = own_postgres_server(max_prepared_transactions="5")
    engine = open_engine(server.url)
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute("begin")
        other.execute("create table left_over (n integer)")
        other.execute("prepare transaction 'it''s mine'")
        [found] = look(engine, AT_ONCE)
        assert (found.facts["kind"], found.facts["id"]) == ("prepared", "it's mine")
        other.execute(found.command)
    assert look(engine, AT_ONCE) == []
    engine.close()


def test_slot_that_nobody_reads(own_postgres_server: Callable[..., TemporaryPostgres]) -> None:
    """A replication slot that keeps rows for an absent replica is found, one that keeps none is not."""
    server = own_postgres_server(wal_level="replica")
    engine = open_engine(server.url)
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute("select pg_create_physical_replication_slot('standby', true)")
        assert look(engine, AT_ONCE) == []
        be_a_replica_for_a_moment(server.url, "standby")
        [found] = look(engine, AT_ONCE)
        assert (found.facts["kind"], found.facts["id"]) == ("slot", "standby")
        other.execute(found.command)
    assert look(engine, AT_ONCE) == []
    engine.close()


def test_others_that_cannot_be_seen(postgres_engine: Engine) -> None:
    """A role that may not see other roles' transactions is told so, with the grant that it needs."""
    postgres = cast("PostgresEngine", postgres_engine)
    with connected(postgres_engine) as admin:
        admin.execute("create role stranger login")
        admin.commit()
        try:
            engine = type(postgres)(make_conninfo(postgres._url, user="stranger"), schema=postgres.schema)
            [unseen] = [one for one in AT_ONCE.look(patient_of(engine)) if isinstance(one, Unseen)]
            engine.close()
            admin.execute(unseen.reason.partition("run: ")[2])
            admin.commit()
            assert [one for one in AT_ONCE.look(patient_of(engine)) if isinstance(one, Unseen)] == []
            engine.close()
        finally:
            admin.rollback()
            admin.execute("drop role stranger")
            admin.commit()


def test_reader_that_holds_the_log_back(sqlite_engine: Engine, child: Callable[..., Child]) -> None:
    """A process that reads an old state while the log grows is named; once it ends, the log is moved."""
    path = sqlite_engine.address.removeprefix("sqlite:///")
    grow_log(sqlite_engine)
    reader = child(READER, path)
    assert reader.line() == "reading"
    assert look(sqlite_engine, SOON) == []
    grow_log(sqlite_engine)
    [found] = look(sqlite_engine, SOON)
    assert found.facts["pages_left"] >= LOG_PAGES
    assert found.facts["bytes"] == Path(f"{path}-wal").stat().st_size
    [pid] = [one["pid"] for one in found.facts["readers"]]
    assert found.command == f"kill {pid}"
    assert f"process {pid} (" in found.symptom
    reader.kill()
    assert look(sqlite_engine, SOON) == []


def test_log_that_only_grows(sqlite_engine: Engine) -> None:
    """A large log that nobody holds back is no ailment: it is moved while the doctor looks."""
    grow_log(sqlite_engine)
    with closing(sqlite3.connect(sqlite_engine.address.removeprefix("sqlite:///"))):
        assert look(sqlite_engine, SOON) == []


def test_store_in_memory(memory_engine: Engine) -> None:
    """A store in memory has no log."""
    assert look(memory_engine, SOON) == []


def test_report_tells_everything_at_once(postgres_engine: Engine) -> None:
    """Two transactions held open are two findings of one report."""
    with connected(postgres_engine) as one, connected(postgres_engine) as another:
        for each in (one, another):
            each.execute("select txid_current()")
        report = examine(patient_of(postgres_engine), [AT_ONCE])
        pids = {found.facts.get("pid") for found in report.findings}
        assert {one.info.backend_pid, another.info.backend_pid} <= pids
        assert not report.is_well
        assert report.store == postgres_engine.address
