"""Measures flow control: what limits cost, how exact rates are, how soon the job of a lone tenant starts.

Limited jobs and the same without a limit run in turns through one worker whose task does nothing; the figure is the
median of their ratios. The rates are counted over a minute, beside jobs that run flat out. The table goes into
docs/flow-control.md with --record.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.flow.keys import measure_keys
from benchmarks.flow.queues import measure_queue, measure_weights
from benchmarks.flow.rates import measure_minute, measure_others
from benchmarks.flow.site import Line, new_site
from benchmarks.flow.turns import measure_turns
from benchmarks.load.page import made_on, table, write_section
from benchmarks.load.stores import KINDS, TITLES, Kind

PAGE: Final = Path(__file__).parents[2] / "docs" / "flow-control.md"


class Options(NamedTuple):
    """What to measure."""

    kinds: tuple[Kind, ...]
    jobs: int
    rounds: int
    crowd: int
    seconds: float
    waiting: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a figure misses its target."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options, records = _options(arguments)
    lines = [line for kind in options.kinds for line in _measure(kind, options)]
    rows = [(one.store, one.figure, one.value, one.target, "yes" if one.is_reached else "**no**") for one in lines]
    measured = table(("store", "figure", "measured", "target", "reached"), rows)
    text = f"{measured}\n\nMade by `make flow` on {made_on()}."
    print(text)
    if records:
        write_section("flow", text, PAGE)
    return 0 if all(one.is_reached for one in lines) else 1


def _options(arguments: Sequence[str] | None) -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(prog="flow", description=__doc__)
    parser.add_argument("--only", choices=KINDS, help="measure one kind of store")
    parser.add_argument("--jobs", type=int, default=10_000, help="of each run that is compared")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of runs")
    parser.add_argument("--crowd", type=int, default=100_000, help="jobs that wait behind a rate")
    parser.add_argument("--seconds", type=float, default=60.0, help="over which rates are counted")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="jobs of the large tenant")
    parser.add_argument("--record", action="store_true", help="write the table into docs/flow-control.md")
    given = parser.parse_args(arguments)
    kinds = (given.only,) if given.only else KINDS
    return Options(kinds, given.jobs, given.rounds, given.crowd, given.seconds, given.waiting), given.record


def _measure(kind: Kind, options: Options) -> Iterator[Line]:
    _tell(f"{TITLES[kind]}: keys")
    with new_site(kind) as site:
        yield measure_keys(site, options.jobs, options.rounds)
    _tell(f"{TITLES[kind]}: beside {options.crowd:,} behind a rate")
    with new_site(kind) as free, new_site(kind) as crowded:
        yield measure_others(free, crowded, options.crowd, options.jobs, options.rounds)
    _tell(f"{TITLES[kind]}: rates over {options.seconds:.0f} s")
    with new_site(kind) as site:
        yield from measure_minute(site, options.crowd, options.seconds)
    _tell(f"{TITLES[kind]}: turns before {options.waiting:,}")
    with new_site(kind) as site:
        yield from measure_turns(site, options.waiting)
    _tell(f"{TITLES[kind]}: whole queues")
    with new_site(kind) as site:
        yield from measure_queue(site, options.jobs, options.rounds)
    with new_site(kind) as site:
        yield measure_weights(site)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
