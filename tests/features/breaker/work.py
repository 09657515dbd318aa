"""A worker of jobs that need a server, as a process of its own; the environment says where, and how the server does.

`STORE` is the store's address, `SETTINGS` those of the app as JSON, `SERVER` what a call does: `fails`, `hangs` or
`works`. Each call is a line on the standard output.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator

from lineshaft import Breaker, Lineshaft, Retry, current_job

app = Lineshaft(os.environ["STORE"], **json.loads(os.environ["SETTINGS"]))
SMTP = Breaker("smtp", failures=2, reset="0.5s", on=ConnectionError)


def say(*words: object) -> None:
    """Write a line at once and whole, whichever process it comes from."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


@app.lifespan
def announce() -> Iterator[None]:
    if os.environ.get("LINESHAFT_CHILD") != "1":
        say("ready")
    yield


def reach(number: int) -> None:
    say("call", number, current_job().attempt)
    match os.environ["SERVER"]:
        case "fails":
            raise ConnectionResetError
        case "hangs":
            threading.Event().wait()
        case _:
            return


@app.task(name="call", breaker=SMTP, retry=Retry(max_attempts=3, backoff=lambda *_: 0.05))
def call(number: int) -> None:
    reach(number)


@app.task(name="call_in_child", breaker=SMTP, retry=None, runs_in="process")
def call_in_child(number: int) -> None:
    reach(number)


if __name__ == "__main__":
    with app.worker({"default": 4}):
        threading.Event().wait()
