"""Procrastinate, measured: `async def` tasks, jobs as rows of PostgreSQL, psycopg."""

from __future__ import annotations

import os
import sys
from functools import cache

import marks
from procrastinate import App, PsycopgConnector

TITLE = "Procrastinate"
PACKAGES = ("procrastinate", "psycopg[binary]")
STORE = "PostgreSQL"
KEEPS_RESULT = False
SETTINGS = (
    "async tasks; LISTEN and polling every 5 s (defaults); rows of finished jobs are kept (default), return values are"
    " not stored; stalled jobs are retried only by a task that the user writes (default: none)"
)
DRAIN_SLOTS = {"": 20}

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_POSTGRES_URL"]))


@app.task(name="noop")
async def noop(number: int) -> int:
    """Note the start and return the number."""
    marks.note(number)
    return number


@app.task(name="hold")
async def hold(number: int) -> int:
    """Stay until the gate is opened."""
    await marks.ahold(number)
    return number


TASKS = {"noop": noop, "hold": hold}


def prepare() -> None:
    """Create the schema."""
    _opened().schema_manager.apply_schema()


def enqueue(task: str, number: int) -> None:
    """Insert one job."""
    _opened()
    TASKS[task].defer(number=number)


def enqueue_many(task: str, numbers: list[int]) -> None:
    """Insert all jobs in one statement."""
    _opened()
    TASKS[task].batch_defer(*({"number": number} for number in numbers))


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """One worker a process."""
    del variant
    command = [sys.executable, "-m", "procrastinate", "--app", "peer_procrastinate.app", "worker"]
    return [[*command, "--concurrency", str(slots)]] * processes


def finished() -> int:
    """Count the jobs that succeeded."""
    query = "select count(*) from procrastinate_jobs where status = 'succeeded'"
    return int(_opened().connector.get_sync_connector().execute_query_one(query)["count"])


@cache
def _opened() -> App:
    return app.open()
