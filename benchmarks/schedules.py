"""Measures whether schedules are punctual, and what they cost when nothing is due.

Each store holds 10,000 schedules and 1,000,000 delayed jobs, and one worker runs beside them. First nothing is due, and
the processor time of the workers is taken; then, on one store after the other, 100 fall due each second, half of them
ticks and half of them delayed jobs; at last 10,000 ticks fall due in the same instant. The table goes into
docs/schedules.md with --record.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from benchmarks.load.filling import Filler
from benchmarks.load.page import made_on, table, write_section
from benchmarks.load.stores import KINDS, TITLES, Kind, LoadedStore, new_stores
from benchmarks.load.worker import LoadedWorker, loaded_worker
from lineshaft.clock import DAY, HOUR, SECOND
from lineshaft.engines.base import CopyTx, Tx
from lineshaft.features.schedules.declared import new_row
from lineshaft.features.schedules.definition import Definition, stored_text
from lineshaft.features.schedules.records import ScheduleRow, insert_schedule, next_due
from lineshaft.options import JobTemplate
from lineshaft.recurrence import Cron, Every, Once, Recurrence
from lineshaft.store.copy import SCHEDULES, load_rows, remove_schedules

PAGE: Final = Path(__file__).parents[1] / "docs" / "schedules.md"
APP: Final = "benchmarks.load.ticks:app"
ROUND_SECONDS: Final = 20
"""How often a schedule that is measured ticks."""
A_SECOND: Final = 50
"""Ticks that fall due in a second, and as many delayed jobs."""
AHEAD: Final = 3 * SECOND
MOST_IDLE: Final = 0.01
MOST_LATE_MS: Final = 100.0
MOST_HERD_SECONDS: Final = 1.0
_LIMIT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.005


class Options(NamedTuple):
    """What to measure."""

    kinds: tuple[Kind, ...]
    schedules: int
    delayed: int
    idle_seconds: float
    seconds: float


class Line(NamedTuple):
    """One figure of one store."""

    store: str
    figure: str
    value: str
    target: str
    is_reached: bool


class Site(NamedTuple):
    """One store with its worker."""

    kind: Kind
    store: LoadedStore
    filler: Filler
    worker: LoadedWorker


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a figure misses its target."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options, records = _options(arguments)
    lines = list(_measure(options))
    rows = [(one.store, one.figure, one.value, one.target, "yes" if one.is_reached else "**no**") for one in lines]
    measured = table(("store", "figure", "measured", "target", "reached"), rows)
    text = f"{measured}\n\nMade by `make schedules` on {made_on()}."
    print(text)
    if records:
        write_section("schedules", text, PAGE)
    return 0 if all(one.is_reached for one in lines) else 1


def _options(arguments: Sequence[str] | None) -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(prog="schedules", description=__doc__)
    parser.add_argument("--only", choices=KINDS, help="measure one kind of store")
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--delayed", type=int, default=1_000_000)
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="for all stores at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="of ticks and delayed jobs, for each store")
    parser.add_argument("--record", action="store_true", help="write the table into docs/schedules.md")
    given = parser.parse_args(arguments)
    kinds = (given.only,) if given.only else KINDS
    return Options(kinds, given.schedules, given.delayed, given.idle_seconds, given.seconds), given.record


def _measure(options: Options) -> Iterator[Line]:
    with ExitStack() as stack:
        sites = [stack.enter_context(_site(kind, options)) for kind in options.kinds]
        yield from _measure_idle(sites, options)
        for site in sites:
            yield from _measure_punctuality(site, options)
            yield _measure_herd(site, options)


# --- stores -----------------------------------------------------------------------------------------------------------


@contextmanager
def _site(kind: Kind, options: Options) -> Iterator[Site]:
    with new_stores(kind) as new:
        store = new("schedules")
        filler = Filler(store.engine, name="schedules.delayed", tell=_tell)
        now = store.engine.clock.now()
        filler.add_delayed(options.delayed, start=now + HOUR, spacing=max(1, 30 * DAY // max(1, options.delayed)))
        _load(store, _quiet_rows(options.schedules, now))
        filler.settle()
        with loaded_worker(store.address, app=APP) as worker:
            _await(lambda: not _is_due(store), "the worker has looked at every schedule")
            yield Site(kind, store, filler, worker)


def _load(store: LoadedStore, rows: Sequence[ScheduleRow]) -> None:
    """Put these schedules in place of those that are there, and wake the leader."""

    def write(tx: Tx) -> None:
        remove_schedules(tx)
        load_rows(_copying(tx), SCHEDULES, rows[1:])
        insert_schedule(tx, rows[0])

    store.engine.write(write)


def _copying(tx: Tx) -> CopyTx:
    return tx  # type: ignore[return-value]  # every engine's own transactions take in tables


def _quiet_rows(count: int, now: int) -> list[ScheduleRow]:
    """Return schedules that tick at some minute of New Year's Day, in a time zone with clock changes."""
    return [
        _row(f"quiet-{number}", Recurrence(Cron(f"{number % 60} {number // 60 % 24} 1 1 *"), "Europe/Berlin"), now)
        for number in range(count)
    ]


def _row(name: str, recurrence: Recurrence, now: int, task: str = "schedules.quiet") -> ScheduleRow:
    definition = Definition(recurrence, job=JobTemplate(task, "[[],{}]", "default", 4))
    return new_row(name, "runtime", stored_text(definition), None, now)


def _is_due(store: LoadedStore) -> bool:
    due = store.engine.read(next_due)
    return due is not None and due <= store.engine.clock.now()


def _await(is_true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _LIMIT_SECONDS
    while not is_true():
        if time.monotonic() > until:
            raise RuntimeError(f"not within {_LIMIT_SECONDS:.0f} s: {what}")
        time.sleep(_LOOK_SECONDS)


# --- figures ----------------------------------------------------------------------------------------------------------


def _measure_idle(sites: Sequence[Site], options: Options) -> Iterator[Line]:
    """Take the processor time of all workers over the same time: they do not disturb each other."""
    _tell(f"idle for {options.idle_seconds:.0f} s")
    processes = [psutil.Process(site.worker.pid) for site in sites]
    begun, before = time.monotonic(), [_cpu(one) for one in processes]
    time.sleep(options.idle_seconds)
    seconds = time.monotonic() - begun
    for site, process, earlier in zip(sites, processes, before, strict=True):
        used = (_cpu(process) - earlier) / seconds
        figure = f"idle with {options.schedules:,} schedules, share of a core"
        yield Line(TITLES[site.kind], figure, f"{used:.2%}", f"< {MOST_IDLE:.0%}", used < MOST_IDLE)


def _cpu(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def _measure_punctuality(site: Site, options: Options) -> Iterator[Line]:
    """Have a part of the schedules tick in turn, beside delayed jobs in the same rhythm; the others stay quiet."""
    count = A_SECOND * ROUND_SECONDS
    now = site.store.engine.clock.now()
    begin = now + AHEAD
    spacing = SECOND // A_SECOND
    ticking = [
        _row(f"ticking-{number}", _in_turn(begin + number * spacing, begin, options), now, "schedules.tick")
        for number in range(count)
    ]
    _tell(f"{TITLES[site.kind]}: {2 * A_SECOND} a second for {options.seconds:.0f} s")
    _load(site.store, [*ticking, *_quiet_rows(options.schedules - count, now)])
    site.filler.add_delayed(round(A_SECOND * options.seconds), start=begin + spacing // 2, spacing=spacing)
    expected = round(A_SECOND * options.seconds)
    time.sleep(AHEAD / SECOND + options.seconds)
    _await(lambda: len(site.worker.lines()) >= 2 * expected, "every job has started")
    late: dict[str, list[float]] = {"tick": [], "delayed": []}
    for line in site.worker.lines():
        kind, _, micros = line.split()
        late[kind].append(int(micros) / 1_000)
    for kind, title in (("tick", "start of a tick's job"), ("delayed", "start of a delayed job")):
        yield _late_line(site, title, sorted(late[kind]))


def _in_turn(first: int, begin: int, options: Options) -> Recurrence:
    end = begin + round(options.seconds * SECOND) - 1
    return Recurrence(Every(ROUND_SECONDS * SECOND), start=first, end=end)


def _late_line(site: Site, title: str, late: Sequence[float]) -> Line:
    p50, p99 = (late[-(-len(late) * percent // 100) - 1] for percent in (50, 99))
    value = f"{p50:.1f} / {p99:.1f} / {late[-1]:.1f} ms of {len(late):,}"
    return Line(TITLES[site.kind], f"{title} behind its time, p50 / p99 / most", value, f"p99 < {MOST_LATE_MS:.0f} ms",
                p99 < MOST_LATE_MS)  # fmt: skip


def _measure_herd(site: Site, options: Options) -> Line:
    """Have all schedules tick at one instant, and take the time until the last one is moved on."""
    _tell(f"{TITLES[site.kind]}: {options.schedules:,} at once")
    now = site.store.engine.clock.now()
    at = (now // SECOND + 6) * SECOND
    once = Recurrence(Once((at,)))
    rows = [_row(f"herd-{number}", once, now)._replace(due_at=at) for number in range(options.schedules)]
    _load(site.store, rows)
    time.sleep(max(0.0, (at - site.store.engine.clock.now()) / SECOND))
    _await(lambda: not _has_due(site.store, at), "every schedule has ticked")
    took = (site.store.engine.clock.now() - at) / SECOND
    figure = f"{options.schedules:,} due in one instant, all enqueued after"
    return Line(TITLES[site.kind], figure, f"{took:.2f} s", f"< {MOST_HERD_SECONDS:.0f} s", took < MOST_HERD_SECONDS)


def _has_due(store: LoadedStore, at: int) -> bool:
    due = store.engine.read(next_due)
    return due is not None and due <= at


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
