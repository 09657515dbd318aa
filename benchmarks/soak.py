"""Enqueues and drains at full rate for minutes and tells whether tables, indexes, logs and memory stay as they are.

One process enqueues, 500 jobs at a time, as long as fewer than 20,000 wait; one worker runs them. Every ten seconds the
sizes are taken. Finished jobs are kept, so what counts for the history is its size for each job. The verdict compares
the last third of the run with the middle one. The tables go into docs/growth.md.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.load.page import made_on, table, write_section
from benchmarks.load.stores import KINDS, TITLES, Kind, LoadedStore, new_stores
from benchmarks.load.tasks import app, pass_on
from benchmarks.load.worker import LoadedWorker, loaded_worker
from lineshaft.store.queries import Statements

SQL: Final = Statements("sizes", "benchmarks.load")
AT_ONCE: Final = 500
MOST_WAITING: Final = 20_000
SAMPLE_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 0.005
MEGABYTE: Final = 1_000_000


class Sample(NamedTuple):
    """What was seen at one moment; sizes in megabytes."""

    seconds: float
    rate: float
    live: float
    indexes: float
    log: float
    bytes_a_job: float
    worker: float


TITLES_OF: Final = {
    "seconds": "seconds", "rate": "jobs/s", "live": "live table, MB", "indexes": "its indexes, MB", "log": "-wal, MB",
    "bytes_a_job": "stored for each job, bytes", "worker": "worker's memory, MB",
}  # fmt: skip
MOST_GROWTH: Final = {"live": 1.2, "indexes": 1.2, "log": 1.5, "bytes_a_job": 1.1, "worker": 1.1}
"""How much larger the largest of the last third may be than the largest of the middle one."""
LEAST_RATE: Final = 0.85


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print, write the page; 1 when something was not stable."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--only", choices=KINDS, help="soak one kind of store")
    parser.add_argument("--minutes", type=float, default=20.0, help="how long, for each kind of store")
    given = parser.parse_args(arguments)
    found = [_soak(kind, given.minutes * 60) for kind in ((given.only,) if given.only else KINDS)]
    return 1 if any(found) else 0


def _soak(kind: Kind, seconds: float) -> list[str]:
    """Return what was not stable."""
    with new_stores(kind) as new:
        store = new("soak")
        app.use_store(store.address)
        try:
            with loaded_worker(store.address) as worker:
                samples = _run(store, worker, seconds)
        finally:
            app.close()
    faults = _faults(samples)
    verdict = "Stable." if not faults else f"**Not stable**: {'; '.join(faults)}."
    text = f"{_table(samples)}\n\n{verdict} Made by `make soak MINUTES={seconds / 60:g}` on {made_on()}."
    print(f"{TITLES[kind]}\n{text}")
    write_section(f"soak-{kind}", text)
    return faults


def _run(store: LoadedStore, worker: LoadedWorker, seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    enqueued, before, began = 0, 0, time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        if worker.wait(0):
            raise RuntimeError("the worker stopped")
        done = worker.calls()
        if passed >= SAMPLE_SECONDS * (len(samples) + 1):
            since = samples[-1].seconds if samples else 0.0
            samples.append(_sample(store, worker, passed, done, (done - before) / (passed - since)))
            before = done
            print(f"soak: {samples[-1]}", file=sys.stderr, flush=True)
        if enqueued - done < MOST_WAITING:
            pass_on.enqueue_many(range(enqueued, enqueued + AT_ONCE))
            enqueued += AT_ONCE
        else:
            time.sleep(IDLE_SECONDS)
    return samples


def _sample(store: LoadedStore, worker: LoadedWorker, passed: float, done: int, rate: float) -> Sample:
    [(live, indexes, kept)] = store.engine.read(lambda tx: tx.run(SQL.sizes, {}))
    log = Path(store.address.removeprefix("sqlite:///") + "-wal")
    log_size = log.stat().st_size if log.exists() else 0
    return Sample(
        round(passed), rate, live / MEGABYTE, indexes / MEGABYTE, log_size / MEGABYTE, float(kept) / max(1, done),
        worker.resident_bytes() / MEGABYTE,
    )  # fmt: skip


def _faults(samples: Sequence[Sample]) -> list[str]:
    third = len(samples) // 3
    if not third:
        return ["the run was too short to tell"]
    middle, last = samples[third : 2 * third], samples[-third:]
    faults = []
    for name, most in MOST_GROWTH.items():
        before, after = (max(getattr(one, name) for one in part) for part in (middle, last))
        if after > before * most:
            faults.append(f"{TITLES_OF[name]}: {before:,.1f} grew to {after:,.1f}")
    before, after = (median(one.rate for one in part) for part in (middle, last))
    if after < before * LEAST_RATE:
        faults.append(f"{TITLES_OF['rate']}: {before:,.0f} fell to {after:,.0f}")
    return faults


def _table(samples: Sequence[Sample]) -> str:
    """Return the samples, at most twelve of them, without the columns in which nothing stands."""
    shown = samples[:: max(1, len(samples) // 12)]
    names = [name for name in TITLES_OF if any(getattr(one, name) for one in samples)]
    rows = [[f"{getattr(one, name):,.0f}" for name in names] for one in shown]
    return table([TITLES_OF[name] for name in names], rows)


if __name__ == "__main__":
    sys.exit(main())
