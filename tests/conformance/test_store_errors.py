"""What goes wrong outside reaches callers as the store's errors, in one line, and passes when its cause does."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lineshaft.engines.base import ConflictError, Sql, Statement
from lineshaft.errors import SchemaError, StoreError, StoreUnavailableError
from lineshaft.store import control, inspect
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.migrate import migrate
from tests.plugins.engines import LIMIT_SECONDS, WORKER, new_row, open_engine, store_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft.engines.base import Engine, Listener, Tx
    from tools.temporary_postgres import TemporaryPostgres


def statement(sqlite: str, postgres: str) -> Statement:
    return Statement("test", Sql.parse(sqlite, "sqlite", ()), Sql.parse(postgres, "postgres", ()))


def run(engine: Engine, sqlite: str, postgres: str) -> object:
    return engine.write(lambda tx: tx.run(statement(sqlite, postgres), {}))


@contextmanager
def powerless() -> Iterator[None]:
    """Give up root's power to write everywhere, which would hide what permissions forbid."""
    if os.geteuid():
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may read: pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_wrong_statement_is_a_store_error(engine: Engine) -> None:
    """A statement that the database does not understand is no passing trouble."""
    with pytest.raises(StoreError, match="syntax error") as caught:
        run(engine, "select nonsense from from", "select nonsense from from")
    assert type(caught.value) is StoreError
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sql", ["select * from lineshaft.gone", "select gone from lineshaft.job"])
def test_missing_tables_and_columns_are_schema_errors(engine: Engine, sql: str) -> None:
    """A schema that is older than the code is named as such."""
    with pytest.raises(SchemaError, match=r"run 'lineshaft migrate'$"):
        run(engine, sql.replace("lineshaft.", "lineshaft_"), sql)


def test_violated_constraint_is_a_store_error(engine: Engine) -> None:
    """What breaks a constraint is refused and rolled back."""
    broken = "insert into {}queue (name) values (null)"
    with pytest.raises(StoreError, match=r"(?i)not[ -]null"):
        run(engine, broken.format("lineshaft_"), broken.format("lineshaft."))
    store_rows(engine, new_row())


def test_read_only_file_is_named(open_folder: Path) -> None:
    """A store whose file may not be written says so, and what to check."""
    address = f"sqlite:///{open_folder / 'jobs.db'}"
    owner = open_engine(address)
    migrate(owner)
    with owner.reading():  # keeps the log's files there, so that reading alone would work
        for path in open_folder.iterdir():
            path.chmod(0o444)
        open_folder.chmod(0o555)
        with powerless():
            reader = open_engine(address)
            with pytest.raises(StoreUnavailableError, match=r"read-only; check the permissions"):
                store_rows(reader, new_row())
            reader.close()
    owner.close()


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A store in a folder that does not exist cannot be opened, and the message says what to check."""
    engine = open_engine(f"sqlite:///{tmp_path / 'no' / 'jobs.db'}")
    with pytest.raises(StoreUnavailableError, match="cannot be opened; check that its folder exists"):
        migrate(engine)
    engine.close()


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that is no database is refused and left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and long enough to be read as one\n" * 100)
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(StoreError, match="not a database"):
        migrate(engine)
    assert path.read_text().startswith("not a database")
    engine.close()


def test_busy_file_is_waited_for_and_then_named(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that never ends is waited for until the deadline, and then the error says what to look for."""
    monkeypatch.setattr("lineshaft.engines.sqlite.engine._BUSY_DEADLINE_SECONDS", 0.05)
    blocker = sqlite3.connect(sqlite_engine.address.removeprefix("sqlite:///"), isolation_level=None)
    blocker.execute("begin immediate")
    with pytest.raises(StoreUnavailableError, match=r"stayed locked .*; find who writes to it"):
        store_rows(sqlite_engine, new_row())
    blocker.execute("rollback")
    blocker.close()
    store_rows(sqlite_engine, new_row())


def test_conflict_is_tried_again(engine: Engine) -> None:
    """An operation that met a conflict is run again in a new transaction, what it had written rolled back."""
    tries: list[int] = []

    def conflict_twice(tx: Tx) -> str:
        tries.append(1)
        insert_jobs(tx, [new_row()])
        if len(tries) < 3:
            raise ConflictError("in each other's way")
        return "done"

    assert engine.write(conflict_twice) == "done"
    assert engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 1


def test_deadlock_is_a_conflict(
    postgres_engine: Engine, race: Callable[[int, Callable[[int], None]], list[None]]
) -> None:
    """Two transactions that wait for each other both get their work done, one of them at its second try."""
    meet = threading.Barrier(2)
    tries: list[str] = []

    def lock_both(number: int) -> None:
        first, second = ("a", "b") if number else ("b", "a")

        def operation(tx: Tx) -> None:
            tries.append(first)
            control.limit_queue(tx, first, 1)
            if len(tries) <= 2:
                meet.wait(LIMIT_SECONDS)
            control.limit_queue(tx, second, 1)

        postgres_engine.write(operation)

    race(2, lock_both)
    assert len(tries) == 3
    assert [one[:3] for one in postgres_engine.read(inspect.list_queues)] == [("a", None, 1), ("b", None, 1)]


def test_nobody_listens_at_the_address() -> None:
    """A server that is not there is named as unreachable, without the password."""
    engine = open_engine("postgresql://ann:secret@127.0.0.1:1/jobs")
    with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
        engine.read(inspect.list_queues)
    assert "secret" not in str(caught.value) + engine.address
    assert "\n" not in str(caught.value)


def hear_of_the_end(listener: Listener) -> None:
    for _ in range(3):  # the server's farewell may come before the end of its connection
        listener.receive(LIMIT_SECONDS)


def test_stopped_server_is_unavailable_and_the_pool_recovers(
    own_postgres_server: Callable[..., TemporaryPostgres],
) -> None:
    """While the server is stopped every use fails as unavailable; once it is back, all works."""
    server = own_postgres_server()
    engine = open_engine(server.url)
    migrate(engine)
    lock, listener = engine.hold_worker_lock(WORKER), engine.listen("worker")
    first_start = lock.renew()
    with engine.transaction(), engine.transaction():  # two connections come to lie in the pool
        pass
    server.stop()
    for use in (lambda: store_rows(engine, new_row()), lambda: engine.read(inspect.list_queues), lock.renew):
        with pytest.raises(StoreUnavailableError):
            use()
    with pytest.raises(StoreUnavailableError):
        hear_of_the_end(listener)
    listener.close()
    server.start()
    store_rows(engine, new_row())
    assert engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 1
    assert engine.read(lambda tx: engine.dead_workers(tx, [WORKER])) == [WORKER]
    assert lock.renew() != first_start
    assert engine.read(lambda tx: engine.dead_workers(tx, [WORKER])) == []
    lock.release()
    engine.close()


def test_restart_between_uses_costs_one_error(own_postgres_server: Callable[..., TemporaryPostgres]) -> None:
    """However many connections lay idle over a restart, one failing use clears them all."""
    server = own_postgres_server()
    engine = open_engine(server.url)
    migrate(engine)
    with engine.transaction(), engine.transaction(), engine.transaction():
        pass
    server.restart("immediate")
    with pytest.raises(StoreUnavailableError):
        store_rows(engine, new_row())
    store_rows(engine, new_row())
    engine.close()


def test_cut_connection_rolls_back(postgres_engine: Engine) -> None:
    """A transaction whose session is cut is unavailable, stores nothing, and the next one works."""
    cut = statement("", "select pg_terminate_backend(pg_backend_pid())")

    def store_then_break() -> None:
        with postgres_engine.transaction() as tx:
            insert_jobs(tx, [new_row()])
            tx.run(cut, {})

    with pytest.raises(StoreUnavailableError):
        store_then_break()
    assert postgres_engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 0
