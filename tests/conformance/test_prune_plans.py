"""Pruning costs as much in a large store as in a small one: its statements read what they delete, and little else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from lineshaft.clock import DAY, HOUR
from lineshaft.config import Retention
from lineshaft.engines.postgres.transaction import in_schema
from lineshaft.store import prune, upkeep
from lineshaft.transitions import Complete
from tests.plugins.engines import NOW, claim_held, finish, new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres.transaction import PostgresTx
    from lineshaft.engines.sqlite.transaction import SqliteTx

JOBS: Final = 3_000
PARAMS: Final[dict[str, Any]] = {
    "duty": "prune jobs", "now": NOW, "until": NOW + HOUR, "before": NOW, "later": NOW + HOUR, "block": 1,
    "keys": [], "look_at": NOW, "after": 0, "limit": 1_000, "last": NOW,
}  # fmt: skip


def fill(engine: Engine) -> None:
    """Store some thousand jobs that are finished and not expired, and some that wait."""
    store_rows(engine, *(new_row() for _ in range(JOBS)))
    finish(engine, *(Complete(one, "1") for one in claim_held(engine, limit=JOBS - 100)))


@pytest.mark.parametrize("name", [name for name in prune.SQL.by_name if name != "drop_expired_day"])
def test_sqlite_plans(sqlite_engine: Engine, name: str) -> None:
    """No statement of the pruner reads all jobs, all blocks or all logs, with or without statistics."""
    for analyzed in (False, True):
        if analyzed:
            fill(sqlite_engine)
        with sqlite_engine.transaction() as tx:
            connection = cast("SqliteTx", tx).connection
            if analyzed:
                connection.execute("analyze")
            for part in prune.SQL.by_name[name].sqlite.parts:
                bound = {key: "[]" if key == "keys" else value for key, value in PARAMS.items()}
                plan = [row[3] for row in connection.execute(f"explain query plan {part}", bound)]
                assert not [line for line in plan if _reads_all(line)], plan


def _reads_all(line: str) -> bool:
    tables = ("lineshaft_job", "lineshaft_job_log", "lineshaft_block")
    return any(line == f"SCAN {table}" for table in tables)


def test_finish_writes_to_no_index_of_expiry(sqlite_engine: Engine) -> None:
    """Finishing a job pays nothing for its pruning: no index and no trigger of the jobs' table knows the expiry."""
    with sqlite_engine.reading() as tx:
        found = cast("SqliteTx", tx).connection.execute(
            "select name from sqlite_master where tbl_name = 'lineshaft_job' and type in ('index', 'trigger')"
            " and sql like '%expires_at%'"
        )
        assert found.fetchall() == []


def test_a_look_reads_one_block(sqlite_engine: Engine) -> None:
    """What a look costs does not grow with the number of jobs that are stored."""
    costs = []
    for _ in range(3):
        fill(sqlite_engine)
        costs.append(_steps(sqlite_engine))
    assert costs[2] <= costs[0] * 1.2


def _steps(engine: Engine) -> int:
    """Return how many hundred instructions of SQLite's machine a look takes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with engine.reading() as tx:
        connection = cast("SqliteTx", tx).connection
        connection.set_progress_handler(count, 100)
        assert prune.due_block(tx, now=NOW, before=NOW) == 0
        look = prune.look_into_block(tx, 1, now=NOW, later=NOW + HOUR)
        connection.set_progress_handler(None, 0)
    assert look.expired == []
    return steps


def test_postgres_looks_into_the_default_partition_by_its_index(postgres_engine: Engine) -> None:
    """Rows without a day's partition are found by their expiry, however many there are."""
    fill(postgres_engine)  # no partitions of days: all lie in the default one
    with postgres_engine.transaction() as tx:
        connection = cast("PostgresTx", tx).connection
        connection.execute(in_schema("analyze lineshaft.history_rest", _schema(postgres_engine)))
        for name in ("due_block", "look_into_block"):
            text = b"explain " + in_schema(prune.SQL.by_name[name].postgres.parts[0], _schema(postgres_engine))
            plan = "\n".join(row[0] for row in connection.execute(text, PARAMS).fetchall())
            assert "history_rest_expiry" in plan, plan


def test_postgres_makes_days_for_the_longest_retention(postgres_engine: Engine) -> None:
    """An outcome that is kept for longer than 40 days has its partitions too."""
    kept = Retention(dead=90 * DAY)
    postgres_engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW, longest=kept.longest))
    with postgres_engine.reading() as tx:
        text = in_schema(
            "select count(*) from pg_inherits where inhparent = 'lineshaft.history'::regclass",
            _schema(postgres_engine),
        )
        [(days,)] = cast("PostgresTx", tx).connection.execute(text).fetchall()
    assert days == 1 + 101


def _schema(engine: Engine) -> str:
    schema: str = engine.schema  # type: ignore[attr-defined]
    return schema
