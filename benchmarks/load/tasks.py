"""The app that growth and soak load a worker with: one task that does nothing but count its calls.

Each 1,000th call is noted in the file `$LOAD_NOTES`; at call number `$LOAD_GOAL` the worker stops itself.
"""

from __future__ import annotations

import os
import signal
import time
from itertools import count
from pathlib import Path
from typing import Final

from lineshaft import Lineshaft

NOTE_EACH: Final = 1_000

app = Lineshaft()

_calls = count(1)
_notes = Path(os.environ.get("LOAD_NOTES", os.devnull)).open("a", buffering=1, encoding="ascii")  # noqa: SIM115 - for life
_goal = int(os.environ.get("LOAD_GOAL", "0"))


@app.task(name="growth.pass_on")
def pass_on(number: int) -> int:
    """Give back what was given."""
    call = next(_calls)
    if call % NOTE_EACH == 0:
        _notes.write(f"{call} {time.monotonic_ns()}\n")
        if call == _goal:
            os.kill(os.getpid(), signal.SIGTERM)
    return number
