"""Connections that break before, during and after a commit, and commits that arrive when nobody waits any more."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lineshaft import Lineshaft, RetryLater, State, current_job
from lineshaft.engines.postgres.engine import PostgresEngine
from lineshaft.engines.postgres.transaction import ApartTx, PostgresTx
from lineshaft.errors import StoreUnavailableError
from tests.chaos.proxy import Cut, CuttingProxy
from tests.plugins.apps import Gates, StartWorker, eventually

LIMIT = 8.0


WRITES = ("claim_jobs", "complete_jobs", "put_back_jobs", "beat", "set_idle")


class Trigger:
    """Arms a proxy for the connection that is about to commit a statement, the first time."""

    def __init__(self, proxy: CuttingProxy) -> None:
        self._proxy = proxy
        self.statement, self.cut = "", Cut.BEFORE

    def about_to_commit(self, statements: list[str], connection: Any) -> None:
        """Arm the proxy when the statement is among these."""
        if self.statement and self.statement in {name.removesuffix("_from") for name in statements}:
            self.statement = ""
            self._proxy.arm(_port(connection), self.cut)


def _port(connection: Any) -> int:
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as one:
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[CuttingProxy]:
    one = CuttingProxy(postgres_url)
    yield one
    one.close()


@pytest.fixture
def trigger(proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch) -> Trigger:
    """A trigger at every commit that PostgreSQL is sent by this process, alone or at a transaction's end."""
    found = Trigger(proxy)
    transaction, run = PostgresEngine.transaction, PostgresTx.run

    def noting_run(tx: Any, statement: Any, params: Any, rows: Any = None) -> Any:
        tx.__dict__.setdefault("chaos_written", []).append(statement.name)
        if isinstance(tx, ApartTx):
            found.about_to_commit([statement.name], tx.connection)
        return run(tx, statement, params, rows)

    @contextmanager
    def triggering(engine: Any) -> Iterator[Any]:
        with transaction(engine) as tx:
            yield tx
            found.about_to_commit(tx.__dict__.get("chaos_written", []), tx.connection)

    monkeypatch.setattr(PostgresTx, "run", noting_run)
    monkeypatch.setattr(PostgresEngine, "transaction", triggering)
    return found


def _tasks(app: Lineshaft, gates: Gates) -> None:
    @app.task(name="once")
    def once(key: str) -> str:
        gates.note(key)
        return key

    @app.task(name="fail_first")
    def fail_first(key: str) -> str:
        gates.note(key)
        if current_job().attempt == 1:
            raise RetryLater
        return key


def _run(app: Lineshaft, gates: Gates) -> Counter[str]:
    """Run a few jobs to their end and return how often each ran."""
    jobs = [app.enqueue("once", f"job{n}") for n in range(5)]
    assert [job.result(LIMIT) for job in jobs] == [f"job{n}" for n in range(5)]
    return Counter(gates.notes.get() for _ in range(gates.notes.qsize()))


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.DURING, Cut.AFTER])
@pytest.mark.parametrize("statement", WRITES)
def test_connection_broken_around_a_commit(
    statement: str,
    cut: Cut,
    proxy: CuttingProxy,
    trigger: Trigger,
    postgres_url: str,
    make_app: Callable[..., Lineshaft],
    start_worker: StartWorker,
    gates: Gates,
) -> None:
    """Wherever a worker's connection breaks around its commit, each job completes, and none runs twice."""
    app, client = make_app(proxy.url), make_app(postgres_url)
    _tasks(app, gates)
    start_worker(app)
    trigger.cut, trigger.statement = cut, statement
    flaky = client.enqueue("fail_first", "flaky")
    ran = _run(client, gates)
    assert proxy.has_cut.wait(LIMIT)
    assert flaky.result(LIMIT) == "flaky"
    ran += Counter(gates.notes.get() for _ in range(gates.notes.qsize()))
    after = client.enqueue("once", "after")
    assert after.result(LIMIT) == "after"
    assert ran == Counter({f"job{n}": 1 for n in range(5)} | {"flaky": 2})
    assert {one.state for one in client.jobs.iter()} == {State.COMPLETED}


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.DURING, Cut.AFTER])
def test_connection_broken_around_an_enqueue(
    cut: Cut,
    proxy: CuttingProxy,
    trigger: Trigger,
    postgres_url: str,
    make_app: Callable[..., Lineshaft],
    start_worker: StartWorker,
    gates: Gates,
) -> None:
    """Wherever a client's connection breaks around the one statement of an enqueue, the job is stored and runs once."""
    client, app = make_app(proxy.url), make_app(postgres_url)
    _tasks(app, gates)
    start_worker(app)
    client.jobs.count()
    trigger.cut, trigger.statement = cut, "insert_job"
    assert _run(client, gates) == Counter({f"job{n}": 1 for n in range(5)})
    assert proxy.has_cut.is_set()
    assert app.jobs.count() == 5


def test_claim_that_arrives_late_is_given_back(
    proxy: CuttingProxy,
    trigger: Trigger,
    postgres_url: str,
    make_app: Callable[..., Lineshaft],
    start_worker: StartWorker,
    gates: Gates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A claim that the server carries out after the worker had given its connection up does not keep the job."""
    app, client = make_app(proxy.url), make_app(postgres_url)
    _tasks(app, gates)
    claimer = start_worker(app).worker.claimer
    client.enqueue("once", "first").result(LIMIT)
    caught = client.enqueue_new(app.task(name="later", queue="elsewhere")(lambda: "caught").new())
    trigger.cut, trigger.statement = Cut.LATE, "claim_jobs"
    assert proxy.has_cut.wait(LIMIT)
    eventually(lambda: "the store is back" in caplog.text)
    has_lease, claimer.has_lease = claimer.has_lease, lambda: False  # the claim on its way is to come first
    with client.transaction() as connection:
        connection.execute(f"update {postgres_url.rpartition('=')[2]}.job set queue = 'default'")
    proxy.may_deliver.set()
    assert proxy.has_delivered.wait(LIMIT)
    claimer.has_lease = has_lease
    assert caught.result(LIMIT) == "caught"


def test_enqueue_that_arrives_late_is_stored_once(
    proxy: CuttingProxy,
    trigger: Trigger,
    postgres_url: str,
    make_app: Callable[..., Lineshaft],
    start_worker: StartWorker,
    gates: Gates,
) -> None:
    """An enqueue that the server carries out after its second send was stored, run and finished adds nothing."""
    client, app = make_app(proxy.url), make_app(postgres_url)
    _tasks(app, gates)
    start_worker(app)
    client.enqueue("once", "first").result(LIMIT)
    trigger.cut, trigger.statement = Cut.LATE, "insert_job"
    job = client.enqueue("once", "only")
    assert job.result(LIMIT) == "only"
    proxy.may_deliver.set()
    assert proxy.has_delivered.wait(LIMIT)
    client.enqueue("once", "after").result(LIMIT)
    ran = Counter(gates.notes.get() for _ in range(gates.notes.qsize()))
    assert ran == Counter({"first": 1, "only": 1, "after": 1})
    assert app.jobs.count() == 3


@pytest.mark.parametrize("has_committed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("statement", ["claim_jobs", "complete_jobs", "put_back_jobs", "beat"])
def test_store_that_fails_around_a_commit(
    statement: str,
    has_committed: bool,  # noqa: FBT001 - a parameter of the test
    durable_app: Lineshaft,
    start_worker: StartWorker,
    gates: Gates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On both stores, a worker whose store call fails before or after its commit repeats it, and each job runs once."""
    app = durable_app
    _tasks(app, gates)
    engine = app._store.engine
    failed: list[str] = []

    def failing(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def failing_write(operation: Any) -> Any:
            names: list[str] = []

            def noting(tx: Any) -> Any:
                run = tx.run

                def noting_run(one: Any, *args: Any) -> Any:
                    names.append(one.name.removesuffix("_from"))
                    return run(one, *args)

                tx.run = noting_run
                answer = operation(tx)
                if statement in names and not has_committed and not failed:
                    failed.append(statement)
                    raise StoreUnavailableError("injected before the commit")
                return answer

            answer = write(noting)
            if statement in names and not failed:
                failed.append(statement)
                raise StoreUnavailableError("injected after the commit")
            return answer

        return failing_write

    monkeypatch.setattr(engine, "write", failing(engine.write))
    monkeypatch.setattr(engine, "write_apart", failing(engine.write_apart))
    start_worker(app)
    flaky = app.enqueue("fail_first", "flaky")
    ran = _run(app, gates)
    assert flaky.result(LIMIT) == "flaky"
    eventually(lambda: failed)
    ran += Counter(gates.notes.get() for _ in range(gates.notes.qsize()))
    assert ran == Counter({f"job{n}": 1 for n in range(5)} | {"flaky": 2})
    assert {one.state for one in app.jobs.iter()} == {State.COMPLETED}
