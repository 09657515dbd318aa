"""streaQ, measured: `async def` tasks on a Redis stream."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import cache

import marks
from streaq import Worker
from streaq.task import Task

TITLE = "streaQ"
PACKAGES = ("streaq",)
STORE = "Redis"
KEEPS_RESULT = True
SETTINGS = (
    "async tasks on asyncio; as many prefetched as run at once (default); results kept 5 min (default); idle timeout"
    " 60 s (default)"
)
DRAIN_SLOTS = {"": 32}

_loop = asyncio.new_event_loop()


async def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


async def hold(number: int) -> int:
    """Stay until the gate is opened."""
    await marks.ahold(number)
    return number


def prepare() -> None:
    """Redis needs no schema."""


def enqueue(task: str, number: int) -> None:
    """Append one job to the stream."""
    _loop.run_until_complete(_send(_client().registry[task].enqueue(number)))


async def _send(job: Task[[int], int]) -> None:
    await job


def enqueue_many(task: str, numbers: list[int]) -> None:
    """Append all jobs in one pipeline."""
    jobs = [_client().registry[task].enqueue(number) for number in numbers]
    _loop.run_until_complete(_client().enqueue_many(jobs))


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker a process."""
    del variant
    return [[sys.executable, "-c", f"import peer_streaq; peer_streaq.work({slots})"]] * processes


def work(slots: int) -> None:
    """Run a worker until it is told to stop."""
    _build(slots).run_sync()


def finished() -> int:
    """Count the stored results."""
    return _loop.run_until_complete(_count_results(_client()))


async def _count_results(client: Worker) -> int:
    return len([key async for key in client.redis.scan_iter(f"{client.results_key}*", count=1000)])


def _build(slots: int) -> Worker:
    worker = Worker(redis_url=os.environ["BENCH_REDIS_URL"], concurrency=slots)
    worker.task(noop)
    worker.task(hold)
    return worker


@cache
def _client() -> Worker:
    """Return the client, which is a worker that was entered and does not run."""
    client = _build(slots=1)
    _loop.run_until_complete(client.__aenter__())
    return client
