"""The application of the chaos tests: every task writes into the common history what it does.

Arguments: the store's address, the queues, and as JSON the app's settings beside `history` (a file), `points` (a file
that lists the effect points), `target` (the point at which to act), `act` (`kill`: the process dies; `ask`: it says so
and waits for a line), `effects` (a table) and `clock_offset` (where this process's clock lies: by how many microseconds
the true time is ahead of the monotonic clock). A line on the standard input opens the gate of that name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import history
from history import Kind, Recorder
from points import Points, die, install

from lineshaft import Cancelled, Lineshaft, Retry, Snooze, current_job

URL, QUEUES = sys.argv[1:3]
SETTINGS: dict[str, Any] = json.loads(sys.argv[3])
IS_CHILD = os.environ.get("LINESHAFT_CHILD") == "1"
recorder = Recorder(SETTINGS.pop("history"))
POINTS, TARGET = SETTINGS.pop("points", None), SETTINGS.pop("target", None)
ACT, EFFECTS = SETTINGS.pop("act", "kill"), SETTINGS.pop("effects", "")
CLOCK_OFFSET = SETTINGS.pop("clock_offset", None)
gates: dict[str, threading.Event] = {}


def gate_of(name: str) -> threading.Event:
    """Return the gate of this name, one for all threads, whichever of them asks first."""
    return gates.setdefault(name, threading.Event())  # in one step, which `defaultdict` is not


def say(*words: object) -> None:
    """Write a line at once and whole, whichever thread or child it comes from."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def ask() -> None:
    """Tell the test that the point is reached, and go on when it says so."""
    say("reached", TARGET)
    gate_of("go on").wait()


if CLOCK_OFFSET is not None:
    history.now = lambda: time.monotonic_ns() // 1_000 + CLOCK_OFFSET
if POINTS is not None:
    act = die(recorder) if ACT == "kill" else ask
    install(Points(POINTS, TARGET, act, "child " if IS_CHILD else ""))

app = Lineshaft(URL, **SETTINGS)


@app.lifespan
def announce() -> Iterator[None]:
    if not IS_CHILD:
        say("ready", os.getpid())
    yield


@app.on("completed", "dead", "cancelled", "expired")
def finished(event: Any) -> None:
    recorder.note(Kind.FINISH, job=event.job_id, attempt=event.attempt)


@contextmanager
def recorded(key: str) -> Iterator[int]:
    """Note the first and the last line of an attempt; gives the claim's number."""
    held = current_job().claimed.held  # type: ignore[attr-defined]
    recorder.note(Kind.START, key, held.id, held.attempt, held.claim)
    try:
        yield held.claim
    finally:
        recorder.note(Kind.END, key, held.id, held.attempt, held.claim)


@app.task
def plain(key: str) -> str:
    with recorded(key):
        return key


@app.task
def ticked() -> None:
    """A job of a schedule, known by its tick."""
    meta = current_job().meta
    with recorded(f"{meta['schedule']}@{meta['tick']}"):
        pass


@app.task
async def coroutine(key: str) -> str:
    with recorded(key):
        return key


@app.task(runs_in="process")
def separate(key: str) -> str:
    with recorded(key):
        return key


@app.task(retry=Retry(max_attempts=5, backoff=lambda _attempt, _error: 0.05))
def failing(key: str) -> str:
    with recorded(key) as claim:
        if claim == 1:
            raise ValueError(key)
        return key


@app.task(retry=Retry(max_attempts=1))
def hopeless(key: str) -> None:
    with recorded(key):
        raise ValueError(key)


@app.task
def snoozing(key: str) -> str:
    with recorded(key) as claim:
        if claim == 1:
            raise Snooze("50ms")
        return key


@app.task
def talking(key: str) -> str:
    with recorded(key):
        current_job().progress(0.5, "half")
        current_job().log.warning("half")
        return key


def write_effect(key: str) -> None:
    with recorded(key) as claim, current_job().transaction() as connection:
        connection.execute(f"insert into {EFFECTS} (job, name, claim) values ('{current_job().id}', '{key}', {claim})")


@app.task
def transactional(key: str) -> None:
    write_effect(key)


@app.task(runs_in="process")
def separate_transactional(key: str) -> None:
    write_effect(key)


@app.task
def parent(key: str) -> None:
    """Enqueue a child that is stored only if this attempt completes."""
    with recorded(key), current_job().transaction():
        recorder.note(Kind.SENT, f"{key}/child")
        app.enqueue("work.plain", f"{key}/child")


@app.task
def spawning(key: str) -> None:
    """Enqueue a job of its own for each attempt, in a transaction of its own."""
    with recorded(key) as claim:
        child = f"{key}/{claim}"
        recorder.note(Kind.SENT, child)
        recorder.note(Kind.ACKNOWLEDGED, child, app.enqueue("work.plain", child).id)


@app.task
def held(key: str, gate: str) -> str:
    """Wait at a gate the first time, in steps at which a thread can be stopped; a rescued job runs where no gate is."""
    with recorded(key) as claim:
        say("start", key)
        while claim == 1 and not gate_of(gate).wait(0.005):
            current_job().check_cancelled()
        return key


@app.task
def deaf(key: str, gate: str) -> str:
    """Wait at a gate the first time, told to stop or not, then enqueue a child in the job's own transaction."""
    with recorded(key) as claim:
        say("start", key)
        while claim == 1:
            try:
                gate_of(gate).wait()
            except Cancelled:
                continue
            break
        recorder.note(Kind.SENT, f"{key}/child")
        with current_job().transaction():
            app.enqueue("work.plain", f"{key}/child")
        return key


@app.task(runs_in="process")
def breeding(key: str) -> None:
    """Start a program that outlives this process unless somebody kills it."""
    with recorded(key), subprocess.Popen(["sleep", "600"]) as program:
        say("bred", program.pid)
        program.wait()


@app.task
def busy(key: str, seconds: float) -> str:
    with recorded(key):
        time.sleep(seconds)
        return key


def read_gates() -> None:
    for line in sys.stdin:
        gate_of(line.strip()).set()


if __name__ == "__main__":
    threading.Thread(target=read_gates, daemon=True).start()
    app.run(QUEUES)
    say("stopped")
