"""What the leader asks about schedules costs what is due, not what is stored: 100,000 schedules, 1,000,000 ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from lineshaft.features.schedules.records import SQL
from tests.conformance.plan_cases import BATCH, Case
from tests.conformance.schedule_plans import JOB, postgres_faults, sqlite_faults
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

SIZES: Final = {"empty": (0, 0), "small": (100, 1_000), "large": (100_000, 1_000_000)}
"""Schedules, of which one in a thousand is due, and ticks, of which one in a thousand is open."""
RARE: Final = {
    "insert_schedule": "one row, when a person creates it",
    "update_schedule": "one row, when a person changes it",
    "delete_schedule": "one row, when a person deletes it",
}


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


def test_every_statement_is_judged() -> None:
    """A statement of schedules has its plan checked, or it is named with the reason why it is rare."""
    assert cases().keys() | RARE.keys() == SQL.by_name.keys()
    assert not cases().keys() & RARE.keys()


@pytest.mark.parametrize("size", SIZES)
def test_postgres_plans(postgres_engine: Engine, size: str) -> None:
    """No statement reads schedules or ticks as a whole, whenever its plan was made."""
    # The planner may read a table of one page as a whole when it knows that it is one.
    assert postgres_faults(postgres_engine, cases(), *SIZES[size], with_fresh=size == "large") == {}


@pytest.mark.parametrize("size", SIZES)
def test_sqlite_plans(sqlite_engine: Engine, size: str) -> None:
    """No statement reads schedules or ticks as a whole, sorts many, or takes more steps than some for each row."""
    assert sqlite_faults(sqlite_engine, cases(), *SIZES[size]) == {}
