"""Measures how soon another tenant's first job starts while 1,000,000 of one tenant wait, and what turns cost.

The jobs are enqueued as by an application. One worker takes them from the beginning; jobs of new tenants come one at a
time, and each must start with the next slot that frees. Processor time is that of this process and, on PostgreSQL, of
the server's backends.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from lineshaft import Lineshaft
from lineshaft.task import Task
from tools.temporary_postgres import TemporaryPostgres

WAITING: Final = 1_000_000
MOST_MS: Final = 50.0
"""How long after the next slot was free a lone job may start."""
_BATCH: Final = 10_000
_LONE: Final = 40
_SLOTS: Final = 4
_ENQUEUED: Final = 400
_LIMIT_SECONDS: Final = 30.0

Work = Task[[float], None, None]


class Start(NamedTuple):
    """How a lone job started: how long after its enqueue, how long after the next slot was free, behind how many."""

    seconds: float
    late: float
    between: int


class Figures(NamedTuple):
    """What was measured on one store."""

    store: str
    waiting: int
    job_ms: float
    wait_ms: float
    """From a lone job's enqueue to its start, at the median: it waits for a slot too."""
    late_ms: float
    """From the next start of any job to that of the lone one, at the median."""
    worst_ms: float
    between: float
    """How many jobs of the large tenant started between a lone job's enqueue and its start, on average."""
    plain_us: float
    """Processor time of one enqueue into a queue that is not fair."""
    fair_us: float
    """Of one into a fair queue, of a tenant that has jobs waiting."""

    @property
    def is_reached(self) -> bool:
        """Whether a lone job starts soon enough."""
        return self.worst_ms <= MOST_MS


class Watched:
    """An app whose jobs note when they start."""

    def __init__(self, address: str) -> None:
        self.app = Lineshaft(address)
        self.started: deque[tuple[float, str]] = deque()
        self._came = threading.Condition()

        @self.app.task(name="fair.work")
        def work(seconds: float, tenant: str = "big") -> None:
            with self._came:
                self.started.append((time.monotonic(), tenant))
                self._came.notify_all()
            time.sleep(seconds)

        self.work = work

    def fill(self, count: int, seconds: float) -> None:
        """Have so many jobs of one tenant wait in a fair queue."""
        self.app.queues.update("default", fair="tenant")
        big = self.work.options(tenant="big")
        for _ in range(0, count, _BATCH):
            big.enqueue_many([(seconds,)] * min(_BATCH, count))

    def lone(self, number: int, seconds: float) -> Start:
        """Enqueue a job of a tenant that has none, and wait until it starts."""
        tenant = f"lone-{number}"
        self.work.options(tenant=tenant).enqueue(seconds, tenant=tenant)
        enqueued = time.monotonic()
        with self._came:
            if not self._came.wait_for(lambda: any(one == tenant for _, one in self.started), _LIMIT_SECONDS):
                msg = f"the job of {tenant} did not start in {_LIMIT_SECONDS:.0f} s"
                raise TimeoutError(msg)
            at = next(at for at, one in self.started if one == tenant)
            between = [start for start, one in self.started if one == "big" and enqueued < start < at]
            self.started.clear()
        return Start(max(0.0, at - enqueued), at - min([at, *between]), len(between))


def measure(store: str, address: str, waiting: int, job_ms: float, backends: Callable[[], float]) -> Figures:
    """Measure one store that is empty; `backends` tells the processor time of its server so far."""
    watched = Watched(address)
    with closing(watched.app):
        plain = _cpu_of(lambda: watched.work.options(queue="plain").enqueue(0.0), backends)
        watched.fill(waiting, job_ms / 1_000)
        tenant = watched.work.options(tenant="big")
        fair = _cpu_of(lambda: tenant.enqueue(job_ms / 1_000), backends)
        with watched.app.worker({"default": _SLOTS}):
            watched.lone(-1, 0.0)  # the worker has started, and its claims are what they will be
            starts = [watched.lone(number, 0.0) for number in range(_LONE)]
    late = [one.late * 1_000 for one in starts]
    wait = statistics.median(one.seconds for one in starts) * 1_000
    between = statistics.mean(one.between for one in starts)
    cost = plain * 1e6, fair * 1e6
    return Figures(store, waiting, job_ms, wait, statistics.median(late), max(late), between, *cost)


def _cpu_of(enqueue: Callable[[], object], backends: Callable[[], float]) -> float:
    for _ in range(_ENQUEUED // 4):
        enqueue()
    before = time.process_time() + backends()
    for _ in range(_ENQUEUED):
        enqueue()
    return (time.process_time() + backends() - before) / _ENQUEUED


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a lone job waits too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=WAITING, help="jobs of one tenant that wait")
    parser.add_argument("--job-ms", type=float, default=100.0, help="how long each of them takes")
    parser.add_argument("--store", choices=("sqlite", "postgres"), action="append", help="only this one")
    chosen = parser.parse_args(arguments)
    found = [
        measure(kind, address, chosen.waiting, chosen.job_ms, backends)
        for kind in chosen.store or ("sqlite", "postgres")
        for address, backends in _stores(kind)
    ]
    for one in found:
        print(
            f"{one.store}: {one.waiting:,} waiting, each takes {one.job_ms:g} ms on {_SLOTS} slots; a lone job starts "
            f"after {one.wait_ms:.1f} ms, {one.late_ms:.1f} ms after the next slot was free "
            f"(worst {one.worst_ms:.1f}), {one.between:.2f} others between; "
            f"an enqueue costs {one.fair_us:.0f} µs, plain {one.plain_us:.0f} µs"
        )
    return 0 if all(one.is_reached for one in found) else 1


def _stores(kind: str) -> Iterator[tuple[str, Callable[[], float]]]:
    with _store(kind) as found:
        yield found


@contextmanager
def _store(kind: str) -> Iterator[tuple[str, Callable[[], float]]]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'fair.db'}", lambda: 0.0
        return
    with TemporaryPostgres(max_wal_size="4GB", shared_buffers="512MB") as server:
        yield server.url, _server_cpu


def _server_cpu() -> float:
    """Return the processor time of every server that this process has started."""
    total = 0.0
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


if __name__ == "__main__":
    sys.exit(main())
