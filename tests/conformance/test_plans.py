"""The hot statements use their indexes however large the tables are and however stale the statistics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import pytest

from lineshaft.engines.base import Sql, Statement
from lineshaft.engines.postgres.transaction import bind, in_schema
from lineshaft.job import new_id
from lineshaft.store import claim, finish
from tests.plugins.engines import NOW, WORKER, claim_held, new_row, store_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lineshaft.engines.base import Engine, Params
    from lineshaft.engines.postgres import PostgresEngine
    from lineshaft.engines.sqlite.transaction import SqliteTx

SIZES = {"empty": 0, "small": 30, "large": 20_000}
FINISHED = [{"id": new_id(), "key": n, "claim": 1, "result": "1", "expires_at": NOW} for n in range(1, 101)]
CASES: dict[str, tuple[Statement, Mapping[str, Any], Sequence[Params] | None, str, str]] = {
    "claim_jobs": (
        claim.SQL.claim_jobs, {"queue": "default", "limit": 100, "worker": WORKER, "now": NOW}, None,
        "job_ready", "job_ready",
    ),
    "complete_jobs": (
        finish.SQL.complete_jobs, {"worker": WORKER, "now": NOW}, FINISHED, "INTEGER PRIMARY KEY", "job_pkey",
    ),
    "promote_due": (claim.SQL.promote_due, {"now": NOW, "limit": 1_000}, None, "job_due", "job_due"),
    "next_due": (claim.SQL.next_due, {}, None, "job_due", "job_due"),
}  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES)
every_size = pytest.mark.parametrize("size", SIZES)
ANALYZE = Statement("analyze", Sql(()), Sql.parse("analyze lineshaft.job", "postgres", ()))


def fill(engine: Engine, count: int) -> None:
    """Store as many jobs, a tenth of them not yet due, some of them held."""
    rows = [new_row(run_at=NOW + n * (n % 10 == 0), stage=int(n % 10 != 0), rank=n % 5) for n in range(count)]
    for start in range(0, count, 5_000):
        store_rows(engine, *rows[start : start + 5_000])
    claim_held(engine, limit=100)


@every_size
@every_case
def test_postgres_plan(postgres_engine: Engine, case: str, size: str) -> None:
    """With the engine's own session settings no hot statement reads the whole live table, whatever the statistics."""
    statement, params, rows, _, index = CASES[case]
    fill(postgres_engine, SIZES[size])
    before = postgres_plan(postgres_engine, statement, params, rows)
    postgres_engine.write(lambda tx: tx.run(ANALYZE, {}))
    for plan in (before, postgres_plan(postgres_engine, statement, params, rows)):
        assert index in plan, plan
        assert "Seq Scan on job" not in plan, plan


@every_size
@every_case
def test_sqlite_plan(sqlite_engine: Engine, case: str, size: str) -> None:
    """No hot statement scans the table or sorts; there are no statistics, for nothing ever makes them."""
    statement, params, rows, index, _ = CASES[case]
    fill(sqlite_engine, SIZES[size])
    plan = sqlite_plan(sqlite_engine, statement, params, rows)
    assert index in plan, plan
    assert not re.search(r"^SCAN (lineshaft_)?job$", plan, re.MULTILINE), plan
    assert "TEMP B-TREE" not in plan, plan


def postgres_plan(
    engine: Engine, statement: Statement, params: Mapping[str, Any], rows: Sequence[Params] | None
) -> str:
    """Explain the statement as the engine runs it: prepared, with the generic plan."""
    postgres = cast("PostgresEngine", engine)
    text = b"explain " + in_schema(statement.postgres.parts[0], postgres.schema)
    with postgres.transaction() as tx:
        found = tx.connection.execute(text, bind(statement, params, rows)).fetchall()
    return "".join(f"{line}\n" for (line,) in found)


def sqlite_plan(engine: Engine, statement: Statement, params: Mapping[str, Any], rows: Sequence[Params] | None) -> str:
    """Explain every part of the statement that reads the table."""
    lines: list[str] = []
    for part in statement.sqlite.parts:
        explained = Statement("explain", Sql.parse(f"explain query plan {part}", "sqlite", ()), statement.postgres)
        with engine.transaction() as tx:
            found = cast("SqliteTx", tx).run(explained, {"previous": "[1]", **params}, rows)
        lines += [row[3] for row in found]
    return "".join(f"{line}\n" for line in lines)
