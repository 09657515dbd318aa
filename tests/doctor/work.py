"""The application whose stores the doctor looks over; run as a script it is a worker that says what it does.

Its store is `$LINESHAFT_STORE`; `$HOLDS` has jobs that can wait wait for ever, `$KNOWS` names the newest task it has.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

from lineshaft import Lineshaft, Retry

QUICK = {"heartbeat": "0.1s", "silence": "0.5s", "stop_patience": "0.4s", "grace": "0.1s"}
NEVER = threading.Event()
app = Lineshaft(**QUICK)  # type: ignore[arg-type]


def say(*words: object) -> None:
    """Write a line at once and whole, whichever thread or child it comes from."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


@app.lifespan
def announce() -> Iterator[None]:
    say("ready", os.getpid())
    yield


def wait() -> None:
    if os.environ.get("HOLDS"):
        NEVER.wait()


@app.task(name="work.hold", queue="pdf")
def hold(key: str) -> str:
    say("start", key)
    wait()
    return key


@app.task(name="work.block")
async def block(key: str) -> str:
    say("start", key)
    wait()
    return key


@app.task(name="work.crash", runs_in="process", retry=Retry(max_attempts=1))
def crash() -> None:
    os.abort()


@app.task(name="work.crash_again", runs_in="process", retry=Retry(max_attempts=3, backoff=lambda *_: 3600))
def crash_again() -> None:
    os.abort()


@app.task(name="work.fail", retry=Retry(max_attempts=3, backoff=lambda *_: 3600))
def fail() -> None:
    raise ValueError("not today")


if os.environ.get("KNOWS") != "old":

    @app.task(name="work.newest")
    def newest(key: str) -> str:
        return key


if __name__ == "__main__":
    app.run(sys.argv[1])
