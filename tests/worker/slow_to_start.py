"""A worker whose children cannot start at first: `slow_to_start.py STORE SETTINGS FILE FAILURES`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lineshaft import Lineshaft

STORE, SETTINGS, FILE, FAILURES = sys.argv[1:5]
IS_CHILD = os.environ.get("LINESHAFT_CHILD") == "1"
app = Lineshaft(STORE, **json.loads(SETTINGS))


@app.lifespan
def needs_a_service() -> Iterator[None]:
    """Fail in the first children, as where a service that they need is being restarted."""
    starts = Path(FILE)
    if IS_CHILD:
        with starts.open("a") as file:
            file.write("x")
        if starts.stat().st_size <= int(FAILURES):
            msg = "the service does not answer"
            raise ConnectionError(msg)
    yield


@app.task(name="add", runs_in="process")
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


app.run({"default": 4})
