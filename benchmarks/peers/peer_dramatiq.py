"""Dramatiq on Redis, measured: worker processes with threads."""

from __future__ import annotations

import os
import sys

import dramatiq
import marks
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend

TITLE = "Dramatiq"
PACKAGES = ("dramatiq[redis]",)
STORE = "Redis"
KEEPS_RESULT = True
SETTINGS = (
    "RedisBroker; prefetch of twice the threads (default); Results middleware on Redis, kept 10 min"
    " (default); heartbeat timeout 60 s (default)"
)
DRAIN_SLOTS = {"": 16}

backend = RedisBackend(url=os.environ["BENCH_REDIS_URL"])
broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"])
broker.add_middleware(Results(backend=backend, store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


@dramatiq.actor
def hold(number: int) -> int:
    """Stay until the gate is opened."""
    marks.hold(number)
    return number


TASKS = {"noop": noop, "hold": hold}


def prepare() -> None:
    """Redis needs no schema."""


def enqueue(task: str, number: int) -> None:
    """Send one job."""
    TASKS[task].send(number)


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One master, `processes` children."""
    del variant
    command = [sys.executable, "-m", "dramatiq", "peer_dramatiq"]
    return [[*command, "--processes", str(processes), "--threads", str(slots)]]


def finished() -> int:
    """Count the stored results: their keys are MD5 sums in hexadecimal."""
    return sum(1 for _ in backend.client.scan_iter("?" * 32, count=1000))
