"""One peer's client: imports the peer's module in the peer's own environment and does what the harness asks.

It reads one JSON object a line and answers each with one. The
standard library is all that it needs: whatever else is installed is the peer's.

Usage: python driver.py MODULE
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

CHUNK: Final = 1_000
"""Jobs in one call of the peer's bulk enqueue."""


class Client:
    """What the harness may ask of a peer; each method takes the request's other fields and returns the answer."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def versions(self, packages: list[str]) -> dict[str, Any]:
        """Tell the installed versions of the packages, and of Python."""
        found = {name: importlib.metadata.version(name.partition("[")[0]) for name in packages}
        return {"versions": found, "python": sys.version.split()[0]}

    def prepare(self) -> dict[str, Any]:
        """Let the peer create what it needs."""
        self._peer.prepare()
        return {}

    def commands(self, processes: int, slots: int, variant: str) -> dict[str, Any]:
        """Tell the command lines of the peer's workers."""
        return {"commands": self._peer.worker_commands(processes, slots, variant)}

    def single(self, task: str, first: int, count: int, seconds: float) -> dict[str, Any]:
        """Enqueue one by one until `count` jobs or `seconds` are through; tell how long each call took."""
        enqueue, clock = self._peer.enqueue, time.monotonic_ns
        took, before, end = [], clock(), clock() + int(seconds * 1e9)
        for number in range(first, first + count):
            enqueue(task, number)
            now = clock()
            took.append(now - before)
            if now > end:
                break
            before = now
        return {"took_ns": took}

    def bulk(self, task: str, first: int, count: int, seconds: float) -> dict[str, Any]:
        """Enqueue with the peer's bulk call, one by one where it has none, for at most about `seconds`."""
        put = getattr(self._peer, "enqueue_many", None) or self._put_singly
        done, took = 0, 0
        for numbers in _chunks(first, count):
            before = time.monotonic_ns()
            put(task, numbers)
            took += time.monotonic_ns() - before
            done += len(numbers)
            if took > seconds * 1e9:
                break
        return {"count": done, "seconds": took / 1e9}

    def send(self, task: str, number: int) -> dict[str, Any]:
        """Enqueue one job and tell when the call was made."""
        at = time.monotonic_ns()
        self._peer.enqueue(task, number)
        return {"at_ns": at}

    def finished(self) -> dict[str, Any]:
        """Tell how many jobs the store holds as done."""
        return {"finished": self._peer.finished()}

    def _put_singly(self, task: str, numbers: list[int]) -> None:
        for number in numbers:
            self._peer.enqueue(task, number)


def main(module: str) -> None:
    """Answer until the input ends."""
    answers = _take_standard_output()
    client = Client(importlib.import_module(module))
    answers(json.dumps({"ready": True}))
    for line in sys.stdin:
        request = json.loads(line)
        answers(json.dumps(_answer(client, request.pop("do"), request)))


def _answer(client: Client, what: str, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, what)(**fields)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is the harness's to report
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}
    return answer


def _chunks(first: int, count: int) -> Iterator[list[int]]:
    for start in range(first, first + count, CHUNK):
        yield list(range(start, min(start + CHUNK, first + count)))


def _take_standard_output() -> Callable[[str], None]:
    """Keep standard output for answers; what a peer prints there goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return lambda line: print(line, file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
