"""Celery on Redis, measured: prefork children or a pool of threads."""

from __future__ import annotations

import os
import sys

import marks
from celery import Celery

TITLE = "Celery"
PACKAGES = ("celery[redis]",)
STORE = "Redis"
KEEPS_RESULT = True
VARIANTS = ("prefork", "threads")
SETTINGS = (
    "Redis as broker and result backend; no gossip, mingle, heartbeat; prefetch multiplier 4 (default: 128, which its"
    " optimizing guide names for many short tasks, was no faster); acks_late off, visibility timeout 1 h (defaults)"
)
DRAIN_SLOTS = {"prefork": 1, "threads": 4}

app = Celery("peer_celery", broker=os.environ["BENCH_REDIS_URL"], backend=os.environ["BENCH_REDIS_URL"])
app.conf.broker_connection_retry_on_startup = True


@app.task(name="noop")
def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


@app.task(name="hold")
def hold(number: int) -> int:
    """Stay until the gate is opened."""
    marks.hold(number)
    return number


TASKS = {"noop": noop, "hold": hold}


def prepare() -> None:
    """Redis needs no schema."""


def enqueue(task: str, number: int) -> None:
    """Send one job."""
    TASKS[task].delay(number)


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """Prefork: one parent, a child for every slot of every process; threads: one worker a process."""
    command = [sys.executable, "-m", "celery", "--app", "peer_celery", "worker", "--loglevel", "WARNING"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--pool", variant]
    if variant == "prefork":
        return [[*command, "--concurrency", str(processes * slots)]]
    return [[*command, "--concurrency", str(slots), "--hostname", f"worker{n}@%h"] for n in range(processes)]


def finished() -> int:
    """Count the stored results."""
    return sum(1 for _ in app.backend.client.scan_iter("celery-task-meta-*", count=1000))
