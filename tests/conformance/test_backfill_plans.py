"""Backfills and the dead man's switch cost what they look at, not what is stored, and completions a row each second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from lineshaft.engines.postgres.transaction import in_schema
from lineshaft.features.schedules import backfill, overdue
from tests.conformance.plan_cases import Case
from tests.conformance.test_plans import PostgresPlans, SqlitePlans
from tests.conformance.test_schedule_plans import FILL_SCHEDULES, FILL_TICKS, JOB
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Params
    from lineshaft.engines.postgres import PostgresEngine

SCHEDULES: Final = 20_000
TICKS: Final = 200_000
WIDE: Final = {
    "prune_backfills": "once an hour; backfills are few, since people begin them",
    "settle_ended": "likewise; it reads what is open",
}


def cases() -> dict[str, Case]:
    """Every statement of both, as it is run."""
    names = ["s000007", "s000100", "s000200"]
    row: Params = {
        "id": JOB, "schedule": names[0], "since": 0, "until": NOW, "at_most": 1, "only_missing": False,
        "next_at": NOW, "enqueued": 1, "created_at": NOW, "ended_at": None,
    }  # fmt: skip
    known = {"schedule": names[0], "first": NOW - 5_000_000, "last": NOW, "manual": "manual"}
    backfills: dict[str, Params] = {
        "insert_backfill": row, "call_leader": {"schedule": names[0], "now": NOW}, "get_backfill": row,
        "list_backfills": {**row, "limit": 100}, "cancel_backfill": {**row, "now": NOW},
        "open_backfills": {"schedules": names}, "settle_lost": {**row, "run": ""}, "known_ticks": known,
        "withdraw_ticks": {**row, "run": "", "ticks": [NOW, NOW - 1_000_000]}, "move_backfill": row,
    }  # fmt: skip
    completed = {"names": names, "now": NOW, "second": NOW, "too_late": NOW + 1}
    switch: dict[str, Params] = {
        "watched_tasks": {}, "note_completed": completed, "call_leader": {"names": names, "now": NOW},
        "suspects": {"now": NOW}, "last_tick": {"schedule": names[0], "since": 0},
    }  # fmt: skip
    return {
        **{name: Case(backfill.SQL.by_name[name], params) for name, params in backfills.items()},
        **{f"switch: {name}": Case(overdue.SQL.by_name[name], params) for name, params in switch.items()},
    }


def fill(engine: Engine) -> None:
    """Store schedules and their ticks."""
    engine.write(lambda tx: tx.run(FILL_SCHEDULES, {"count": SCHEDULES, "now": NOW}))
    engine.write(lambda tx: tx.run(FILL_TICKS, {"count": TICKS, "now": NOW, "job": JOB}))


def test_every_statement_is_judged() -> None:
    """A statement has its plan checked, or it is named with the reason why it may read a table."""
    judged = {name.removeprefix("switch: ") for name in cases()}
    assert judged | WIDE.keys() == backfill.SQL.by_name.keys() | overdue.SQL.by_name.keys()


def test_postgres_plans(postgres_engine: Engine) -> None:
    """No statement reads schedules or ticks as a whole, whenever its plan was made."""
    engine = cast("PostgresEngine", postgres_engine)
    stale, unknown = PostgresPlans(engine), PostgresPlans(engine)
    for case in cases().values():
        stale.explain(case)
    fill(engine)
    wrong = {f"{name}, stale": found for name, case in cases().items() if (found := stale.explain(case).faults())}
    wrong |= {f"{name}, none": found for name, case in cases().items() if (found := unknown.explain(case).faults())}
    with engine.connect() as connection:
        for table in ("schedule", "tick"):
            connection.execute(in_schema(f"analyze lineshaft.{table}", engine.schema), prepare=False)
    fresh = PostgresPlans(engine)
    wrong |= {f"{name}, fresh": found for name, case in cases().items() if (found := fresh.explain(case).faults())}
    for plans in (stale, unknown, fresh):
        plans.close()
    assert wrong == {}


def test_sqlite_plans(sqlite_engine: Engine) -> None:
    """No statement reads schedules or ticks as a whole, sorts many, or takes more steps than some for each row."""
    plans = SqlitePlans(sqlite_engine)
    fill(sqlite_engine)
    wrong = {f"{name}, none": found for name, case in cases().items() if (found := list(plans.faults(case)))}
    plans.analyze()
    wrong |= {f"{name}, fresh": found for name, case in cases().items() if (found := list(plans.faults(case)))}
    assert wrong == {}
