"""`make bench`: measure Lineshaft beside its peers and beside what the databases themselves can do.

Progress goes to standard error, tables to standard output, figures to `benchmarks/results/latest.json`, and tables and
charts of a whole run to `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import machine, page, quick, regression, results, tables
from benchmarks.harness.bench import StepError
from benchmarks.harness.campaign import Campaign, Scope
from benchmarks.harness.environments import CACHE, SetUpError
from benchmarks.harness.peers import UnknownPeerError, find_peers, subjects
from benchmarks.harness.processes import nothing_left_behind
from benchmarks.harness.servers import Servers


def main(arguments: list[str]) -> int:
    """Do what was asked; 0 when it was done, 1 for a regression or a failure, 2 for wrong use."""
    options = _parse(arguments)
    try:
        if options.report:
            return _report()
        with nothing_left_behind(), _scratch_folder() as root, Servers().running() as servers:
            if options.quick or options.record:
                return _quick(servers, root, is_recording=options.record)
            return _whole(servers, root, options)
    except UnknownPeerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except (StepError, SetUpError, FileNotFoundError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="compare Lineshaft's ratios with the recorded baseline")
    parser.add_argument("--record", action="store_true", help="record the baseline of --quick anew")
    parser.add_argument("--only", default="", metavar="NAME,…", help="these peers or variants; nothing is published")
    parser.add_argument("--repetitions", type=int, default=3, help="rounds over all subjects (default: 3)")
    parser.add_argument("--minutes", type=float, default=58, help="after these no more is begun (default: 58)")
    parser.add_argument("--report", action="store_true", help="write the page again from the last whole run's figures")
    return parser.parse_args(arguments)


def _whole(servers: Servers, root: Path, options: argparse.Namespace) -> int:
    only = [name for name in options.only.split(",") if name]
    chosen = subjects(find_peers(), only)
    scope = Scope(repetitions=options.repetitions, minutes=options.minutes)
    partial = CACHE / "partial.json"
    run = Campaign(chosen, scope, servers, root, lambda run: results.save(run, partial)).execute()
    run.is_whole = not only
    results.save(run, results.LATEST if run.is_whole else partial)
    if run.is_whole:
        page.write(run)
    print(tables.everything(run))
    return 0


def _quick(servers: Servers, root: Path, *, is_recording: bool) -> int:
    if is_recording:
        regression.save_baseline(regression.ratios(quick.measure(servers, root, None)), machine.processor())
        print(f"recorded {regression.BASELINE}")
        return 0
    baseline = regression.load_baseline()
    compared = regression.compare(quick.measure(servers, root, baseline), baseline, machine.processor())
    print(regression.report(compared))
    return int(any(one.is_lost for one in compared))


def _report() -> int:
    run = results.load()
    page.write(run)
    print(tables.everything(run))
    return 0


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Lend a folder for everything that a run writes and nobody keeps."""
    root = Path(tempfile.mkdtemp(prefix="lineshaft-bench-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
