"""SAQ on Redis, measured: `async def` functions, jobs as JSON values beside a list of ids."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import marks
from saq import Queue, Worker

TITLE = "SAQ"
PACKAGES = ("saq[redis,hiredis]", "typing-extensions")
STORE = "Redis"
KEEPS_RESULT = True
SETTINGS = (
    "async functions; hiredis; results kept 600 s (default); job timeout 10 s, one attempt, sweep of stuck jobs every"
    " 60 s (defaults)"
)
DRAIN_SLOTS = {"": 32}

_loop = asyncio.new_event_loop()
queue = Queue.from_url(os.environ["BENCH_REDIS_URL"])


async def noop(_context: dict[str, Any], *, number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


async def hold(_context: dict[str, Any], *, number: int) -> int:
    """Stay until the gate is opened."""
    await marks.ahold(number)
    return number


def prepare() -> None:
    """Redis needs no schema."""


def enqueue(task: str, number: int) -> None:
    """Push one job."""
    _loop.run_until_complete(queue.enqueue(task, number=number))


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker a process."""
    del variant
    return [[sys.executable, "-c", f"import peer_saq; peer_saq.work({slots})"]] * processes


def work(slots: int) -> None:
    """Run a worker until it is told to stop, as the command `saq` does."""
    asyncio.run(_work(slots))


async def _work(slots: int) -> None:
    await queue.connect()
    await Worker(queue, functions=[noop, hold], concurrency=slots).start()
    await queue.disconnect()


def finished() -> int:
    """Count the jobs that are kept and not incomplete."""
    return _loop.run_until_complete(_count_finished())


async def _count_finished() -> int:
    known = [key async for key in queue.redis.scan_iter(queue.job_id("*"), count=1000)]
    return len(known) - await queue.count("incomplete")
