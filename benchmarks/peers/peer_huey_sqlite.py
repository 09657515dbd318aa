"""Huey on SQLite, measured: a table as the queue and one of results in a file, worker threads that poll."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import marks
from huey import SqliteHuey

TITLE = "Huey"
PACKAGES = ("huey",)
STORE = "SQLite"
KEEPS_RESULT = True
SETTINGS = (
    "worker threads (default, 'the safest choice'); WAL, synchronous=FULL, polls after 0.1 s and then less often up to"
    " 10 s, results kept until read (defaults); a job that runs when its worker dies is gone: no setting for it"
)
DRAIN_SLOTS = {"": 1}

huey = SqliteHuey("bench", filename=str(Path(os.environ["BENCH_FOLDER"], "huey.db")))


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
    """Leave the schema to Huey: it was made when the file was opened."""


def enqueue(task: str, number: int) -> None:
    """Insert one job."""
    TASKS[task](number)


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One consumer a process, a thread a slot."""
    del variant
    consumer = str(Path(sys.executable).with_name("huey_consumer"))
    command = [sys.executable, consumer, "peer_huey_sqlite.huey", "--worker-type", "thread", "--quiet"]
    return [[*command, "--workers", str(slots)]] * processes


def finished() -> int:
    """Count the stored results."""
    return int(huey.result_count())
