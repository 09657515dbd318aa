"""A store full of schedules and their ticks, and what is wrong with the plans of statements that read them.

Planned as our sessions plan it and really run (and undone): with plans made while the tables were empty, without
statistics, and with fresh ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from lineshaft.engines.base import Sql, Statement
from lineshaft.engines.postgres.transaction import in_schema
from tests.conformance.test_plans import PostgresPlans, SqlitePlans
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres import PostgresEngine
    from tests.conformance.plan_cases import Case

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


def fill(engine: Engine, schedules: int, ticks: int) -> None:
    """Store schedules, of which one in a thousand is due, and ticks, of which one in a thousand is open."""
    engine.write(lambda tx: tx.run(FILL_SCHEDULES, {"count": schedules, "now": NOW}))
    engine.write(lambda tx: tx.run(FILL_TICKS, {"count": ticks, "now": NOW, "job": JOB}))


def postgres_faults(
    engine: Engine, cases: Mapping[str, Case], schedules: int, ticks: int, *, with_fresh: bool = True
) -> dict[str, Any]:
    """Fill a store, and return what is wrong with plans by statement; without fresh statistics if so told."""
    engine = cast("PostgresEngine", engine)
    sessions = {"stale": PostgresPlans(engine), "none": PostgresPlans(engine)}
    for case in cases.values():
        sessions["stale"].explain(case)
    fill(engine, schedules, ticks)
    wrong = {}
    for statistics in ("stale", "none", "fresh") if with_fresh else ("stale", "none"):
        if statistics == "fresh":
            _analyze(engine)
            sessions[statistics] = PostgresPlans(engine)
        for name, case in cases.items():
            if found := sessions[statistics].explain(case).faults():
                wrong[f"{name}, {statistics}"] = found
    for plans in sessions.values():
        plans.close()
    return wrong


def sqlite_faults(engine: Engine, cases: Mapping[str, Case], schedules: int, ticks: int) -> dict[str, Any]:
    """Fill a store, and return what is wrong with plans by statement."""
    plans = SqlitePlans(engine)
    fill(engine, schedules, ticks)
    wrong = {f"{name}, none": found for name, case in cases.items() if (found := list(plans.faults(case)))}
    plans.analyze()
    return wrong | {f"{name}, fresh": found for name, case in cases.items() if (found := list(plans.faults(case)))}


def _analyze(engine: PostgresEngine) -> None:
    with engine.connect() as connection:
        for table in ("schedule", "tick"):
            connection.execute(in_schema(f"analyze lineshaft.{table}", engine.schema), prepare=False)
