"""Runs a real `lineshaft worker` on a store, and reads when which of its calls happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
COUNTING: Final = "benchmarks.load.tasks:app"
_STOP_SECONDS: Final = 35.0
"""A worker lets running jobs finish for 25 s."""
_TAIL_BYTES: Final = 200


class Note(NamedTuple):
    """The number of a call, and when it happened."""

    call: int
    seconds: float


class LoadedWorker:
    """A worker process of an app; `goal` is the call at which it stops itself, 0 for never."""

    def __init__(self, store: str, folder: Path, *, goal: int = 0, app: str = COUNTING) -> None:
        self._notes = folder / "notes"
        self._log = folder / "worker.log"
        environment = {
            **os.environ,
            "LINESHAFT_STORE": store,  # not in the command line: an address may carry a password
            "LOAD_NOTES": str(self._notes),
            "LOAD_GOAL": str(goal),
        }
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lineshaft", "--app", app, "worker", "--log-level", "warning"],
                env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def notes(self) -> list[Note]:
        """Return what it noted so far; a line that is being written is left out."""
        return [Note(int(call), int(at) / 1e9) for call, at in (line.split() for line in self.lines())]

    def lines(self) -> list[str]:
        """Return what it wrote there, whichever app it is."""
        return self._notes.read_text("ascii").split("\n")[:-1] if self._notes.exists() else []

    def calls(self) -> int:
        """Return how many calls it has noted; cheap, however many there were."""
        if not self._notes.exists():
            return 0
        with self._notes.open("rb") as notes:
            notes.seek(max(0, self._notes.stat().st_size - _TAIL_BYTES))
            lines = notes.read().split(b"\n")[:-1]
        return int(lines[-1].split()[0]) if lines else 0

    def resident_bytes(self) -> int:
        """Return its resident memory; 0 where there is no /proc."""
        status = Path(f"/proc/{self.pid}/status")
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read_text(), re.MULTILINE) if status.exists() else None
        return int(found[1]) * 1_024 if found else 0

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it still runs. Raises `RuntimeError` with its last line when it failed."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if code:
            lines = self._log.read_text("utf-8", "replace").splitlines() or ["it said nothing"]
            raise RuntimeError(f"the worker ended with exit code {code}: {lines[-1]}")
        return True

    def stop(self) -> None:
        """Ask it to stop; kill it only if it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def loaded_worker(store: str, *, goal: int = 0, app: str = COUNTING) -> Iterator[LoadedWorker]:
    """Run a worker for as long as the block."""
    with tempfile.TemporaryDirectory(prefix="lineshaft-load-") as folder:
        worker = LoadedWorker(store, Path(folder), goal=goal, app=app)
        try:
            yield worker
        finally:
            worker.stop()


def rate_between(notes: list[Note], first: int, last: int) -> float:
    """Return calls a second from call `first` to call `last`, both noted."""
    at = {note.call: note.seconds for note in notes}
    return (last - first) / (at[last] - at[first])


def rates_over_time(notes: list[Note], window: float, until: float) -> list[float]:
    """Return calls a second in each window of `window` seconds, from the first note on, for `until` seconds."""
    if not notes:
        return []
    start = notes[0].seconds
    edges = [start + window * number for number in range(1, int(until / window) + 1)]
    reached = [0, *(max((note.call for note in notes if note.seconds <= edge), default=0) for edge in edges)]
    return [(after - before) / window for before, after in pairwise(reached)]
