"""A worker process whose jobs are limited: `limited.py URL SLOTS`; it says what starts, and ends when it is told to."""

from __future__ import annotations

import sys
import time

from lineshaft import Concurrency, Lineshaft, Order

PAIR, ORDERED = "limited.pair", "limited.ordered"
HELD, SHORT = 600.0, 0.1
"""Seconds: of a job that runs until its worker is killed, and of one that ends soon."""


def add_tasks(app: Lineshaft) -> None:
    """Add a task that runs twice at once for each key, and one that runs in order."""

    @app.task(name=PAIR, concurrency=Concurrency(2, key="key"))
    def pair(key: int, number: int, seconds: float) -> None:
        _work(f"{key} {number}", seconds)

    @app.task(name=ORDERED, concurrency=Order("key"))
    def ordered(key: int, number: int, seconds: float) -> None:
        _work(f"{key} {number}", seconds)


def _work(what: str, seconds: float) -> None:
    _say(f"start {what}")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(0.01, seconds))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")  # at once: several threads speak
    sys.stdout.flush()


def main(url: str, slots: str) -> None:
    """Work until the standard input ends."""
    app = Lineshaft(url)
    add_tasks(app)
    with app.worker({"default": int(slots)}):
        _say("ready")
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
