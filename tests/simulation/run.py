"""Runs seeds of the simulation: `python -m tests.simulation.run --seeds 0:2000`, or one with its trace: `--seed 7`."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from lineshaft.engines.sqlite import SqliteEngine
from tests.simulation import mutants
from tests.simulation.story import run_seed
from tests.simulation.world import Violation, World, make_store


def main() -> int:
    """Run the seeds; exit code 1 names the first one that broke a promise."""
    given = _arguments()
    logging.getLogger("lineshaft").setLevel(logging.DEBUG if given.seed is not None else logging.CRITICAL + 1)
    seeds = [given.seed] if given.seed is not None else range(*map(int, given.seeds.split(":")))
    with ExitStack() as stack:
        store = make_store(SqliteEngine(_path(given.store, stack)))
        if given.mutant:
            stack.enter_context(mutants.MUTANTS[given.mutant]())
        return _run(seeds, store, given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:2000", help="FROM:TO")
    parser.add_argument("--seed", type=int, help="run this one and print its trace")
    parser.add_argument("--store", choices=["memory", "file"], default="memory")
    parser.add_argument("--mutant", choices=sorted(mutants.MUTANTS), help="break this rule first")
    parser.add_argument("--digest", action="store_true", help="print each seed with the digest of its trace")
    return parser.parse_args()


def _path(kind: str, stack: ExitStack) -> Path | None:
    if kind == "memory":
        return None
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lineshaft-simulation-")), "jobs.db")


def _run(seeds: range | list[int], store: SqliteEngine, given: argparse.Namespace) -> int:
    gc.set_threshold(200_000, 50, 50)  # a seed makes many small objects and keeps none
    began = time.process_time()
    for seed in seeds:
        try:
            digest = run_seed(seed, store, _print if given.seed is not None else lambda _: None)
        except Violation as violation:
            again = f"python -m tests.simulation.run --seed {seed} --store {given.store}"
            mutant = f" --mutant {given.mutant}" if given.mutant else ""
            _say(f"seed {seed}: {violation}\nto see it again: {again}{mutant}")
            return 1
        if given.digest:
            _say(seed, digest)
    _say(f"{len(seeds)} seeds on {given.store}, {time.process_time() - began:.1f} s of processor time: all held")
    return 0


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def _print(world: World) -> None:
    for line in world.lines():
        _say(line)


if __name__ == "__main__":
    sys.exit(main())
