"""The bench's workers: started on its queue, ready before the first job is let go, and measured while they drain it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from lineshaft import Job, Lineshaft
from lineshaft.bench.figures import Drain, rate
from lineshaft.bench.limits import SQL
from lineshaft.bench.meter import Meter
from lineshaft.bench.subject import Subject, Workload
from lineshaft.bench.tasks import MEASURED
from lineshaft.bench.watcher import Watcher
from lineshaft.clock import SECOND
from lineshaft.engines.base import Engine
from lineshaft.errors import LineshaftError
from lineshaft.transitions import UNFINISHED, State
from lineshaft.worker_process import WorkerProcess, running_worker

_HOST: Final = "lineshaft.bench.host:app"
_LOOK_SECONDS: Final = 0.05
_LONGEST_LOOK_SECONDS: Final = 0.5
"""Counting what is left takes a core from the workers for a moment, so it is not done more often than needed."""
_LOOKS_APART: Final = 10
_PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What all parts of one run share; the queue tells its jobs from all others of the store."""

    app: Lineshaft
    engine: Engine
    queue: str
    slots: int
    """Jobs at once in each worker process."""
    watcher: Watcher


class Workers:
    """Running worker processes that serve the bench's queue and nothing else; their app can reach it too."""

    def __init__(self, bench: Bench, process: WorkerProcess, processes: int) -> None:
        self._bench, self._process, self._processes = bench, process, processes
        self._app, self._queue = bench.app, bench.queue

    def await_ready(self) -> None:
        """Wait until each process serves the queue."""
        started = perf_counter()
        while sum(self._queue in one.queues for one in self._app.workers.list()) < self._processes:
            self._process.watch(_LOOK_SECONDS)
            if perf_counter() - started > _PATIENCE_SECONDS:
                msg = f"the worker was not ready within {_PATIENCE_SECONDS:g} s; try 'lineshaft worker' by itself"
                raise LineshaftError(msg)

    def fall_idle(self, seconds: float) -> None:
        """Give the workers time to have nothing to do."""
        self._process.watch(seconds)

    def meter(self) -> Meter:
        """Begin to count what the workers use."""
        return Meter(self._process.pid)

    def drain(self, subject: Subject, ids: Sequence[str], run_ms: float) -> Drain:
        """Let the queue's waiting jobs go and measure until all have run: from the first claim to the last finish."""
        meter = self.meter()
        self._app.queues.resume(self._queue)
        self.await_end(ids)
        machine = meter.machine()
        seconds = self._span(ids)
        return Drain(
            what=subject.what,
            lane=subject.lane,
            processes=self._processes,
            slots=self._bench.slots,
            rate=rate(len(ids), seconds),
            run_ms=run_ms,
            cores=meter.cores(seconds),
            machine=machine,
        )

    def await_end(self, ids: Sequence[str]) -> None:
        """Wait until all jobs of the queue have run; raises `LineshaftError` when one fails or none moves any more."""
        left, moved_at, look = len(ids), perf_counter(), _LOOK_SECONDS
        while left:
            self._process.watch(look)
            before, asked_at = left, perf_counter()
            left = self._app.jobs.count(queue=self._queue, state=sorted(UNFINISHED))
            now = perf_counter()
            self._bench.watcher.reached(len(ids) - left)
            self._refuse(self._app.jobs.list(queue=self._queue, state=State.RETRYING, limit=1))
            if left < before:
                per_second = (before - left) / (now - moved_at)
                look, moved_at = next_look(left / per_second, now - asked_at), now
            elif now - moved_at > _PATIENCE_SECONDS:
                msg = f"{left:,} jobs of queue {self._queue} have not moved for half a minute; does the task hang?"
                raise LineshaftError(msg)

    def _span(self, ids: Sequence[str]) -> float:
        [(count, first, last)] = self._bench.engine.read(lambda tx: tx.run(SQL.completed_span, {"ids": list(ids)}))
        if count < len(ids):
            jobs = map(self._app.jobs.get, ids)
            self._refuse([next(job for job in jobs if job.state is not State.COMPLETED)])
        return float(last - first) / SECOND

    def _refuse(self, failed: Sequence[Job[Any]]) -> None:
        for job in failed:
            error = job.errors[-1] if job.errors else {"type": job.state, "message": "without an error"}
            msg = f"a job of {job.name} failed: {error['type']}: {error['message']}; give --args that it can run with"
            raise LineshaftError(msg)


def next_look(rest_seconds: float, look_seconds: float) -> float:
    """Return when to look again: after half of what the rest will take, and not so often that looking costs much."""
    wait = min(_LONGEST_LOOK_SECONDS, max(_LOOK_SECONDS, rest_seconds / 2))
    return max(wait, look_seconds * _LOOKS_APART)


@contextmanager
def workers_running(bench: Bench, workload: Workload, processes: int) -> Iterator[Workers]:
    """Run that many worker processes for as long as the block; they are ready when it begins."""
    bench.watcher.step("starting the worker" if processes == 1 else f"starting {processes} worker processes", 0)
    options = ("--queues", f"{bench.queue}:{bench.slots}", "--processes", str(processes), "--grace", "2s")
    store = workload.app.settings.store
    # The app may stand in a folder that only this process has put on its path.
    environment = {MEASURED: workload.path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory(prefix="lineshaft-bench-") as folder:
        log = Path(folder, "worker.log")
        with running_worker(_HOST, store, *options, log=log, environment=environment) as process:
            workers = Workers(bench, process, processes)
            workers.await_ready()
            yield workers
