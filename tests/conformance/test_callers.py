"""Jobs enqueued on a caller's own connection share its transaction, whichever supported driver it comes from."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from django.db import connection as django_connection
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from lineshaft.app.placing import draw_of
from lineshaft.clock import SECOND
from lineshaft.config import parse_store
from lineshaft.engines.base import ConflictError
from lineshaft.engines.callers import caller_tx, is_async_connection, needs_calling_thread
from lineshaft.engines.postgres import PostgresEngine
from lineshaft.engines.postgres.prepared import number_parameters
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.errors import ConfigError, QueueFull, SchemaError, StoreClosedError, StoreError
from lineshaft.feature import Incoming
from lineshaft.options import Fair, Options
from lineshaft.options.fair import UNIT
from lineshaft.store.closure import Closure, close_store
from lineshaft.store.enqueue import NewRow, insert_jobs
from lineshaft.store.fairness import change_fair
from lineshaft.store.migrate import migrate
from lineshaft.store.placing import store_incoming
from tests.conformance.caller_kinds import COMMITTING, TRANSACTIONAL, Caller, Store, running_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN_ROW = "insert into {}own values (1)"
AT = 1_790_000_000_000_000
TENANTS = ("other", "acme")


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the async callers."""
    with running_loop() as loop:
        yield loop


@pytest.fixture
def sqlite_store(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Store]:
    """A store in a file."""
    path = tmp_path / "jobs.db"
    engine = SqliteEngine(path)
    migrate(engine)
    connection = sqlite3.connect(path)
    connection.execute("create table own (n integer)")
    connection.close()
    yield Store(engine, str(path), "", loop)
    engine.close()


@pytest.fixture
def postgres_store(postgres_url: str, loop: asyncio.AbstractEventLoop) -> Iterator[Store]:
    """A store in a schema of a real server."""
    address = parse_store(postgres_url)
    assert address.url
    engine = PostgresEngine(address.url, schema=address.schema)
    migrate(engine)
    with psycopg.connect(address.url, autocommit=True) as connection:
        connection.execute(f"create table {address.schema}.own (n integer)".encode())
    yield Store(engine, address.url, f"{address.schema}.", loop)
    engine.close()


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Store:
    """The store that the caller of this test writes to."""
    found: Store = request.getfixturevalue(f"{request.param[0]}_store")
    return found


@pytest.fixture
def caller(request: pytest.FixtureRequest, store: Store) -> Iterator[Caller]:
    """An open connection of the kind that this test is about."""
    with request.node.callspec.params["store"][1](store) as opened:
        yield opened


every_kind = pytest.mark.parametrize("store", TRANSACTIONAL.values(), ids=list(TRANSACTIONAL), indirect=True)
every_committing_kind = pytest.mark.parametrize("store", COMMITTING.values(), ids=list(COMMITTING), indirect=True)
# Sessions and Django's wrappers connect anew instead.
CLOSABLE = {name: one for name, one in TRANSACTIONAL.items() if "session" not in name and "Django" not in name}


def new_rows(count: int, **fields: Any) -> list[NewRow]:
    """Return jobs about to be stored, in order."""
    return [
        NewRow(
            **{
                "id": str(uuid4()),
                "queue": "mail",
                "name": "shop.send",
                "rank": -50,
                "run_at": 1_790_000_000_000_000 + number,
                "stage": 1,
                "created_at": 1_790_000_000_000_000,
                "max_attempts": 3,
                "deadline": None,
                "tenant": None,
                "tags": '["q3"]',
                "meta": None,
                "options": None,
                "context": None,
                "args": '{"to":"ü:name %(x)s $1"}',
                **fields,
            }
        )
        for number in range(count)
    ]


def ids(rows: list[NewRow]) -> list[str]:
    """Return the rows' ids."""
    return [row["id"] for row in rows]


@every_kind
def test_commit_stores(store: Store, caller: Caller) -> None:
    """The caller's commit, and nothing before it, stores their own row and every job, whole."""
    rows = new_rows(2)
    caller.execute(OWN_ROW.format(store.prefix))
    store.enqueue(caller.connection, rows)
    assert (store.jobs(), store.own_rows()) == ([], [])
    caller.commit()
    assert (store.jobs(), store.own_rows()) == (ids(rows), [1])
    columns = [name for name in rows[0] if name != "id"]
    stored = store.look(f"select {', '.join(columns)} from {store.table('job')} order by run_at")
    assert stored == [tuple(row[name] for name in columns) for row in rows]  # type: ignore[literal-required]


@every_kind
def test_rollback_stores_nothing(store: Store, caller: Caller) -> None:
    """After the caller's rollback neither their row nor a job exists."""
    store.enqueue(caller.connection, new_rows(2))
    caller.execute(OWN_ROW.format(store.prefix))
    caller.rollback()
    assert (store.jobs(), store.own_rows()) == ([], [])


@every_kind
def test_enqueue_comes_first(store: Store, caller: Caller) -> None:
    """A job that is the transaction's first write is committed with what the caller writes after it."""
    rows = new_rows(1)
    store.enqueue(caller.connection, rows)
    caller.execute(OWN_ROW.format(store.prefix))
    assert store.own_rows() == []
    caller.commit()
    assert (store.jobs(), store.own_rows()) == (ids(rows), [1])


@every_kind
def test_limited_queue(store: Store, caller: Caller) -> None:
    """A queue's max_depth holds for the caller's transaction too, its own jobs counted."""
    caller.execute(f"insert into {store.table('queue')} (name, max_depth) values ('mail', 3)")
    rows = new_rows(2)
    store.enqueue(caller.connection, rows)
    with pytest.raises(QueueFull, match="holds 2 of at most 3"):
        store.enqueue(caller.connection, new_rows(2))
    caller.commit()
    assert store.jobs() == ids(rows)


@every_kind
def test_fair_queue(store: Store, caller: Caller) -> None:
    """In the caller's transaction too jobs of a fair queue draw turns; where others can write, nobody waits for it."""
    store.engine.write(lambda tx: change_fair(tx, "mail", Fair("tenant"), now=AT))
    rows = new_rows(3, tenant="acme")
    with store.tx(caller.connection) as tx:
        store_incoming(tx, as_incoming(rows), AT, draw=draw_of(store.engine))
    if store.engine.dialect == "postgres":
        more = new_rows(2, tenant="acme")
        store.engine.write(lambda tx: store_incoming(tx, as_incoming(more), AT, draw=draw_of(store.engine)))
        rows += more
    caller.commit()
    turns = dict(store.look(f"select id, turn from {store.table('job')}"))
    places = [{str(job): turn for job, turn in turns.items()}[one] for one in ids(rows)]
    assert places == sorted(set(places))


@every_kind
def test_rolled_back_turns(store: Store, caller: Caller) -> None:
    """A rollback leaves no job and holds nobody up: the next of the tenant comes right behind what is there."""
    store.engine.write(lambda tx: change_fair(tx, "mail", Fair("tenant"), now=AT))
    with store.tx(caller.connection) as tx:
        store_incoming(tx, as_incoming(new_rows(50, tenant="acme")), AT, draw=draw_of(store.engine))
    caller.rollback()
    assert store.jobs() == []
    later = AT + 12 * SECOND
    for tenant in ("other", "acme"):
        jobs = as_incoming(new_rows(1, tenant=tenant, run_at=later))
        store.engine.write(lambda tx, jobs=jobs: store_incoming(tx, jobs, later))
    [[other], [acme]] = [store.look(f"select turn from {store.table('job')} where tenant = '{one}'") for one in TENANTS]
    assert acme - other <= 2 * UNIT


def as_incoming(rows: list[NewRow]) -> list[Incoming]:
    """Return jobs as an app stores them."""
    return [Incoming(dict(row), Options(), None) for row in rows]


@every_kind
def test_resend(store: Store, caller: Caller) -> None:
    """Jobs sent a second time are stored once."""
    rows = new_rows(2)
    for is_resend in (False, True):
        store.enqueue(caller.connection, rows, is_resend=is_resend)
    caller.commit()
    assert store.jobs() == ids(rows)


@every_kind
def test_refused_statement(store: Store, caller: Caller) -> None:
    """What the database refuses is raised as the store's error, and the caller can roll back and go on."""
    caller.execute(OWN_ROW.format(store.prefix))
    with pytest.raises(StoreError) as raised:
        store.enqueue(caller.connection, new_rows(1, args=None))
    assert "null" in str(raised.value).lower()
    assert "\n" not in str(raised.value)
    caller.rollback()
    assert (store.jobs(), store.own_rows()) == ([], [])


@every_kind
def test_closed_store(store: Store, caller: Caller) -> None:
    """A store that is closed refuses jobs on a caller's connection too, and the caller can roll back and go on."""
    closed = Closure("it's moved", "{}")
    store.engine.write(lambda tx: close_store(tx, store.engine, closed))
    caller.execute(OWN_ROW.format(store.prefix))
    with pytest.raises(StoreClosedError, match=r"^it's moved$"):
        store.enqueue(caller.connection, new_rows(1))
    caller.rollback()
    assert (store.jobs(), store.own_rows()) == ([], [])


@every_committing_kind
def test_autocommit_stores_at_once(store: Store, caller: Caller) -> None:
    """On a connection that commits each statement, the jobs are there when enqueue returns; it stays as it was."""
    rows = new_rows(3)
    store.enqueue(caller.connection, rows)
    assert store.jobs() == ids(rows)
    caller.execute(OWN_ROW.format(store.prefix))
    caller.commit()  # SQLAlchemy's bookkeeping; the databases have nothing to commit
    assert store.own_rows() == [1]


@every_committing_kind
def test_autocommit_is_atomic(store: Store, caller: Caller) -> None:
    """On a connection that commits each statement, an operation that fails midway leaves nothing behind."""
    with pytest.raises(QueueFull):
        insert_and_raise(store, caller)
    with pytest.raises(StoreError):
        insert_good_then_bad(store, caller)
    rows = new_rows(1)
    store.enqueue(caller.connection, rows)
    assert store.jobs() == ids(rows)


def insert_and_raise(store: Store, caller: Caller) -> None:
    """Store jobs, then fail as a feature might."""
    with store.tx(caller.connection) as tx:
        insert_jobs(tx, new_rows(2))
        raise QueueFull


def insert_good_then_bad(store: Store, caller: Caller) -> None:
    """Store jobs, then have the database refuse one."""
    with store.tx(caller.connection) as tx:
        insert_jobs(tx, new_rows(2))
        insert_jobs(tx, new_rows(1, args=None))


def test_failure_ends_what_it_began(sqlite_store: Store) -> None:
    """Where enqueue had to begin the SQLite transaction, its failure ends it: the caller holds no lock by accident."""
    connection = sqlite3.connect(sqlite_store.url)
    with pytest.raises(StoreError):
        sqlite_store.enqueue(connection, new_rows(1, args=None))
    assert not connection.in_transaction
    connection.close()


def test_reads_hold_until_the_write(sqlite_store: Store) -> None:
    """What an operation reads before it writes cannot change in between: nobody else can write to the file."""
    connection, other = sqlite3.connect(sqlite_store.url), sqlite3.connect(sqlite_store.url, timeout=0)
    with sqlite_store.tx(connection), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute(OWN_ROW.format(""))
    connection.close()
    other.close()


def test_savepoint(postgres_store: Store) -> None:
    """Rolling back to the caller's savepoint takes the jobs enqueued since with it, and no others."""
    kept, dropped = new_rows(1), new_rows(1)
    with psycopg.connect(postgres_store.url) as connection:
        postgres_store.enqueue(connection, kept)
        with connection.transaction(force_rollback=True):
            postgres_store.enqueue(connection, dropped)
    assert postgres_store.jobs() == ids(kept)


def test_pooled_session_is_checked_once(postgres_store: Store) -> None:
    """The question where a connection leads costs a round trip at its first use only, whoever acquires it."""
    asked: list[str] = []

    async def enqueue_twice() -> None:
        async with asyncpg.create_pool(postgres_store.url, min_size=1, max_size=1) as pool:
            for _ in range(2):
                async with pool.acquire() as connection:
                    connection.add_query_logger(lambda record: asked.append(record.query))
                    await asyncio.to_thread(postgres_store.enqueue, connection, new_rows(1))

    postgres_store.wait(enqueue_twice())
    assert sum("current_database" in query for query in asked) == 1
    assert len(postgres_store.jobs()) == 2


def test_busy_store(sqlite_store: Store) -> None:
    """When another connection holds SQLite's write lock beyond the caller's own timeout, the error says try again."""
    connection = sqlite3.connect(sqlite_store.url, timeout=0)
    with sqlite_store.engine.transaction(), pytest.raises(ConflictError, match="try again"):
        sqlite_store.enqueue(connection, new_rows(1))
    connection.close()


def test_lost_server_connection(postgres_store: Store) -> None:
    """A session that the server ended is the store's error, and a closed connection from then on."""
    with psycopg.connect(postgres_store.url, autocommit=True) as connection:
        with psycopg.connect(postgres_store.url, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(StoreError, match="cannot be reached"):
            postgres_store.enqueue(connection, new_rows(1))
        with pytest.raises(ConfigError, match="closed"):
            postgres_store.enqueue(connection, new_rows(1))


@pytest.mark.parametrize(
    "given", ["jobs.db", 7, object(), sa.create_engine("sqlite://")], ids=lambda one: type(one).__name__
)
def test_unknown_type(sqlite_store: Store, given: Any) -> None:
    """Something that is no connection is refused by the name of its type, with what is taken."""
    with pytest.raises(ConfigError, match=rf"{type(given).__name__}: give an open connection .* sqlite3") as raised:
        sqlite_store.enqueue(given, new_rows(1))
    assert "\n" not in str(raised.value)


def test_other_file(sqlite_store: Store, tmp_path: Path) -> None:
    """A SQLite connection to another file, or to none, is refused; the same file by another name is not."""
    for name in (str(tmp_path / "other.db"), ":memory:", ""):
        other = sqlite3.connect(name)
        with pytest.raises(ConfigError, match=r"the store is .*jobs\.db"):
            sqlite_store.enqueue(other, new_rows(1))
        other.close()
    link = tmp_path / "link.db"
    link.symlink_to(sqlite_store.url)
    connection = sqlite3.connect(link)
    sqlite_store.enqueue(connection, new_rows(1))
    connection.commit()
    connection.close()
    assert len(sqlite_store.jobs()) == 1


def test_other_dialect(sqlite_store: Store, postgres_store: Store) -> None:
    """A connection of one database is refused by a store of the other."""
    connection = sqlite3.connect(sqlite_store.url)
    with pytest.raises(ConfigError, match=r"sqlite3\.Connection cannot write to the store postgresql://"):
        postgres_store.enqueue(connection, new_rows(1))
    connection.close()
    with (
        psycopg.connect(postgres_store.url) as connection,
        pytest.raises(ConfigError, match=r"psycopg\.Connection cannot write to the store sqlite:///"),
    ):
        sqlite_store.enqueue(connection, new_rows(1))


def test_memory_store() -> None:
    """No connection can join a store in memory, and the refusal says why."""
    engine = SqliteEngine(None)
    connection = sqlite3.connect(":memory:")
    with (
        pytest.raises(ConfigError, match="memory:// store lives in a connection of its own"),
        caller_tx(connection, engine),
    ):
        pass
    connection.close()


def test_other_database(postgres_store: Store) -> None:
    """A connection to another database of the same server is refused, and its transaction stays usable."""
    with psycopg.connect(postgres_store.url, dbname="template1") as connection:
        with pytest.raises(ConfigError, match="on database 'template1' of the same server"):
            postgres_store.enqueue(connection, new_rows(1))
        assert connection.execute("select 1").fetchone() == (1,)


def test_missing_schema(postgres_url: str) -> None:
    """A database without the store's tables is told from another one: the error says to migrate."""
    address = parse_store(postgres_url)
    assert address.url
    engine = PostgresEngine(address.url, schema=address.schema)
    with (
        psycopg.connect(address.url) as connection,
        pytest.raises(SchemaError, match="lineshaft migrate"),
        caller_tx(connection, engine),
    ):
        pass
    engine.close()


@pytest.mark.parametrize("store", CLOSABLE.values(), ids=list(CLOSABLE), indirect=True)
def test_closed(store: Store, request: pytest.FixtureRequest) -> None:
    """A connection that its owner has closed, or given back to its pool, is refused in one line."""
    with request.node.callspec.params["store"][1](store) as caller:
        pass
    with pytest.raises(ConfigError, match=r"closed|no active connection") as raised:
        store.enqueue(caller.connection, new_rows(1))
    assert "\n" not in str(raised.value)


@every_kind
def test_async_connection_without_a_loop(store: Store, caller: Caller) -> None:
    """A sync call with an async connection is refused by pointing at aenqueue."""
    if not is_async_connection(caller.connection):
        store.enqueue(caller.connection, new_rows(1))
        return
    with pytest.raises(ConfigError, match="await aenqueue"), caller_tx(caller.connection, store.engine):
        pass


@pytest.mark.parametrize("store", [TRANSACTIONAL["psycopg"]], indirect=True)
def test_other_thread(store: Store, caller: Caller) -> None:
    """A sync psycopg connection may be used from a store thread while its owner waits."""
    rows = new_rows(1)
    assert not needs_calling_thread(caller.connection)
    store.wait(asyncio.to_thread(store.enqueue, caller.connection, rows))  # type: ignore[arg-type]
    caller.commit()
    assert store.jobs() == ids(rows)


def test_thread_bound_kinds() -> None:
    """What another thread could not use, or would find another connection behind, is told apart from the rest."""
    sqlite, postgres = sa.create_engine("sqlite://"), sa.create_engine("postgresql+psycopg://")
    plain, alchemy = sqlite3.connect(":memory:"), sqlite.connect()
    bound = [
        plain,
        alchemy,
        Session(sqlite),
        Session(alchemy),
        scoped_session(sessionmaker(postgres)),
        django_connection,
    ]
    free = [Session(postgres), AsyncSession(create_async_engine("sqlite+aiosqlite://")), object()]
    assert [needs_calling_thread(one) for one in bound] == [True] * len(bound)
    assert [needs_calling_thread(one) for one in free] == [False] * len(free)
    alchemy.close()
    plain.close()
    sqlite.dispose()


def test_session_without_a_database(sqlite_store: Store) -> None:
    """A session bound to no database is refused in one line."""
    with pytest.raises(ConfigError, match="SQLAlchemy cannot use the connection given") as raised:
        sqlite_store.enqueue(Session(), new_rows(1))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("store", [TRANSACTIONAL["Django on psycopg"]], indirect=True)
def test_broken_atomic_block(store: Store, caller: Caller) -> None:
    """In a block of Django's that will be rolled back anyway, enqueue fails instead of storing for nothing."""
    caller.connection.set_rollback(True)
    with pytest.raises(StoreError, match="Django refuses"):
        store.enqueue(caller.connection, new_rows(1))
    caller.rollback()


@pytest.mark.parametrize("store", [TRANSACTIONAL["Django on psycopg"]], indirect=True)
def test_django_on_an_event_loop(store: Store, caller: Caller) -> None:
    """Django keeps its connections out of event loops; the refusal says where to enqueue instead."""

    async def enqueue() -> None:
        store.enqueue(caller.connection, new_rows(1))

    with pytest.raises(ConfigError, match="sync_to_async"):
        asyncio.run(enqueue())
    caller.rollback()


def test_parameters_are_numbered_once() -> None:
    """Asyncpg gets each parameter once, in the order of first use, JSON as text, and single per cent signs."""
    text = "select %(b)s::int, %(rows)s::json, %(a)s::uuid[], %(b)s where x like '%%y'"
    assert number_parameters(text) == (
        "select $1::int, $2::text::json, $3::uuid[], $1 where x like '%y'",
        ("b", "rows", "a"),
    )


def test_no_driver_is_imported() -> None:
    """Enqueueing on a sqlite3 connection loads no driver and no framework that the caller has not loaded."""
    code = (
        "import sqlite3, sys; from lineshaft.engines.callers import needs_calling_thread as n;"
        "assert n(sqlite3.connect(':memory:')); "
        "print({'psycopg', 'asyncpg', 'aiosqlite', 'sqlalchemy', 'django'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
