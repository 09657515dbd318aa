"""Lineshaft as the harness sees it, on either store: one app a lane, whose tasks have the same names.

The worker's command line chooses the app and with it the lane; a job only knows its task's name.
"""

from __future__ import annotations

import sys

import marks

from lineshaft import Lineshaft

threads = Lineshaft()
coroutines = Lineshaft()
LANES = {"threads": "threads", "async": "coroutines"}


@threads.task(name="noop")
def _noop(number: int) -> int:
    marks.note(number)
    return number


@threads.task(name="hold")
def _hold(number: int) -> int:
    marks.hold(number)
    return number


@coroutines.task(name="noop")
async def _anoop(number: int) -> int:
    marks.note(number)
    return number


@coroutines.task(name="hold")
async def _ahold(number: int) -> int:
    await marks.ahold(number)
    return number


TASKS = {"noop": _noop, "hold": _hold}


def use(store: str) -> None:
    """Let the apps of this process work on a store."""
    threads.use_store(store)
    coroutines.use_store(store)


def prepare() -> None:
    """Create the schema."""
    threads.migrate()


def enqueue(task: str, number: int) -> None:
    """Store one job."""
    TASKS[task].enqueue(number)


def enqueue_many(task: str, numbers: list[int]) -> None:
    """Store many jobs in one transaction."""
    TASKS[task].enqueue_many(numbers)


def worker_commands(store: str, processes: int, slots: int, variant: str) -> list[list[str]]:
    """Return the one command that runs all worker processes."""
    command = [sys.executable, "-m", "lineshaft", "--app", f"lineshaft_apps:{LANES[variant]}", "--store", store]
    options = ["--queues", f"default:{slots}", "--processes", str(processes), "--log-level", "warning"]
    return [[*command, "worker", *options]]


def finished() -> int:
    """Count the jobs that the store holds as completed, with their results."""
    return threads.jobs.count(state="completed")
