"""A worker, of whose jobs one completes itself in a child process: `process_work.py STORE SETTINGS`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

from lineshaft import Lineshaft, current_job

app = Lineshaft(sys.argv[1], **json.loads(sys.argv[2]))


@app.lifespan
def announce() -> Iterator[None]:
    """Say that jobs are taken from now on."""
    if "LINESHAFT_CHILD" not in os.environ:
        os.write(1, b"ready\n")
    yield


@app.task(name="sums.own", runs_in="process")
def own() -> None:
    """Complete in a transaction of one's own."""
    with current_job().transaction():
        pass


@app.task(name="report")
def report() -> None:
    """Complete."""


app.run({"default": 2})
