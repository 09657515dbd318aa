"""Compares this tree with another revision of it: the same jobs through both, in turns, on one machine in one run.

Each side has a store of its own, a process that enqueues jobs that do nothing, and a worker process that runs them. A
pair is one run of each, and their order changes from pair to pair. The ratio is the other revision's time by this
tree's: above 1 this tree is faster. Its interval is that of the median, by drawing pairs anew 2,000 times (bootstrap).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.load.stores import KINDS, TITLES, Kind, new_stores

ROOT: Final = Path(__file__).parents[1]
SIDE: Final = ROOT / "benchmarks" / "load" / "pair.py"
_DRAWS: Final = 2_000
LEAST: Final = 0.97
CLOCKS: Final = ("wall", "cpu")


class Ratio(NamedTuple):
    """A median ratio with its 95 % interval."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.3f} [{self.low:.3f}, {self.high:.3f}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when an interval reaches below 0.97."""
    parser = argparse.ArgumentParser(prog="compare", description=__doc__)
    parser.add_argument("base", help="the revision to compare with")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=10_000, help="of each run (default: %(default)s)")
    parser.add_argument("--only", choices=KINDS, help="measure one kind of store")
    given = parser.parse_args(arguments)
    is_reached = True
    with _tree_of(given.base) as base:
        for kind in (given.only,) if given.only else KINDS:
            pairs = list(_pairs(kind, base, given.pairs, given.jobs))
            for clock in CLOCKS:
                found = ratio([before[clock] / after[clock] for before, after in pairs])
                is_reached &= found.low > LEAST
                what = f"{given.base} by this tree, {clock} time, {len(pairs)} pairs"
                print(f"{TITLES[kind]}: {what}: {found}", flush=True)
    return 0 if is_reached else 1


def ratio(ratios: Sequence[float], seed: int = 1) -> Ratio:
    """Return the median of ratios and the interval in which 95 % of redrawn medians lie."""
    draw = random.Random(seed)  # noqa: S311 - guards nothing
    medians = sorted(median(draw.choices(ratios, k=len(ratios))) for _ in range(_DRAWS))
    return Ratio(median(ratios), medians[_DRAWS // 40], medians[-1 - _DRAWS // 40])


@contextmanager
def _tree_of(revision: str) -> Iterator[Path]:
    """Give a folder with the files of a revision."""
    with tempfile.TemporaryDirectory(prefix="lineshaft-base-") as folder:
        archive = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


def _pairs(kind: Kind, base: Path, count: int, jobs: int) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
    with ExitStack() as stack:
        new = stack.enter_context(new_stores(kind, is_empty=True))
        before = stack.enter_context(_side(base, new("before").address, jobs))
        after = stack.enter_context(_side(ROOT, new("after").address, jobs))
        for number in range(count + 1):
            sides = (before, after) if number % 2 else (after, before)
            took = {id(side): _run(side) for side in sides}
            if number:  # the first warms both
                yield took[id(before)], took[id(after)]


@contextmanager
def _side(tree: Path, store: str, jobs: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SIDE), str(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "LINESHAFT_STORE": store}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as side:
        try:
            _answer(side)
            yield side
        finally:
            if side.stdin is not None:
                side.stdin.close()


def _run(side: subprocess.Popen[str]) -> dict[str, float]:
    assert side.stdin is not None
    side.stdin.write("\n")
    side.stdin.flush()
    return _answer(side)


def _answer(side: subprocess.Popen[str]) -> dict[str, float]:
    assert side.stdout is not None
    line = side.stdout.readline()
    if not line:
        raise ChildProcessError(f"a side ended with exit code {side.wait()} before it had answered")
    answer: dict[str, float] = json.loads(line)
    return answer


if __name__ == "__main__":
    sys.exit(main())
