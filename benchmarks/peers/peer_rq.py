"""RQ, measured: workers that run one job at a time, without a fork for each."""

from __future__ import annotations

import os
import sys

import marks
from redis import Redis
from rq import Queue

TITLE = "RQ"
PACKAGES = ("rq", "redis")
STORE = "Redis"
KEEPS_RESULT = True
SETTINGS = (
    "SimpleWorker (no fork a job), one job at a time: a process a slot; results kept 500 s, job timeout 180 s,"
    " maintenance every 10 min, no retry (defaults)"
)
DRAIN_SLOTS = {"": 1}

queue = Queue("bench", connection=Redis.from_url(os.environ["BENCH_REDIS_URL"]))


def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


def hold(number: int) -> int:
    """Stay until the gate is opened."""
    marks.hold(number)
    return number


def prepare() -> None:
    """Redis needs no schema."""


def enqueue(task: str, number: int) -> None:
    """Push one job."""
    queue.enqueue(f"peer_rq.{task}", number)


def enqueue_many(task: str, numbers: list[int]) -> None:
    """Push all jobs in one pipeline."""
    queue.enqueue_many([Queue.prepare_data(f"peer_rq.{task}", args=(number,)) for number in numbers])


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker for every slot of every process."""
    del variant
    command = [sys.executable, "-m", "rq.cli", "worker", "bench", "--url", os.environ["BENCH_REDIS_URL"], "--quiet"]
    return [[*command, "--worker-class", "rq.SimpleWorker", "--disable-job-desc-logging"]] * (processes * slots)


def finished() -> int:
    """Count the jobs that are registered as finished."""
    return int(queue.finished_job_registry.count)
