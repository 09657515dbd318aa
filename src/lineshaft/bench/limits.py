"""What bare SQL does on this very store, in tables of its own beside it, which are removed afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from time import perf_counter
from typing import Any, Final, cast

from lineshaft.app.store import open_engine
from lineshaft.bench.counting import LONGEST_SECONDS, numbers_in_time
from lineshaft.bench.figures import Latency, Limits, Rate, latency, rate
from lineshaft.bench.watcher import Watcher
from lineshaft.clock import SECOND
from lineshaft.config import StoreAddress
from lineshaft.engines.base import Engine, Row, Statement, Tx
from lineshaft.ids import new_id
from lineshaft.store.queries import Statements

SQL: Final = Statements("raw", "lineshaft.bench")

_BATCH: Final = 100
_COMMITS: Final = 1_000
_TRIPS: Final = 200
_TELL_EVERY: Final = 50


def measure_limits(address: StoreAddress, *, jobs: int, watcher: Watcher) -> Limits:
    """Measure a store's bare commits, round trips, and claims with finishes of `jobs` jobs.

    Raises `StoreError` where no scratch tables can be made.
    """
    with _scratch(address) as engine:
        watcher.step("bare SQL: commits of one row", _COMMITS)
        with _connection(engine) as connection:
            trips = [_timed(partial(connection.execute, "select 1")) for _ in numbers_in_time(_TRIPS)]
            commits, commit = _commit_singly(engine, connection, watcher)
        watcher.step("bare SQL: claim and finish", jobs)
        return Limits(
            durability=_durability(engine, address),
            round_trip_ms=latency(trips).p50_ms,
            commits=commits,
            commit=commit,
            drain=_drain(engine, jobs, watcher),
        )


@contextmanager
def _scratch(address: StoreAddress) -> Iterator[Engine]:
    """Open the same database with the same settings, in a file beside the store's or a schema beside its own."""
    token = secrets.token_hex(4)
    path = f"{address.path}-bench-{token}" if address.path else None
    engine = open_engine(replace(address, path=path, schema=f"lineshaft_bench_{token}"))
    try:
        with engine.migrating() as tx:
            tx.run_script(resources.files("lineshaft.bench").joinpath(f"create_raw.{tx.dialect}.sql").read_text())
        try:
            yield engine
        finally:
            engine.write(lambda tx: tx.run(SQL.drop_raw, {}))
    finally:
        engine.close()
        for ending in ("", "-wal", "-shm") if path else ():
            Path(f"{path}{ending}").unlink(missing_ok=True)


@contextmanager
def _connection(engine: Engine) -> Iterator[Any]:
    """Lend the driver's own connection, out of any transaction: each statement is one."""
    with engine.reading() as tx:
        connection = cast(Any, tx).connection
        connection.execute("rollback")
        yield connection


def _commit_singly(engine: Engine, connection: Any, watcher: Watcher) -> tuple[Rate, Latency]:
    insert, now, times = partial(connection.execute, _text(engine, SQL.insert_one)), engine.clock.now(), []
    for number in numbers_in_time(_COMMITS):
        row = {"id": new_id(), "now": now}
        times.append(_timed(partial(insert, row)))
        if number % _TELL_EVERY == 0:
            watcher.reached(number)
    return rate(len(times), sum(times) / SECOND), latency(times)


def _text(engine: Engine, statement: Statement) -> Any:
    if engine.dialect == "sqlite":
        return statement.sqlite.parts[0]
    from lineshaft.engines.postgres.transaction import in_schema

    return in_schema(statement.postgres.parts[0], cast(Any, engine).schema)


def _drain(engine: Engine, jobs: int, watcher: Watcher) -> Rate:
    now = engine.clock.now()
    engine.write(lambda tx: tx.run(SQL.fill, {"count": jobs, "now": now}))
    done, before = 0, perf_counter()
    claimed = engine.write(lambda tx: _step(tx, [], now))
    while claimed and perf_counter() < before + LONGEST_SECONDS:
        claimed, finished = engine.write(partial(_step, claimed=claimed, now=now)), len(claimed)
        done += finished
        watcher.reached(done)
    return rate(done, perf_counter() - before)


def _step(tx: Tx, claimed: Sequence[Row], now: int) -> list[Row]:
    """Finish what was claimed and claim anew, as a worker does, in one transaction."""
    if claimed:
        rows = [{"key": key, "id": key, "claim": claim, "result": "7"} for key, claim, *_ in sorted(claimed)]
        tx.run(SQL.finish, {"now": now}, rows)
    return tx.run(SQL.claim, {"limit": _BATCH, "now": now})


def _durability(engine: Engine, address: StoreAddress) -> str:
    if engine.dialect == "sqlite":
        return f"synchronous={address.synchronous}"
    [(setting,)] = engine.read(lambda tx: tx.run(SQL.settings, {}))
    return f"synchronous_commit={setting}"


def _timed(call: Callable[[], Any]) -> float:
    before = perf_counter()
    call()
    return (perf_counter() - before) * SECOND
