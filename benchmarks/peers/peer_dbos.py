"""DBOS, measured: a queue of workflows in PostgreSQL."""

from __future__ import annotations

import os
import sys
import threading
from functools import cache
from typing import Final

import marks
import psycopg
from dbos import DBOS, DBOSClient

TITLE = "DBOS"
PACKAGES = ("dbos", "psycopg[binary]")
STORE = "PostgreSQL"
KEEPS_RESULT = True
SETTINGS = (
    "async workflows of no steps; the queue is polled every second (default); a worker that starts again under the"
    " same executor id takes its workflows up again (default)"
)
DRAIN_SLOTS = {"": 1000}

URL: Final = os.environ["BENCH_POSTGRES_URL"]


@DBOS.workflow(name="noop")
async def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


@DBOS.workflow(name="hold")
async def hold(number: int) -> int:
    """Stay until the gate is opened."""
    await marks.ahold(number)
    return number


def prepare() -> None:
    """Create the schema, by an application that runs nothing; the workers declare the queue."""
    _launch("prepare")
    DBOS.destroy()


def enqueue(task: str, number: int) -> None:
    """Insert one job."""
    _client().enqueue({"workflow_name": task, "queue_name": "bench"}, number)


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker a process, under ids that are the same at the next start."""
    del variant
    call = "import peer_dbos; peer_dbos.work"
    return [[sys.executable, "-c", f"{call}({slots}, 'worker{number}')"] for number in range(processes)]


def work(slots: int, name: str) -> None:
    """Run a worker until it is killed."""
    _launch(name)
    DBOS.register_queue("bench", worker_concurrency=slots)
    threading.Event().wait()


def finished() -> int:
    """Count the workflows that succeeded."""
    with psycopg.connect(URL) as connection:
        row = connection.execute("select count(*) from dbos.workflow_status where status = 'SUCCESS'").fetchone()
    return int(row[0])


def _launch(name: str) -> None:
    DBOS(config={"name": "bench", "system_database_url": URL, "executor_id": name, "log_level": "WARNING"})
    DBOS.launch()


@cache
def _client() -> DBOSClient:
    return DBOSClient(system_database_url=URL)
