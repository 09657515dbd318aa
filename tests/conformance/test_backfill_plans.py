"""Backfills and the dead man's switch cost what they look at, not what is stored, and completions a row each second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lineshaft.features.schedules import backfill, overdue
from tests.conformance.plan_cases import Case
from tests.conformance.schedule_plans import JOB, postgres_faults, sqlite_faults
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Params

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


def test_every_statement_is_judged() -> None:
    """A statement has its plan checked, or it is named with the reason why it may read a table."""
    judged = {name.removeprefix("switch: ") for name in cases()}
    assert judged | WIDE.keys() == backfill.SQL.by_name.keys() | overdue.SQL.by_name.keys()


def test_postgres_plans(postgres_engine: Engine) -> None:
    """No statement reads schedules or ticks as a whole, whenever its plan was made."""
    assert postgres_faults(postgres_engine, cases(), SCHEDULES, TICKS) == {}


def test_sqlite_plans(sqlite_engine: Engine) -> None:
    """No statement reads schedules or ticks as a whole, sorts many, or takes more steps than some for each row."""
    assert sqlite_faults(sqlite_engine, cases(), SCHEDULES, TICKS) == {}
