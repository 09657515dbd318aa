"""arq on Redis, measured: `async def` functions, a sorted set that the worker polls."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import cache
from typing import Any

import marks
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker

TITLE = "arq"
PACKAGES = ("arq",)
STORE = "Redis"
KEEPS_RESULT = True
SETTINGS = (
    "async functions; poll every 0.5 s (default); results kept 1 h (default), not logged; job timeout 300 s, run again"
    " after it (defaults)"
)
DRAIN_SLOTS = {"": 100}

_loop = asyncio.new_event_loop()
redis_settings = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


async def noop(_context: dict[str, Any], number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


async def hold(_context: dict[str, Any], number: int) -> int:
    """Stay until the gate is opened."""
    await marks.ahold(number)
    return number


def prepare() -> None:
    """Redis needs no schema."""


def enqueue(task: str, number: int) -> None:
    """Push one job."""
    _loop.run_until_complete(_pool().enqueue_job(task, number))


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker a process."""
    del variant
    return [[sys.executable, "-c", f"import peer_arq; peer_arq.work({slots})"]] * processes


def work(slots: int) -> None:
    """Run a worker until it is told to stop."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    Worker([noop, hold], redis_settings=redis_settings, max_jobs=slots, log_results=False).run()


def finished() -> int:
    """Count the stored results."""
    return _loop.run_until_complete(_count_results())


async def _count_results() -> int:
    return len([key async for key in _pool().scan_iter("arq:result:*", count=1000)])


@cache
def _pool() -> ArqRedis:
    return _loop.run_until_complete(create_pool(redis_settings))
