"""A worker process whose duty says what it does, line by line, with the time by the clock that processes share.

Arguments: the store's address, the settings as JSON. A line on the standard input opens the gate that `hold` waits at.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

from lineshaft import Lineshaft
from lineshaft.feature import Duty, Feature, Office

_BETWEEN_STEPS: Final = 50_000
gate = threading.Event()


def say(*words: object) -> None:
    """Write a line at once and whole, whichever thread it comes from."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Watch(Duty):
    """Says when it begins, and when it is done again."""

    name = "watch"
    doing = "keeps watch"

    def begin(self, now: int) -> None:  # noqa: ARG002 - the seam's signature
        """Say so."""
        say("begin", time.monotonic())

    def step(self, now: int) -> int:
        """Say so, and be called again soon."""
        say("step", time.monotonic())
        return now + _BETWEEN_STEPS


class Watchkeeping(Feature):
    """Has the leader keep watch."""

    def duties(self, office: Office) -> Sequence[Duty]:  # noqa: ARG002 - the seam's signature
        """Return the watch."""
        return (Watch(),)


def make_app(url: str, settings: str) -> Lineshaft:
    """Return the app whose leader keeps watch."""
    app = Lineshaft(url, **json.loads(settings))
    app._features.append(Watchkeeping())

    @app.task(name="hold")
    def hold() -> None:
        say("holds")
        gate.wait()

    return app


def open_gate() -> None:
    """Let the jobs go on with the first line."""
    for _ in sys.stdin:
        gate.set()


if __name__ == "__main__":
    threading.Thread(target=open_gate, daemon=True).start()
    running = make_app(*sys.argv[1:3])
    running.lifespan(lambda: (yield say("ready", os.getpid())))
    running.run({"default": 2})
    say("stopped")
