"""Something in every table of a store, and all of it again: what tests of backups and copies begin with and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineshaft.gates import Placed
from lineshaft.store import control, copy, upkeep
from lineshaft.store.copy import TABLES, take_rows
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.finish import LogLines, save_logs
from lineshaft.transitions import State
from tests.plugins.engines import NOW, WORKER, new_row

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Row, Tx
    from tests.plugins.engines import MakeJob


class Quiet:
    """Looks on and says nothing."""

    def step(self, what: str, total: int) -> None:
        """Hear nothing."""

    def reached(self, done: int) -> None:
        """Hear nothing."""


def fill(engine: Engine, make_job: MakeJob) -> dict[State, str]:
    """Store a job in each state, with logs, a unique key, queues of each kind, a schedule, a gate with a line."""
    made = {
        state: make_job(state, queue=f"in-{state.value}", tags='["ä\\u0000"]').id
        for state in (
            State.RUNNING, State.CANCELLING, State.QUEUED, State.SCHEDULED, State.RETRYING, State.COMPLETED,
            State.DEAD, State.CANCELLED, State.EXPIRED,
        )
    }  # fmt: skip
    engine.write(lambda tx: control.pause_queue(tx, "closed", now=NOW))
    engine.write(lambda tx: control.limit_queue(tx, "in-queued", 9, 4, "block", 5_000_000))
    held = engine.read(lambda tx: upkeep.orphans(tx, WORKER))
    engine.write(lambda tx: save_logs(tx, [LogLines(one.held, '{"a": 1}\n{"b": 2}') for one in held], now=NOW))
    engine.write(lambda tx: tx.load(copy.SQL.load_unique_keys, [("k" * 64, made[State.QUEUED], None)]))  # type: ignore[attr-defined]
    engine.write(lambda tx: _load_schedule(tx, made[State.COMPLETED]))
    engine.write(_load_gate)
    return made


def _load_schedule(tx: Any, job: str) -> None:
    columns = ("code", "app", "{}", '{"jitter": 1}', "shop.render", 3, NOW, NOW, NOW, NOW, "ä", "why")
    tx.load(copy.SQL.load_schedules, [("nightly", *columns, NOW, NOW, NOW, job, NOW, NOW, NOW)])
    ticks = [("nightly", NOW + number, run, 2, job, NOW, "ü") for number in range(3) for run in ("", "manual")]
    tx.load(copy.SQL.load_ticks, ticks)
    tx.load(copy.SQL.load_backfills, [("b1", "nightly", NOW, NOW, 2, 1, NOW, 4, NOW, None)])


def _load_gate(tx: Any) -> None:
    row = new_row(queue="in-line")
    insert_jobs(tx, [row], placed={row["id"]: Placed("report=42", NOW + 7, "report=42", "ä")})
    tx.load(copy.SQL.load_queues, [("fair", *[None] * 7, '{"fair": {}}', 1, 1)])
    tx.load(copy.SQL.load_limit_rules, [("report", "concurrency", '{"limit": 3}', '{"limit": 1}', NOW)])
    tx.load(copy.SQL.load_gates, [("report=42", "report", NOW, "{}", NOW), ("api", "api", 0, None, None)])
    tx.load(
        copy.SQL.load_turns_drawn,
        [("fair", rank, key, NOW, NOW, NOW, 2, 4, NOW, 1) for rank in (-5, 0) for key in "aä"],
    )
    tx.load(copy.SQL.load_limit_course, [("learns", NOW + number, 12.5 + number / 3, "errors") for number in range(3)])


def rows_of(tx: Tx) -> dict[str, set[Row]]:
    """Return everything that a store holds."""
    return {table.name: set(take_rows(tx, table)) for table in TABLES}
