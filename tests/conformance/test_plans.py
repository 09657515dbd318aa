"""No plan goes wrong: a hot statement reads about as many rows as its batch, however large the tables are.

Each is planned as our sessions plan it and is really run (and undone), on empty, small and large tables, with
statistics that are fresh, that were made while the table was empty, and none at all.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import psycopg.sql
import pytest

from benchmarks.load.filling import Filler
from lineshaft.engines.base import Sql, Statement
from lineshaft.engines.postgres.transaction import PostgresTx, bind, in_schema
from lineshaft.ids import new_id
from lineshaft.store import inspect
from lineshaft.transitions import Held, State
from tests.conformance.plan_cases import (
    BATCH,
    BY_NAME,
    FEW_SORTED_ON_SQLITE,
    LONG_LINE,
    RARE,
    WIDE,
    WIDE_ON_SQLITE,
    Case,
    Known,
    hot_cases,
    padded,
)
from tests.plugins.engines import WORKER, claim_held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine
    from lineshaft.engines.sqlite.transaction import SqliteTx

Statistics = Literal["fresh", "stale", "none"]

SIZES: Final = {"empty": (0, 0), "small": (100, 150), "large": (200_000, 300_000)}
"""Live and finished jobs."""
MOST_ROWS: Final = 25 * BATCH
"""What a statement may look at on PostgreSQL: an id is looked for in every partition, and some rows are passed over."""
MOST_STEPS: Final = 150_000
"""What a statement may cost on SQLite, in instructions of its machine: less than one a live job of the large store."""
SETTLE: Final = Statement(
    "settle",
    Sql.parse(
        "update lineshaft_job set stage = 2, run_at = run_at + (run_at % 1000 > 500) * 7200000000"
        " where stage = 1 and worker is null and run_at % 10 = 0;\n"
        "update lineshaft_job set deadline = run_at + (run_at % 1000 > 500) * 3153600000000000"
        " where stage = 1 and run_at % 10 = 1;\n",
        "sqlite", (),
    ),
    Sql.parse(
        "with due as (update lineshaft.job set stage = 2, run_at = run_at + (run_at %% 1000 > 500)::int * 7200000000"
        " where stage = 1 and worker is null and run_at %% 10 = 0)"
        "update lineshaft.job set deadline = run_at + (run_at %% 1000 > 500)::int * 3153600000000000"
        " where stage = 1 and run_at %% 10 = 1",
        "postgres", (),
    ),
)  # fmt: skip
"""Of ten waiting jobs one is put off and one gets a deadline; of a hundred of each, one is due or overdue."""


GATE: Final = Statement(
    "gate",
    Sql.parse(
        "insert or ignore into lineshaft_worker"
        " (id, host, pid, version, queues, tasks, started_at, heartbeat_at, server)"
        " values (:worker, 'h', 1, '1', '{\"default\":5}', '[]', 1, 1, '');\n"
        "insert or ignore into lineshaft_queue (name, flow, is_gated) values ('default', '{\"concurrency\":500}', 1);\n"
        "insert or ignore into lineshaft_gate (key, rule) values ('queue:default', 'queue:default');\n"
        "insert or ignore into lineshaft_queue_grant (queue, worker, places) values ('default', :worker, 500);\n",
        "sqlite", (),
    ),
    Sql.parse(
        "with worker as (insert into lineshaft.worker"
        " (id, host, pid, version, queues, tasks, started_at, heartbeat_at, server) overriding system value"
        " values (%(worker)s, 'h', 1, '1', '{\"default\":5}', '[]', 1, 1, '') on conflict do nothing),"
        " queue as (insert into lineshaft.queue (name, flow, is_gated)"
        " values ('default', '{\"concurrency\":500}', true) on conflict do nothing),"
        " gate as (insert into lineshaft.gate (key, rule)"
        " values ('queue:default', 'queue:default') on conflict do nothing)"
        " insert into lineshaft.queue_grant (queue, worker, places)"
        " values ('default', %(worker)s, 500) on conflict do nothing",
        "postgres", (),
    ),
)  # fmt: skip
"""The queue of all jobs has a limit, and the worker a grant of it."""


def fill(engine: Engine, size: str) -> Known:
    """Fill a store, have some jobs held by a worker, and return what is where."""
    live, finished = SIZES[size]
    filler = Filler(engine)
    filler.add_finished(finished)
    filler.add_waiting(live)
    engine.write(lambda tx: tx.run(SETTLE, {}))
    engine.write(lambda tx: tx.run(PARK, {"gate": LONG_LINE}))
    held = claim_held(engine, limit=BATCH)
    engine.write(lambda tx: tx.run(GATE, {"worker": WORKER}))
    return known_of(engine, held)


def known_of(engine: Engine, held: list[Held]) -> Known:
    """Return a batch of ids of each kind."""
    ids = {
        state: padded([row.id for row in engine.read(lambda tx, state=state: _page(tx, state))])
        for state in (State.QUEUED, State.COMPLETED)
    }
    made_up = [Held(new_id(), 1, WORKER, 1, 0, 0, None, 0, None, -1) for _ in range(BATCH - len(held))]
    return Known(sorted([*held, *made_up], key=lambda one: one.id), ids[State.QUEUED], ids[State.COMPLETED])


def _page(tx: Any, state: State) -> list[Any]:
    return inspect.list_jobs(tx, inspect.Filter(states=(state,)), limit=BATCH, cursor=None)


PARAMETER: Final = re.compile(r"%\((\w+)\)s")
NEWEST: Final = """
select name, parameter_types::text[] from pg_prepared_statements where statement = %s order by prepare_time desc limit 1
"""
FULL_SCAN: Final = re.compile(r"^SCAN (lineshaft_)?(job|unique_key|job_log|schedule|tick|gate|slot|limit_course)$")
SORT: Final = re.compile(r"USE TEMP B-TREE FOR (?!DISTINCT|GROUP BY)")  # steps tell what a group was made of

PARK: Final = Statement(
    "park",
    Sql.parse(
        "update lineshaft_job set stage = 5, gate = iif(run_at % 1000 = 1, 'k=few', :gate)"
        " where stage = 1 and run_at % 2;\n"
        "update lineshaft_job set gate = :gate, sequence = 's' where stage = 1 and run_at % 2000 = 2;\n"
        "insert into lineshaft_gate (key, rule, wake_at) values ('k=few', 'k', 0), (:gate, 'k', 0)"
        " on conflict do nothing;\n",
        "sqlite", (),
    ),
    Sql.parse(
        "with parked as (update lineshaft.job"
        " set stage = 5, gate = case when run_at %% 1000 = 1 then 'k=few' else %(gate)s end"
        " where stage = 1 and run_at %% 2 = 1), member as (update lineshaft.job"
        " set gate = %(gate)s, sequence = 's' where stage = 1 and run_at %% 2000 = 2)"
        "insert into lineshaft.gate (key, rule, wake_at) values ('k=few', 'k', 0), (%(gate)s, 'k', 0)"
        " on conflict do nothing",
        "postgres", (),
    ),
)  # fmt: skip
"""Half of the waiting jobs stand in the line of one gate, some of them in that of another, and some are inside."""

every_size = pytest.mark.parametrize("size", SIZES)
every_statistics = pytest.mark.parametrize("statistics", ["fresh", "stale", "none"])


def test_every_statement_is_judged() -> None:
    """A statement is hot and its plan is checked, or it is named with the reason why it may cost more."""
    hot = {case.statement.name for case in hot_cases(known_of_nothing()).values()}
    assert hot | RARE.keys() | WIDE.keys() == BY_NAME.keys()
    assert not hot & (RARE.keys() | WIDE.keys())


def known_of_nothing() -> Known:
    """Return made-up ids."""
    return Known([Held(one, 1, WORKER, 1, 0, 0, None, 0, None, -1) for one in padded([])], padded([]), padded([]))


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@every_statistics
@every_size
def test_postgres_plans(postgres_engine: Engine, size: str, statistics: Statistics) -> None:
    """No hot statement reads a table as a whole or looks at more than some rows a job of its batch.

    With stale statistics the very plans are checked that were made while the tables were empty.
    """
    plans = PostgresPlans(cast("PostgresEngine", postgres_engine))
    if statistics == "stale":
        plans.analyze()
        plans.explain_all(known_of_nothing())
    known = fill(postgres_engine, size)
    if statistics == "fresh":
        plans.analyze()
    wrong = {name: found for name, plan in plans.explain_all(known).items() if (found := plan.faults())}
    plans.close()
    assert wrong == {}


def test_postgres_plans_are_generic(postgres_engine: Engine) -> None:
    """What is checked is the plan without values: the one that our sessions keep."""
    plans = PostgresPlans(cast("PostgresEngine", postgres_engine))
    plan = plans.explain_all(known_of_nothing())["claim_jobs"]
    plans.close()
    conditions = [node["Index Cond"] for node in plan.nodes() if "Index Cond" in node]
    assert any("$" in condition for condition in conditions)


@dataclass
class PostgresPlan:
    """A plan that was run, as PostgreSQL tells it."""

    root: dict[str, Any]

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Yield every step of the plan."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", [])

    def faults(self) -> list[str]:
        """Return what is wrong."""
        return [fault for node in self.nodes() for fault in _faults(node)]


def _faults(node: dict[str, Any]) -> Iterator[str]:
    kind, table = node["Node Type"], node.get("Relation Name", "")
    is_ours = table.startswith(("job", "history", "unique_key", "schedule", "tick", "gate", "slot", "limit_course"))
    rows = sum(node.get(key, 0) for key in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"))
    rows *= node["Actual Loops"]
    if kind == "Seq Scan" and is_ours:
        yield f"Seq Scan on {table}"
    if ((is_ours and "Scan" in kind) or kind == "Sort") and rows > MOST_ROWS:
        yield f"{kind} on {table}: {rows:,.0f} rows"


@dataclass
class PostgresPlans:
    """One session of ours, whose statements are prepared by running them and explained by their prepared names."""

    engine: PostgresEngine

    def __post_init__(self) -> None:
        self._connection: psycopg.Connection[Any] = self.engine.connect()

    def explain_all(self, known: Known) -> dict[str, PostgresPlan]:
        """Run every hot statement, undone at once, and return its plan."""
        return {name: self.explain(case) for name, case in hot_cases(known).items()}

    def analyze(self) -> None:
        """Make statistics."""
        for table in ("job", "history", "unique_key", "gate", "slot"):
            self._connection.execute(in_schema(f"analyze lineshaft.{table}", self.engine.schema), prepare=False)

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def explain(self, case: Case) -> PostgresPlan:
        """Run a statement, undone at once, and return its plan."""
        bound = bind(case.statement, case.params, case.rows)
        with self._undone():
            PostgresTx(self._connection, self.engine.schema).run(case.statement, case.params, case.rows)
        names, call = self._prepared(case.statement)
        with self._undone():
            values = [psycopg.sql.Literal(bound[name]).as_string(self._connection) for name in names]
            text = f"explain (analyze, timing off, format json) execute {call.format(*values)}"
            [(found,)] = self._connection.execute(text.encode(), prepare=False).fetchall()
        return PostgresPlan(found[0]["Plan"])

    def _prepared(self, statement: Statement) -> tuple[list[str], str]:
        """Return the parameters of a prepared statement, and how it is called by its name in this session."""
        text = in_schema(statement.postgres.parts[0], self.engine.schema).decode()
        names = list(dict.fromkeys(PARAMETER.findall(text)))
        numbered = PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text).replace("%%", "%")
        [name, types] = self._connection.execute(NEWEST, (numbered,), prepare=False).fetchone() or ("", [])
        assert name, f"{statement.name} is not prepared"
        values = ", ".join(f"{{}}::{kind}" for kind in types)
        return names, f"{name}({values})" if types else name

    @contextmanager
    def _undone(self) -> Iterator[None]:
        self._connection.execute("begin", prepare=False)
        yield
        # Past the driver, which would forget all that is prepared at a rollback.
        self._connection.pgconn.exec_(b"rollback")


# --- SQLite -----------------------------------------------------------------------------------------------------------


@every_statistics
@every_size
def test_sqlite_plans(sqlite_engine: Engine, size: str, statistics: Statistics) -> None:
    """No hot statement reads a table as a whole, sorts one, or takes more steps than some for each job of its batch."""
    plans = SqlitePlans(sqlite_engine)
    if statistics == "stale":
        fill(sqlite_engine, "small")
        plans.analyze()
    known = fill(sqlite_engine, size)
    if statistics == "fresh":
        plans.analyze()
    cases = {name: case for name, case in hot_cases(known).items() if case.statement.name not in WIDE_ON_SQLITE}
    wrong = {name: faults for name, case in cases.items() if (faults := list(plans.faults(case)))}
    assert wrong == {}


class Undone(Exception):  # noqa: N818 - nothing went wrong
    """Rolls a transaction back."""


@dataclass
class SqlitePlans:
    """Explains statements, and counts the steps that they take."""

    engine: Engine

    def analyze(self) -> None:
        """Make statistics, as an application may that shares the file; the store itself never does."""
        with self.engine.transaction() as tx:
            cast("SqliteTx", tx).connection.execute("analyze")

    def faults(self, case: Case) -> Iterator[str]:
        """Yield what is wrong."""
        for line in self._explain(case):
            is_sort = SORT.search(line) and case.statement.name not in FEW_SORTED_ON_SQLITE
            if FULL_SCAN.search(line) or is_sort:
                yield line
        if (steps := self._steps(case)) > MOST_STEPS:
            yield f"{steps:,} steps"

    def _explain(self, case: Case) -> Iterator[str]:
        for part in case.statement.sqlite.parts:
            sql = Sql((f"explain query plan {part}",), columns=case.statement.sqlite.columns)
            explained = Statement("explain", sql, case.statement.postgres)
            with self.engine.transaction() as tx:
                yield from (row[3] for row in tx.run(explained, {"previous": "[1]", **case.params}, case.rows))

    def _steps(self, case: Case) -> int:
        thousands = 0

        def count() -> None:
            nonlocal thousands
            thousands += 1

        with suppress(Undone), self.engine.transaction() as tx:
            connection = cast("SqliteTx", tx).connection
            connection.set_progress_handler(count, 1_000)
            try:
                tx.run(case.statement, case.params, case.rows)
            finally:
                connection.set_progress_handler(None, 0)
            raise Undone
        return thousands * 1_000


def test_faults_are_found(sqlite_engine: Engine, postgres_engine: Engine) -> None:
    """The checks see what they look for: counting every job of a large store fails both."""
    everything = dict.fromkeys(
        ("cursor", "stages", "is_held", "is_cancelling", "queue", "name", "tenant", "since", "tag", "search")
    )
    case = Case(BY_NAME["count_live"], everything)
    for engine in (sqlite_engine, postgres_engine):
        Filler(engine).add_waiting(20_000)
    assert list(SqlitePlans(sqlite_engine).faults(case)) != []
    plans = PostgresPlans(cast("PostgresEngine", postgres_engine))
    assert plans.explain(case).faults() != []
    plans.close()
