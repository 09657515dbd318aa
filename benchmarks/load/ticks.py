"""The app whose worker the schedules benchmark runs: each job notes when it was due and how late it starts.

A line of the file `$LOAD_NOTES` is a kind (`tick` or `delayed`), when the job was due and how many microseconds later
its first line ran.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lineshaft import Lineshaft, current_job

app = Lineshaft()

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_notes = Path(os.environ.get("LOAD_NOTES", os.devnull)).open("a", buffering=1, encoding="ascii")  # noqa: SIM115 - for life


@app.task(name="schedules.tick")
def tick() -> None:
    """Note how late a tick's job starts."""
    now = time.time_ns() // 1_000
    at = current_job().tick
    if at is not None:
        _note("tick", (at - _EPOCH) // _MICROSECOND, now)


@app.task(name="schedules.delayed")
def delayed(due: int) -> None:
    """Note how late a delayed job starts; `due` in microseconds since the epoch."""
    _note("delayed", due, time.time_ns() // 1_000)


@app.task(name="schedules.quiet")
def quiet() -> None:
    """Do nothing: for ticks of which only the enqueueing counts."""


def _note(kind: str, due: int, now: int) -> None:
    _notes.write(f"{kind} {due} {now - due}\n")
