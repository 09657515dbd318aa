"""Huey on Redis, measured: a list as the queue, a hash of results, worker threads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import marks
from huey import RedisHuey

TITLE = "Huey"
PACKAGES = ("huey", "redis")
STORE = "Redis"
KEEPS_RESULT = True
SETTINGS = (
    "worker threads (default, 'the safest choice'); blocking pop; results kept until read (default); a job that runs"
    " when its worker dies is gone: no setting for it"
)
DRAIN_SLOTS = {"": 1}

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS_URL"])


@huey.task()
def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


@huey.task()
def hold(number: int) -> int:
    """Stay until the gate is opened."""
    marks.hold(number)
    return number


TASKS = {"noop": noop, "hold": hold}


def prepare() -> None:
    """Redis needs no schema."""


def enqueue(task: str, number: int) -> None:
    """Push one job."""
    TASKS[task](number)


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One consumer a process, a thread a slot."""
    del variant
    consumer = str(Path(sys.executable).with_name("huey_consumer"))
    command = [sys.executable, consumer, "peer_huey_redis.huey", "--worker-type", "thread", "--quiet"]
    return [[*command, "--workers", str(slots)]] * processes


def finished() -> int:
    """Count the stored results."""
    return int(huey.result_count())
