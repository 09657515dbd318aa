"""Taskiq on a Redis stream, measured: `async def` tasks, acknowledged when the result is saved."""

from __future__ import annotations

import os
import sys

import marks
import uvloop
from redis.asyncio import Redis
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

TITLE = "Taskiq"
PACKAGES = ("taskiq", "taskiq-redis", "uvloop")
STORE = "Redis"
KEEPS_RESULT = True
SETTINGS = (
    "async tasks; RedisStreamBroker, RedisAsyncResultBackend with an expiry of 1,000 s; uvloop, 100 tasks at"
    " once (default), no parsing of parameters; ack when saved, idle timeout 10 min (defaults)"
)
DRAIN_SLOTS = {"": 100}

_loop = uvloop.new_event_loop()
_url = os.environ["BENCH_REDIS_URL"]
broker = RedisStreamBroker(_url).with_result_backend(RedisAsyncResultBackend(_url, result_ex_time=1000))


@broker.task(task_name="noop")
async def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


@broker.task(task_name="hold")
async def hold(number: int) -> int:
    """Stay until the gate is opened."""
    await marks.ahold(number)
    return number


TASKS = {"noop": noop, "hold": hold}


def prepare() -> None:
    """Declare the consumer group: what is sent before there is one is read by nobody."""
    _loop.run_until_complete(broker.startup())


def enqueue(task: str, number: int) -> None:
    """Append one job to the stream."""
    _loop.run_until_complete(TASKS[task].kiq(number))


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One manager, `processes` children."""
    del variant
    command = [sys.executable, "-m", "taskiq", "worker", "peer_taskiq:broker", "--log-level", "WARNING", "--no-parse"]
    return [[*command, "--workers", str(processes), "--max-async-tasks", str(slots)]]


def finished() -> int:
    """Count the keys of results: all keys but the stream and its lock."""
    return _loop.run_until_complete(_count_results())


async def _count_results() -> int:
    async with Redis.from_url(_url) as client:
        keys = {key async for key in client.scan_iter(count=1000, _type="string")}
    return sum(not key.startswith(b"autoclaim:") for key in keys)
