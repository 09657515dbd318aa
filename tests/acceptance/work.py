"""The application that acceptance tests run as worker processes: it says what it does, line by line.

Arguments: the store's address, `hold` or `pass`, the queues, the settings as JSON. A line on the standard input opens
the gate of that name.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator

from lineshaft import Cancelled, Lineshaft, current_job

URL, MODE, QUEUES, SETTINGS = sys.argv[1:5]
app = Lineshaft(URL, **json.loads(SETTINGS))
gates: dict[str, threading.Event] = {}


def gate_of(name: str) -> threading.Event:
    """Return the gate of this name, one for all threads, whichever of them asks first."""
    return gates.setdefault(name, threading.Event())  # in one step, which `defaultdict` is not


def say(*words: object) -> None:
    """Write a line at once and whole, whichever thread or child it comes from."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


@app.lifespan
def announce() -> Iterator[None]:
    say("ready", os.getpid())
    yield
    say("bye", os.getpid())


@app.task
def hold(name: str, gate: str = "never") -> str:
    say("start", name, current_job().attempt)
    if MODE == "hold":
        gate_of(gate).wait()
    say("end", name, current_job().attempt)
    return name


@app.task
def report_pid(gate: str) -> int:
    """Say at the gate's opening which process ran it, told to stop or not."""
    say("start", gate, current_job().attempt)
    while True:
        try:
            if MODE == "hold":
                gate_of(gate).wait()
            say("end", gate, current_job().attempt)
        except Cancelled:
            continue
        return os.getpid()


@app.task
def when(asked_at: float) -> float:
    """Return how many seconds after it was asked for it runs, by the clock that processes share."""
    return time.monotonic() - asked_at


@app.task
def quick(name: str) -> str:
    say("ran", name, current_job().attempt)
    return name


@app.task
def give_way(name: str) -> str:
    """Run until told to stop, in steps at which a thread can be stopped."""
    say("start", name, current_job().attempt)
    while MODE == "hold" and not gate_of(name).wait(0.005):
        current_job().check_cancelled()
    say("end", name, current_job().attempt)
    return name


@app.task
def write_once(name: str, gate: str = "never") -> str:
    with current_job().transaction() as connection:
        connection.execute(f"insert into effect (name) values ('{name}')")
    say("wrote", name, current_job().attempt)
    if MODE == "hold":
        gate_of(gate).wait()
    return name


@app.task
def die(name: str) -> None:
    """Kill the process that runs it."""
    say("start", name, os.getpid())
    os.kill(os.getpid(), 9)


def read_gates() -> None:
    for line in sys.stdin:
        gate_of(line.strip()).set()


if __name__ == "__main__":
    threading.Thread(target=read_gates, daemon=True).start()
    app.run(QUEUES)
    say("stopped")
