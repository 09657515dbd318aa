"""A worker that may die at a point: `crashing.py STORE SETTINGS POINTS TARGET`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "chaos"))
from points import Points, install

from lineshaft import Lineshaft, Retry, current_job
from lineshaft.features.followup import FollowUpFeature

STORE, SETTINGS, FILE, TARGET = sys.argv[1:5]
PREFIX = "child " if os.environ.get("LINESHAFT_CHILD") == "1" else ""
points = Points(FILE, TARGET, lambda: os.kill(os.getpid(), signal.SIGKILL), PREFIX)
install(points)
_after_finish = FollowUpFeature.after_finish


def after_finish(self: FollowUpFeature, *args: Any, **named: Any) -> None:
    """Pass the points around the seam."""
    points.passing("follow-ups: before")
    _after_finish(self, *args, **named)
    points.passing("follow-ups: after")


FollowUpFeature.after_finish = after_finish  # type: ignore[method-assign]
app = Lineshaft(STORE, **json.loads(SETTINGS))


@app.lifespan
def announce() -> Iterator[None]:
    """Say that signals are heeded from now on."""
    if not PREFIX:
        os.write(1, b"ready\n")
    yield


@app.task(name="good")
def good(text: str) -> str:
    """Complete."""
    return text


@app.task(name="bad", retry=Retry(max_attempts=1))
def bad(text: str) -> None:
    """Die."""
    raise ValueError(text)


@app.task(name="separate", runs_in="process", retry=Retry(max_attempts=5))
def separate(text: str) -> str:
    """Complete in a transaction of one's own, in a child."""
    with current_job().transaction():
        return text


@app.task(name="tell")
def tell(text: str) -> str:
    """Follow the others."""
    return text


app.run({"default": 4})
