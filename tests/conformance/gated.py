"""Gates with jobs in them and in their lines, for tests of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineshaft.clock import SECOND
from lineshaft.engines.base import Sql, Statement
from lineshaft.gates import Placed
from lineshaft.store.claim import claim_jobs
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.gates import Move, lock_and_read, read_gates, write_step
from lineshaft.store.line import Parked
from tests.plugins.engines import NOW, WORKER, new_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lineshaft.engines.base import Engine
    from lineshaft.gates import Gate
    from lineshaft.store.claim import Claimed
    from lineshaft.store.enqueue import NewRow
    from lineshaft.transitions import Held

KEY, RULE = "report=42", "report"
LOOK = NOW + 2 * SECOND
COLUMNS = Statement(
    "columns",
    Sql.parse("select gate, stage, attempt, started_at, worker from lineshaft_job where id = :id", "sqlite", ()),
    Sql.parse(
        "select gate, stage, attempt, started_at, worker from lineshaft.job where id = %(id)s::uuid", "postgres", ()
    ),
)


def columns_of(engine: Engine, job_id: str) -> tuple[Any, ...]:
    """Return (gate, stage, attempt, started_at, worker)."""
    return engine.read(lambda tx: tx.run(COLUMNS, {"id": job_id}))[0]


def stored(
    engine: Engine, count: int = 1, *, gate: str | None = None, sequence: str | None = None, **columns: Any
) -> list[str]:
    """Store jobs, in a gate's line and in a strict order if they are named, and return their ids, in order."""
    rows: list[NewRow] = sorted((new_row(**columns) for _ in range(count)), key=lambda row: row["id"])
    placed = {row["id"]: Placed(gate=gate, sequence=sequence) for row in rows} if gate else {}

    def store(tx: Any) -> None:
        if gate:
            lock_and_read(tx, {gate: RULE})
        insert_jobs(tx, rows, placed=placed)
        write_step(tx, moves=[Move(gate, 0, None, LOOK)] if gate else [])

    engine.write(store)
    return [row["id"] for row in rows]


def claim(engine: Engine, limit: int = 10, *, worker: int = WORKER, **more: Any) -> list[Claimed]:
    return engine.write(lambda tx: claim_jobs(tx, queue="default", limit=limit, worker=worker, now=NOW, **more))


def park(engine: Engine, held: Sequence[Held], gate: str = KEY) -> None:
    """Refuse claimed jobs at a gate."""

    def refuse(tx: Any) -> None:
        lock_and_read(tx, {gate: RULE})
        write_step(tx, worker=WORKER, parked=[Parked(one, gate) for one in held], moves=[Move(gate, 0, None, LOOK)])

    engine.write(refuse)


def release(engine: Engine, counts: dict[str, int], wake_at: int = LOOK) -> set[str]:
    """Let heads of lines in."""

    def let_in(tx: Any) -> set[str]:
        known = lock_and_read(tx, dict.fromkeys(counts, RULE))
        return write_step(
            tx, releases=counts, moves=[Move(key, one.tat, one.state, wake_at) for key, one in known.items()]
        )

    return engine.write(let_in)


def gate_of(engine: Engine, key: str = KEY) -> Gate:
    return engine.read(lambda tx: read_gates(tx, [key]))[key]
