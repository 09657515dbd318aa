"""Chancy, measured: its asyncio executor, jobs as rows of PostgreSQL, psycopg."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
from functools import cache

import marks
from chancy import Chancy, Queue, Worker, job

TITLE = "Chancy"
PACKAGES = ("chancy", "psycopg[binary]")
STORE = "PostgreSQL"
KEEPS_RESULT = False
SETTINGS = (
    "async functions, AsyncExecutor, eager polling; LISTEN/NOTIFY (default); rows of finished jobs are kept (default),"
    " return values are not stored; recovery every 60 s of jobs whose worker gave no heartbeat for 90 s (defaults)"
)
DRAIN_SLOTS = {"": 500}

_loop = asyncio.new_event_loop()


@job(queue="bench")
async def noop(*, number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


@job(queue="bench")
async def hold(*, number: int) -> int:
    """Stay until the gate is opened."""
    await marks.ahold(number)
    return number


TASKS = {"noop": noop, "hold": hold}


def prepare() -> None:
    """Create the schema."""
    _loop.run_until_complete(_chancy().migrate())


def enqueue(task: str, number: int) -> None:
    """Insert one job."""
    _loop.run_until_complete(_chancy().push(TASKS[task].job.with_kwargs(number=number)))


def enqueue_many(task: str, numbers: list[int]) -> None:
    """Insert all jobs, 1,000 a transaction (its default)."""
    _loop.run_until_complete(_push_many(task, numbers))


async def _push_many(task: str, numbers: list[int]) -> None:
    jobs = [TASKS[task].job.with_kwargs(number=number) for number in numbers]
    async for _ in _chancy().push_many(jobs):
        pass


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker a process."""
    del variant
    return [[sys.executable, "-c", f"import peer_chancy; peer_chancy.work({slots})"]] * processes


def work(slots: int) -> None:
    """Declare the queue and run a worker until it is told to stop."""
    asyncio.run(_work(slots))


async def _work(slots: int) -> None:
    queue = Queue("bench", concurrency=slots, executor=Chancy.Executor.Async, eager_polling=True)
    async with Chancy(os.environ["BENCH_POSTGRES_URL"]) as chancy:
        await chancy.declare(queue, upsert=True)
        async with Worker(chancy) as worker:
            await worker.wait_for_shutdown()


def finished() -> int:
    """Count the jobs that succeeded."""
    return _loop.run_until_complete(_count_succeeded())


async def _count_succeeded() -> int:
    async with _chancy().pool.connection() as connection:
        cursor = await connection.execute("select count(*) from chancy_jobs where state = 'succeeded'")
        return int((await cursor.fetchone())[0])


@cache
def _chancy() -> Chancy:
    chancy = Chancy(os.environ["BENCH_POSTGRES_URL"])
    _loop.run_until_complete(chancy.pool.open())
    atexit.register(lambda: _loop.run_until_complete(chancy.pool.close()))
    return chancy
