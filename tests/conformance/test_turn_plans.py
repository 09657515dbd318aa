"""What turns ask of the store costs no more with 200,000 jobs waiting and 20,000 tenants known than with none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lineshaft.engines.base import Sql, Statement
from lineshaft.options import Fair
from lineshaft.store.fairness import START, change_fair
from lineshaft.store.turns import SQL
from tests.conformance.plan_cases import BATCH, Case, Known
from tests.conformance.test_plans import (
    PostgresPlans,
    SqlitePlans,
    Statistics,
    every_size,
    every_statistics,
    fill,
    known_of_nothing,
)
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine

RARE = {
    "set_fair": "somebody makes a queue fair; it writes one row",
    "name_waiting": "somebody makes a queue fair; it reads what falls due later, of all queues",
}
TURNS = Statement(
    "turns",
    Sql.parse(
        "update lineshaft_job set turn = run_at, fair = '=' || (run_at % 100) where stage = 1 and run_at % 4 > 1;\n"
        "update lineshaft_job set fair = '=' || (run_at % 100) where stage = 2 and run_at % 4 > 1;\n"
        "with recursive many (n) as (select 1 union all select n + 1 from many where n < :tenants)"
        " insert into lineshaft_fair select 'default', 0, '=' || n, n, n, n, 2, 2, n, 2 from many;\n",
        "sqlite", (),
    ),
    Sql.parse(
        "with ready as (update lineshaft.job set turn = run_at, fair = '=' || (run_at %% 100)"
        " where stage = 1 and run_at %% 4 > 1), later as (update lineshaft.job set fair = '=' || (run_at %% 100)"
        " where stage = 2 and run_at %% 4 > 1)"
        " insert into lineshaft.fair select 'default', 0, '=' || n, n, n, n, 2, 2, n, 2"
        " from generate_series(1, %(tenants)s::integer) as n",
        "postgres", (),
    ),
)  # fmt: skip


def cases(known: Known) -> dict[str, Case]:
    """Every statement of turns, with a batch of 100."""
    wanted = [
        {"queue": "default", "rank": rank, "key": f"={number:03}", "step": 100, "jobs": 3}
        for rank in (0, 5)
        for number in range(BATCH // 2)
    ]
    last = {"last_queue": "default", "last_rank": 0, "last_key": "=11"}
    stand = {"queue": "default", "rank": 0, "id": known.waiting[0]}
    found: dict[str, tuple[dict[str, Any], list[Any] | None]] = {
        "fair_settings": ({}, [{"queue": "default"}]),
        "take_turns": ({"now": NOW, "slack": 100, "is_apart": False}, wanted),
        "lock_due": ({"now": NOW, "limit": BATCH}, None),
        "set_turns": ({}, [{"id": job_id, "turn": NOW} for job_id in known.waiting]),
        "ready_ranks": ({"queue": "default"}, None),
        "drop_turns": ({**stand, "now": 0, "limit": BATCH}, None),
        "last_turn_of_page": ({**START._asdict(), "limit": BATCH}, None),
        "remove_turns": ({**START._asdict(), **last, "before": NOW}, None),
        "turn_of": ({"id": known.waiting[0]}, None),
        "before_turn": ({**stand, "turn": 2**61, "fair": "=7", "limit": BATCH}, None),
    }
    return {name: Case(SQL.by_name[name], params, rows) for name, (params, rows) in found.items()}


def fill_in_turn(engine: Engine, size: str) -> Known:
    """Fill a store whose queue is fair."""
    known = fill(engine, size)
    engine.write(lambda tx: change_fair(tx, "default", Fair("tenant"), now=NOW))
    engine.write(lambda tx: tx.run(TURNS, {"tenants": 20_000 if size == "large" else 10}))
    return known


def test_every_statement_is_judged() -> None:
    """A statement of turns has its plan checked, or it is named with the reason why it may cost more."""
    assert cases(known_of_nothing()).keys() | RARE.keys() == SQL.by_name.keys()


@every_statistics
@every_size
def test_postgres_plans(postgres_engine: Engine, size: str, statistics: Statistics) -> None:
    """No statement reads a table as a whole, whenever its plan was made."""
    plans = PostgresPlans(cast("PostgresEngine", postgres_engine))
    if statistics == "stale":
        plans.analyze()
        for case in cases(known_of_nothing()).values():
            plans.explain(case)
    known = fill_in_turn(postgres_engine, size)
    if statistics == "fresh":
        plans.analyze()
    wrong = {name: found for name, case in cases(known).items() if (found := plans.explain(case).faults())}
    plans.close()
    assert wrong == {}


@every_statistics
@every_size
def test_sqlite_plans(sqlite_engine: Engine, size: str, statistics: Statistics) -> None:
    """No statement reads a table as a whole, sorts one, or takes more steps than some for each job of its batch."""
    plans = SqlitePlans(sqlite_engine)
    known = fill_in_turn(sqlite_engine, size)
    if statistics != "none":
        plans.analyze()
    found = {name: list(plans.faults(case)) for name, case in cases(known).items()}
    # Of no more rows than their limits.
    assert found.pop("before_turn") == ["USE TEMP B-TREE FOR count(DISTINCT)"]
    assert found.pop("last_turn_of_page") == ["USE TEMP B-TREE FOR ORDER BY"]
    assert {name: faults for name, faults in found.items() if faults} == {}
