"""What Lineshaft's own statements can do on its own schema, with no worker around them.

Claim and finish fused in one transaction, batches of 100, one connection: the part of a drain that is the database's
under Lineshaft's design. `benchmarks.raw` measures the part that is any design's.

Usage: python -m benchmarks.statements STORE SECONDS, as `benchmarks.raw`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

from benchmarks.harness.figures import rate
from lineshaft import Lineshaft
from lineshaft.app.store import open_engine
from lineshaft.config import parse_store
from lineshaft.engines.base import Engine
from lineshaft.store import claim, finish

BATCH: Final = 100
JOBS: Final = 60_000
RESULT: Final = "1"
_KEY: Final = 9  # the private key's place in a claimed row: after the fields that every row has
_DAY: Final = 86_400_000_000


def fill(app: Lineshaft) -> None:
    """Store the jobs as users do."""

    @app.task(name="noop")
    def noop(number: int) -> int:
        return number

    app.migrate()
    noop.enqueue_many(range(JOBS))


def measure(engine: Engine, seconds: float) -> float:
    """Return jobs per second through claim and finish."""
    running: list[dict[str, Any]] = []
    done, before = 0, time.monotonic()
    while (took := time.monotonic() - before) < seconds:
        running = _finish_and_claim(engine, running)
        if not running:
            break
        done += len(running)
    return rate(done, took)


def _finish_and_claim(engine: Engine, running: list[dict[str, Any]]) -> list[dict[str, Any]]:
    now = time.time_ns() // 1_000
    with engine.transaction() as tx:
        if running:
            tx.run(finish.SQL.complete_jobs, {"worker": 1, "now": now}, running)
        parameters = {"queue": "default", "limit": BATCH, "worker": 1, "now": now, "is_granted": False}
        claimed = tx.run(claim.SQL.claim_jobs, parameters)
    rows = [
        {"id": row[0], "key": row[_KEY], "claim": row[1], "result": RESULT, "expires_at": now + _DAY} for row in claimed
    ]
    return sorted(rows, key=lambda row: str(row["id"]))


def main(store: str, seconds: float) -> None:
    """Measure one store and print the figure as a peer's is called."""
    fill(Lineshaft(store))
    print(json.dumps({"drain_one": measure(open_engine(parse_store(store)), seconds)}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
