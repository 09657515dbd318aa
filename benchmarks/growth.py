"""Measures whether a job costs the same in a store that has grown, and beside a transaction that somebody holds open.

Two stores of a kind are filled by SQL: a small one (10,000 jobs waiting, none finished) and a large one (1,000,000 and
10,000,000). A worker drains 10,000 jobs of each in turn; then claims of ten are timed. What counts are the ratios.
The tables go into docs/growth.md.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from statistics import median
from typing import Final, NamedTuple

from benchmarks.load.filling import QUEUE, Filler
from benchmarks.load.page import made_on, table, write_section
from benchmarks.load.stores import KINDS, TITLES, Kind, LoadedStore, new_stores
from benchmarks.load.worker import loaded_worker, rate_between, rates_over_time
from lineshaft.clock import HOUR
from lineshaft.store.claim import claim_jobs
from lineshaft.store.finish import write_transitions
from lineshaft.store.inspect import count_by_queue
from lineshaft.transitions import Complete

WARM_UP: Final = 2_000
"""Calls that are not counted: until then the worker prefetches less than it will."""
DRAINED: Final = 10_000
CLAIMS: Final = 200
CLAIMED_AT_ONCE: Final = 10
DRAIN_SECONDS: Final = 120.0
LEAST_RATIO: Final = 0.85
LEAST_RATIO_HELD: Final = 0.5
HOLD_RATES: Final[dict[Kind, int]] = {"sqlite": 60_000, "postgres": 45_000}
"""Jobs to have ready for each second of a drain beside a held transaction: more than can be run."""
NOBODY: Final = 0
"""The worker in whose name the harness claims: no worker has this id."""


class Options(NamedTuple):
    """What to measure."""

    kinds: tuple[Kind, ...]
    waiting: int
    finished: int
    rounds: int
    hold_seconds: int


class Sample(NamedTuple):
    """One round on one store: jobs a second, and how long claims took in milliseconds, in order."""

    rate: float
    claims_ms: list[float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the page; 1 when a ratio is below its target."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options(arguments)
    reached = True
    for kind in options.kinds:
        if options.rounds:
            reached &= _report(f"growth-{kind}", GROWTH_HEAD, list(_measure_growth(kind, options)))
        if options.hold_seconds:
            reached &= _report(f"held-{kind}", HELD_HEAD, list(_measure_held(kind, options)))
    return 0 if reached else 1


GROWTH_HEAD: Final = ("", "small", "large", "large to small", "single rounds", "target", "reached")
HELD_HEAD: Final = ("seconds", "none held, jobs/s", "one held, jobs/s", "held to none", "target", "reached")


def _report(section: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> bool:
    text = f"{table(head, lines)}\n\nMade by `make growth` on {made_on()}."
    print(text)
    write_section(section, text)
    return all("**no**" not in line for line in lines)


def _measure_growth(kind: Kind, options: Options) -> Iterator[tuple[str, ...]]:
    with new_stores(kind) as new:
        small, large = new("small"), new("large")
        fillers = {store.address: Filler(store.engine, tell=_tell) for store in (small, large)}
        fillers[large.address].add_finished(options.finished)
        for store, waiting in ((small, DRAINED), (large, options.waiting)):
            fillers[store.address].add_waiting(waiting)
            fillers[store.address].settle()
        samples: dict[str, list[Sample]] = {small.address: [], large.address: []}
        for number in range(options.rounds):
            for store, waiting in ((small, DRAINED), (large, options.waiting)):
                _tell(f"{TITLES[kind]}, round {number + 1} of {options.rounds}: {store.address.rpartition('/')[2]}")
                samples[store.address].append(_sample(store, fillers[store.address], waiting))
    yield from _growth_lines(samples[small.address], samples[large.address])


def _sample(store: LoadedStore, filler: Filler, waiting: int) -> Sample:
    filler.add_waiting(max(0, waiting - _count_waiting(store)))
    with loaded_worker(store.address, goal=DRAINED) as worker:
        if not worker.wait(DRAIN_SECONDS):
            raise RuntimeError(f"the worker did not run {DRAINED:,} jobs within {DRAIN_SECONDS:.0f} s")
        rate = rate_between(worker.notes(), WARM_UP, DRAINED)
    filler.add_waiting(max(0, waiting - _count_waiting(store)))
    return Sample(rate, sorted(_time_claim(store) for _ in range(CLAIMS)))


def _count_waiting(store: LoadedStore) -> int:
    return sum(count for *_, count in store.engine.read(count_by_queue))


def _time_claim(store: LoadedStore) -> float:
    """Claim ten jobs and commit; return the milliseconds. They are finished afterwards, off the clock."""
    now = store.engine.clock.now()
    before = time.perf_counter()
    taken = store.engine.write(lambda tx: claim_jobs(tx, queue=QUEUE, limit=CLAIMED_AT_ONCE, worker=NOBODY, now=now))
    took = (time.perf_counter() - before) * 1_000
    done = [Complete(one.held, "1") for one in taken]
    store.engine.write(lambda tx: write_transitions(tx, done, worker=NOBODY, now=now, keep=lambda _: now + 48 * HOUR))
    return took


def _growth_lines(small: Sequence[Sample], large: Sequence[Sample]) -> Iterator[tuple[str, ...]]:
    rates = [[one.rate for one in group] for group in (small, large)]
    yield _line("drain, jobs/s", rates, "{:,.0f}", LEAST_RATIO)
    for name, percent, most in (("p50", 50, 1 / LEAST_RATIO), ("p99", 99, None)):
        times = [[_percentile(one.claims_ms, percent) for one in group] for group in (small, large)]
        yield _line(f"claim of ten, {name}, ms", times, "{:.2f}", most)


def _line(figure: str, found: Sequence[list[float]], shape: str, target: float | None) -> tuple[str, ...]:
    """Return a figure's line; a target above 1 bounds a time, one below 1 a rate, and without one none is judged."""
    small, large = found
    ratios = sorted(after / before for before, after in zip(small, large, strict=True))
    ratio = median(large) / median(small)
    values = (shape.format(median(small)), shape.format(median(large)))
    shown = (figure, *values, f"{ratio:.0%}", f"{ratios[0]:.0%} to {ratios[-1]:.0%}")
    if target is None:
        return (*shown, "", "")
    is_reached = ratio <= target if target > 1 else ratio >= target
    return (*shown, f"{'≤' if target > 1 else '≥'} {target:.0%}", "yes" if is_reached else "**no**")


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[-(-len(ordered) * percent // 100) - 1]


def _measure_held(kind: Kind, options: Options) -> Iterator[tuple[str, ...]]:
    """Drain for a time without and with a transaction of somebody else that began before."""
    window = options.hold_seconds / 4
    found: list[list[float]] = []
    with new_stores(kind) as new:
        for name in ("free", "held"):
            store = new(name)
            filler = Filler(store.engine, tell=_tell)
            filler.add_waiting(HOLD_RATES[kind] * options.hold_seconds)
            filler.settle()
            _tell(f"{TITLES[kind]}, transaction {name}: {options.hold_seconds} s")
            with HOLDERS[kind](store, is_held=name == "held"), loaded_worker(store.address) as worker:
                worker.wait(options.hold_seconds + 2)
                found.append(rates_over_time(worker.notes(), window, options.hold_seconds))
    for number, (free, held) in enumerate(zip(*found, strict=True)):
        yield _held_line(f"{window * number:.0f} to {window * (number + 1):.0f}", free, held)


def _held_line(seconds: str, free: float, held: float) -> tuple[str, ...]:
    ratio = held / free
    is_reached = "yes" if ratio >= LEAST_RATIO_HELD else "**no**"
    return (seconds, f"{free:,.0f}", f"{held:,.0f}", f"{ratio:.0%}", f"≥ {LEAST_RATIO_HELD:.0%}", is_reached)


@contextmanager
def _held_on_sqlite(store: LoadedStore, *, is_held: bool) -> Iterator[None]:
    """Hold a read transaction: no checkpoint can start the log anew."""
    import sqlite3

    with sqlite3.connect(store.address.removeprefix("sqlite:///"), isolation_level=None) as connection:
        if is_held:
            connection.execute("begin")
            connection.execute("select count(*) from lineshaft_queue").fetchall()
        yield
    connection.close()


@contextmanager
def _held_on_postgres(store: LoadedStore, *, is_held: bool) -> Iterator[None]:
    """Hold a snapshot and a transaction id: no vacuum can remove what died since."""
    import psycopg

    with psycopg.connect(store.address.partition("?")[0], autocommit=True) as connection:
        if is_held:
            connection.execute("begin isolation level repeatable read")
            connection.execute("select txid_current()")
        yield
        connection.rollback()


HOLDERS: Final[dict[Kind, Callable[..., AbstractContextManager[None]]]] = {
    "sqlite": _held_on_sqlite,
    "postgres": _held_on_postgres,
}


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="growth", description=__doc__)
    parser.add_argument("--only", choices=KINDS, help="measure one kind of store")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="jobs waiting in the large store")
    parser.add_argument("--finished", type=int, default=10_000_000, help="jobs finished in the large store")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each store, in turn; 0 leaves them out")
    parser.add_argument("--hold-seconds", type=int, default=300, help="how long a transaction is held; 0 leaves it out")
    given = parser.parse_args(arguments)
    kinds = (given.only,) if given.only else KINDS
    return Options(kinds, given.waiting, given.finished, given.rounds, given.hold_seconds)


def _tell(line: str) -> None:
    print(f"growth: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
