"""Where a worker's time goes at full rate: microseconds a job, stage by stage, on SQLite and on PostgreSQL.

py-spy notes some hundred times a second which thread holds the interpreter and where it is; while none holds it, the
worker waits for the database or for the machine. A sample belongs to the innermost frame that a stage's rule knows.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.load.filling import Filler
from benchmarks.load.stores import KINDS, TITLES, Kind, new_stores
from benchmarks.load.worker import LoadedWorker, loaded_worker, rates_over_time

_SAMPLES_A_SECOND: Final = 400
_WARM_UP_SECONDS: Final = 2.0
_MICROSECONDS: Final = 1e6

_STAGES: Final = {
    "database": re.compile(r"lineshaft/(engines/|store/queries)|psycopg|sqlite3"),
    "decode": re.compile(r"^_arguments \("),
    "encode": re.compile(r"^_result \("),
    "claim": re.compile(r"(store/claim|worker/claimer|worker/floor)\.py"),
    "finish": re.compile(r"(store/finish|worker/finisher|worker/loop|transitions|outcomes)\.py"),
    "call": re.compile(r"(worker/execute|worker/transaction|load/tasks|context|current|injection)\.py"),
    "lane hand-over": re.compile(r"(worker/dispatch|worker/run|worker/lanes/\w+|worker/worker|threading)\.py"),
}
_ROWS: Final = ("claim", "decode", "lane hand-over", "call", "encode", "finish", "database")
_OTHER: Final = "everything else"
_WAITING: Final = "no thread runs Python: waiting for the database"


def main() -> int:
    """Print one table; 1 without py-spy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="how long to sample")
    parser.add_argument("--jobs", type=int, default=600_000, help="how many jobs wait at first; they have to last")
    options = parser.parse_args()
    if _py_spy() is None:
        print("profile: py-spy is missing; install it with: .venv/bin/uv pip install py-spy", file=sys.stderr)
        return 1
    columns = [_measure(kind, options.jobs, options.seconds) for kind in KINDS]
    print("\n".join(_table([TITLES[kind] for kind in KINDS], columns)))
    return 0


def _py_spy() -> str | None:
    return shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")


def _measure(kind: Kind, jobs: int, seconds: int) -> dict[str, float]:
    """Return the microseconds a job of each stage."""
    with new_stores(kind) as new:
        store = new("profile")
        filler = Filler(store.engine)
        filler.add_waiting(jobs)
        filler.settle()
        with loaded_worker(store.address) as worker:
            stacks = _sample(worker, seconds)
            return _shares(stacks, _rate(worker), seconds)


def _sample(worker: LoadedWorker, seconds: int) -> list[str]:
    worker.wait(_WARM_UP_SECONDS)
    with tempfile.TemporaryDirectory(prefix="lineshaft-profile-") as folder:
        output = Path(folder, "stacks.txt")
        command = [str(_py_spy()), "record", "--gil", "--nonblocking", "--full-filenames", "--format", "raw"]
        command += ["--rate", str(_SAMPLES_A_SECOND), "--duration", str(seconds), "--output", str(output)]
        subprocess.run([*command, "--pid", str(worker.pid)], check=True, capture_output=True)
        return output.read_text().splitlines()


def _rate(worker: LoadedWorker) -> float:
    """Return the jobs a second of the last seconds."""
    until = time.monotonic()
    notes = worker.notes()
    rates = rates_over_time(notes, 1.0, until - notes[0].seconds)
    return sum(rates[1:]) / len(rates[1:])


def _shares(stacks: Iterable[str], rate: float, seconds: int) -> dict[str, float]:
    samples: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        samples[_stage(stack.split(";"))] += int(count)
    samples[_WAITING] = max(0, _SAMPLES_A_SECOND * seconds - samples.total())
    micros = _MICROSECONDS / rate
    return {stage: micros * count / samples.total() for stage, count in samples.items()} | {"a job": micros}


def _stage(stack: list[str]) -> str:
    for frame in reversed(stack):
        for stage, rule in _STAGES.items():
            if rule.search(frame):
                return stage
    return _OTHER


def _table(titles: list[str], columns: list[dict[str, float]]) -> list[str]:
    rows = [*_ROWS, _OTHER, _WAITING, "a job"]
    lines = [f"| microseconds a job | {' | '.join(titles)} |", "| --- | " + "--- | " * len(titles)]
    lines += [f"| {row} | " + " | ".join(f"{one.get(row, 0.0):.1f}" for one in columns) + " |" for row in rows]
    return [*lines, "| jobs a second | " + " | ".join(f"{_MICROSECONDS / one['a job']:,.0f}" for one in columns) + " |"]


if __name__ == "__main__":
    sys.exit(main())
