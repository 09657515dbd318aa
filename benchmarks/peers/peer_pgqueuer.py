"""PgQueuer, measured: `async def` entrypoints, jobs as rows of PostgreSQL, one connection a worker."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache

import asyncpg
import marks
import pgqueuer
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

TITLE = "PgQueuer"
PACKAGES = ("pgqueuer", "asyncpg", "uvloop")
STORE = "PostgreSQL"
KEEPS_RESULT = False
SETTINGS = (
    "async tasks; asyncpg, uvloop, durable tables; batches of half the slots (at most that is allowed), 1,000 slots for"
    " drain; heartbeat timeout 30 s (default); return values are not stored, the log row of each job is"
)
DRAIN_SLOTS = {"": 1000}

_loop = uvloop.new_event_loop()


def prepare() -> None:
    """Create the schema."""
    _loop.run_until_complete(_queries().install())


def enqueue(task: str, number: int) -> None:
    """Insert one job."""
    _loop.run_until_complete(_queries().enqueue(task, str(number).encode()))


def enqueue_many(task: str, numbers: list[int]) -> None:
    """Insert all jobs in one statement."""
    payloads = [str(number).encode() for number in numbers]
    _loop.run_until_complete(_queries().enqueue([task] * len(numbers), payloads, [0] * len(numbers)))


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker a process."""
    del variant
    return [[sys.executable, "-c", f"import peer_pgqueuer; peer_pgqueuer.work({slots})"]] * processes


def work(slots: int) -> None:
    """Run a worker as `pgq run` does: version 1.6.0's command itself fails with the typer that it installs (0.29.2).

    A batch may be at most half of what may run at once.
    """
    uvloop.run(pgqueuer.run(worker, batch_size=max(1, slots // 2), max_concurrent_tasks=slots))


def finished() -> int:
    """Count the log rows of jobs that succeeded."""
    query = "select count(*) from pgqueuer_log where status = 'successful'"
    return int(_loop.run_until_complete(_queries().driver.fetch(query))[0]["count"])


@asynccontextmanager
async def worker() -> AsyncGenerator[PgQueuer]:
    """Build what a worker process runs."""
    connection = await asyncpg.connect(os.environ["BENCH_POSTGRES_URL"])
    worker = PgQueuer(AsyncpgDriver(connection))

    @worker.entrypoint("noop")
    async def noop(job: Job) -> int:
        number = int(job.payload or b"")
        marks.note(number)
        return number

    @worker.entrypoint("hold")
    async def hold(job: Job) -> int:
        number = int(job.payload or b"")
        await marks.ahold(number)
        return number

    yield worker
    await connection.close()


@cache
def _queries() -> Queries:
    connection = _loop.run_until_complete(asyncpg.connect(os.environ["BENCH_POSTGRES_URL"]))
    return Queries(AsyncpgDriver(connection))
