"""Whatever the leader asks about schedules costs what is due, not what is stored: 100,000 schedules, 1,000,000 ticks.

Planned as our sessions plan it and really run (and undone): with plans made while the tables were empty, without
statistics, and with fresh ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from lineshaft.engines.base import Sql, Statement
from lineshaft.engines.postgres.transaction import in_schema
from lineshaft.features.schedules.records import SQL
from tests.conformance.plan_cases import BATCH, Case
from tests.conformance.test_plans import PostgresPlans, SqlitePlans
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine

SIZES: Final = {"empty": (0, 0), "small": (100, 1_000), "large": (100_000, 1_000_000)}
"""Schedules, of which one in a thousand is due, and ticks, of which one in a thousand is open."""
RARE: Final = {
    "insert_schedule": "one row, when a person creates it",
    "update_schedule": "one row, when a person changes it",
    "delete_schedule": "one row, when a person deletes it",
}
JOB: Final = "0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f"
FILL_SCHEDULES: Final = Statement(
    "fill_schedules",
    Sql.parse(
        "insert into lineshaft_schedule (name, source, declared, version, created_at, updated_at, next_at, due_at)"
        " with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < :count)"
        " select printf('s%06d', i), 'runtime', '{}', 1, 0, 0, :now + i % 1000 * 1000, :now + i % 1000 * 1000 from n"
        " where :count > 0",
        "sqlite", (),
    ),
    Sql.parse(
        "insert into lineshaft.schedule (name, source, declared, version, created_at, updated_at, next_at, due_at)"
        " select 's' || lpad(i::text, 6, '0'), 'runtime', '{}', 1, 0, 0, %(now)s + i %% 1000 * 1000,"
        " %(now)s + i %% 1000 * 1000 from generate_series(0, %(count)s - 1) i",
        "postgres", (),
    ),
)  # fmt: skip
FILL_TICKS: Final = Statement(
    "fill_ticks",
    Sql.parse(
        "insert into lineshaft_tick (schedule, at, run, state, job, decided_at)"
        " with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < :count)"
        " select printf('s%06d', i / 10), :now - i % 10 * 1000000, '', iif(i % 1000 = 1, 1, 2), :job, :now - i from n"
        " where :count > 0",
        "sqlite", (),
    ),
    Sql.parse(
        "insert into lineshaft.tick (schedule, at, run, state, job, decided_at)"
        " select 's' || lpad((i / 10)::text, 6, '0'), %(now)s - i %% 10 * 1000000, '',"
        " case when i %% 1000 = 1 then 1 else 2 end, %(job)s::uuid, %(now)s - i"
        " from generate_series(0, %(count)s - 1) i",
        "postgres", (),
    ),
)  # fmt: skip


def cases() -> dict[str, Case]:
    """Every statement that the leader and the ends of jobs run, with a batch of 100."""
    names = [f"s{number * 100:06}" for number in range(BATCH)]
    ticks: list[dict[str, Any]] = [
        {"schedule": name, "at": NOW - 1_000_000, "run": "", "state": 2, "job": JOB, "decided_at": NOW, "note": None}
        for name in names
    ]
    moves = [
        {"name": name, "next_at": NOW, "due_at": NOW, "last_at": NOW, "last_job": JOB, "overdue_at": None}
        for name in names
    ]
    return {
        name: Case(SQL.by_name[name], params, rows)
        for name, params, rows in (
            ("next_due", {}, None),
            ("lock_due", {"now": NOW, "limit": BATCH}, None),
            ("open_ticks", {"names": names}, None),
            ("add_ticks", {}, [{**tick, "at": NOW + 1} for tick in ticks]),
            ("change_ticks", {}, ticks),
            ("move_schedules", {}, moves),
            ("settle_ticks", {}, ticks),
            ("note_ends", {"now": NOW}, [{"name": name, "tick": NOW} for name in names]),
            ("list_ticks", {"name": names[7], "at": NOW, "run": "", "limit": BATCH}, None),
            ("get_schedule", {"name": names[7]}, None),
            ("lock_schedule", {"name": names[7]}, None),
            ("list_schedules", {"after": names[7], "limit": BATCH}, None),
            ("delete_ticks", {"name": names[7], "limit": BATCH}, None),
            ("overgrown", {"names": names, "before": NOW, "kept": 5}, None),
            ("prune_ticks", {"name": names[7], "before": NOW, "kept": 5, "limit": BATCH}, None),
        )
    }


def fill(engine: Engine, size: str) -> None:
    """Fill the tables."""
    schedules, ticks = SIZES[size]
    engine.write(lambda tx: tx.run(FILL_SCHEDULES, {"count": schedules, "now": NOW}))
    engine.write(lambda tx: tx.run(FILL_TICKS, {"count": ticks, "now": NOW, "job": JOB}))


def test_every_statement_is_judged() -> None:
    """A statement of schedules has its plan checked, or it is named with the reason why it is rare."""
    assert cases().keys() | RARE.keys() == SQL.by_name.keys()
    assert not cases().keys() & RARE.keys()


@pytest.mark.parametrize("size", SIZES)
def test_postgres_plans(postgres_engine: Engine, size: str) -> None:
    """No statement reads schedules or ticks as a whole, whenever its plan was made."""
    engine = cast("PostgresEngine", postgres_engine)
    stale, unknown = PostgresPlans(engine), PostgresPlans(engine)
    for case in cases().values():
        stale.explain(case)
    fill(engine, size)
    wrong = {f"{name}, stale": found for name, case in cases().items() if (found := stale.explain(case).faults())}
    wrong |= {f"{name}, none": found for name, case in cases().items() if (found := unknown.explain(case).faults())}
    with engine.connect() as connection:
        for table in ("schedule", "tick"):
            connection.execute(in_schema(f"analyze lineshaft.{table}", engine.schema), prepare=False)
    fresh = PostgresPlans(engine)
    if size == "large":  # the planner may read a table of one page as a whole when it knows that it is one
        wrong |= {f"{name}, fresh": found for name, case in cases().items() if (found := fresh.explain(case).faults())}
    for plans in (stale, unknown, fresh):
        plans.close()
    assert wrong == {}


@pytest.mark.parametrize("size", SIZES)
def test_sqlite_plans(sqlite_engine: Engine, size: str) -> None:
    """No statement reads schedules or ticks as a whole, sorts many, or takes more steps than some for each row."""
    plans = SqlitePlans(sqlite_engine)
    fill(sqlite_engine, size)
    wrong = {f"{name}, none": found for name, case in cases().items() if (found := list(plans.faults(case)))}
    plans.analyze()
    wrong |= {f"{name}, fresh": found for name, case in cases().items() if (found := list(plans.faults(case)))}
    assert wrong == {}
