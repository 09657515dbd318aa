"""Oban for Python, measured: workers with an `async def process`, jobs as rows of PostgreSQL."""

from __future__ import annotations

import atexit
import os
import sys
from functools import cache

import marks
import uvloop
from oban import Job, Oban, Record, worker
from oban.schema import install
from psycopg_pool import AsyncConnectionPool

TITLE = "Oban"
PACKAGES = ("oban",)
REQUIRES_PYTHON = (3, 12)
STORE = "PostgreSQL"
KEEPS_RESULT = True
SETTINGS = (
    "async workers that return Record(number); uvloop (comes with it); insert trigger and 1 s staging (defaults);"
    " rescue of orphans every 60 s (default); free edition"
)
DRAIN_SLOTS = {"": 100}

_loop = uvloop.new_event_loop()


@worker(queue="bench")
class Noop:
    """Note the start and record the number."""

    async def process(self, job: Job) -> Record:
        """Run once."""
        marks.note(job.args["number"])
        return Record(job.args["number"])


@worker(queue="bench")
class Hold:
    """Stay until the gate is opened."""

    async def process(self, job: Job) -> Record:
        """Run once."""
        await marks.ahold(job.args["number"])
        return Record(job.args["number"])


WORKERS = {"noop": Noop, "hold": Hold}


def prepare() -> None:
    """Create the schema."""
    _loop.run_until_complete(install(_pool()))


def enqueue(task: str, number: int) -> None:
    """Insert one job."""
    _loop.run_until_complete(_oban().enqueue(WORKERS[task].new({"number": number})))


def enqueue_many(task: str, numbers: list[int]) -> None:
    """Insert all jobs in one statement."""
    jobs = [WORKERS[task].new({"number": number}) for number in numbers]
    _loop.run_until_complete(_oban().enqueue_many(jobs))


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One `oban start` a process."""
    del variant
    command = [sys.executable, "-m", "oban", "start", "--dsn", os.environ["BENCH_POSTGRES_URL"]]
    return [[*command, "--queues", f"bench:{slots}", "--log-level", "warning"]] * processes


def finished() -> int:
    """Count the completed jobs."""
    return _loop.run_until_complete(_count_completed())


async def _count_completed() -> int:
    async with _pool().connection() as connection:
        cursor = await connection.execute("select count(*) from oban_jobs where state = 'completed'")
        return int((await cursor.fetchone())[0])


@cache
def _pool() -> AsyncConnectionPool:
    pool = _loop.run_until_complete(Oban.create_pool(os.environ["BENCH_POSTGRES_URL"]))
    atexit.register(lambda: _loop.run_until_complete(pool.close()))
    return pool


@cache
def _oban() -> Oban:
    return Oban(pool=_pool())
