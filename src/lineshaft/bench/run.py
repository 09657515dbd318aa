"""A bench from start to end: enqueue, drain, pick up, clean away."""

from __future__ import annotations

import secrets
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from lineshaft.bench.figures import Figures, Latency, Rate, latency, rate
from lineshaft.bench.tasks import app, in_loop, in_thread, tell_start
from lineshaft.bench.worker import Worker, running_worker
from lineshaft.clock import SECOND, wall_clock
from lineshaft.config import parse_store
from lineshaft.errors import ConfigError, LineshaftError
from lineshaft.transitions import UNFINISHED, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Job, Task

_CHUNK: Final = 1_000
_MOST_SINGLES: Final = 2_000
_PICK_UPS: Final = 200
_IDLE_SECONDS: Final = 0.02
"""Long enough for a worker to fall idle between two jobs."""
_TICK_SECONDS: Final = 0.1
_STALLED_TICKS: Final = 300


def run_bench(store: str, *, jobs: int, tell: Callable[[str], None]) -> Figures:
    """Measure a store with `jobs` jobs a drain, and remove them; `tell` is called with what is being done.

    The jobs run in a queue of their own in one worker process. Raises `ConfigError` for a store in memory, which no
    other process reaches, and `LineshaftError` when the worker ends or its jobs do not move.
    """
    if parse_store(store).kind == "memory":
        msg = f"{store} cannot be measured: the worker is another process; give a SQLite file or PostgreSQL"
        raise ConfigError(msg)
    app.use_store(store)
    bench = _Bench(store, tell)
    try:
        return bench.execute(jobs)
    finally:
        bench.clean_up()
        app.close()


class _Bench:
    """One run; its queue and its tag tell its jobs from all others of the store."""

    def __init__(self, store: str, tell: Callable[[str], None]) -> None:
        self._store = store
        self._tell = tell
        self._queue = f"lineshaft-bench-{secrets.token_hex(4)}"

    def execute(self, jobs: int) -> Figures:
        """Measure everything, each alone."""
        app.migrate()
        singles, each = self._enqueue_singly(min(jobs, _MOST_SINGLES))
        bulk = self._enqueue_in_bulk(in_thread, jobs)
        with running_worker(self._store, self._queue) as worker:
            threads = self._drain(worker, in_thread, singles.count + jobs)
        self._enqueue_in_bulk(in_loop, jobs)
        with running_worker(self._store, self._queue) as worker:
            loop = self._drain(worker, in_loop, jobs)
            pick_up = self._pick_up(worker)
        return Figures(app.address, singles, each, bulk, threads, loop, pick_up)

    def clean_up(self) -> None:
        """Delete the run's jobs."""
        self._tell("removing the jobs")
        app.jobs.delete(queue=self._queue)

    def _options(self, task: Task[Any, Any, Any]) -> Any:
        return task.options(queue=self._queue, tags=[self._queue])

    def _enqueue_singly(self, count: int) -> tuple[Rate, Latency]:
        self._tell(f"enqueueing {count:,} jobs one by one")
        bound, times = self._options(in_thread), []
        for number in range(count):
            before = perf_counter()
            bound.enqueue(number)
            times.append((perf_counter() - before) * SECOND)
        return rate(count, sum(times) / SECOND), latency(times)

    def _enqueue_in_bulk(self, task: Task[Any, Any, Any], count: int) -> Rate:
        self._tell(f"enqueueing {count:,} jobs, {_CHUNK:,} at a time")
        bound = self._options(task)
        before = perf_counter()
        for first in range(0, count, _CHUNK):
            bound.enqueue_many(range(first, min(first + _CHUNK, count)))
        return rate(count, perf_counter() - before)

    def _drain(self, worker: Worker, task: Task[Any, Any, Any], count: int) -> Rate:
        """Let a worker run what waits; the time is that from the first claim to the last finish in the store."""
        self._tell(f"running {count:,} jobs, {'async def' if task.is_async else 'def in threads'}")
        self._await_end(worker)
        done = list(app.jobs.iter(queue=self._queue, name=task.name, state=State.COMPLETED))
        if len(done) != count:
            msg = f"only {len(done):,} of the bench's {count:,} jobs completed; read 'lineshaft jobs list --state dead'"
            raise LineshaftError(msg)
        first = min(job.started_at for job in done if job.started_at)
        last = max(job.finished_at for job in done if job.finished_at)
        return rate(count, (last - first).total_seconds())

    def _await_end(self, worker: Worker) -> None:
        before, stalled = -1, 0
        while left := app.jobs.count(queue=self._queue, state=sorted(UNFINISHED)):
            worker.watch(_TICK_SECONDS)
            before, stalled = left, stalled + 1 if left == before else 0
            if stalled > _STALLED_TICKS:
                msg = f"{left:,} jobs of queue {self._queue} have not moved for half a minute; is the machine busy?"
                raise LineshaftError(msg)

    def _pick_up(self, worker: Worker) -> Latency:
        """Time each job from the call of `enqueue` to the function's first line, on a worker that has nothing to do."""
        self._tell(f"enqueueing {_PICK_UPS} jobs to an idle worker")
        bound = self._options(tell_start)
        sent: list[tuple[int, Job[int]]] = []
        for _ in range(_PICK_UPS):
            worker.watch(_IDLE_SECONDS)
            # Nobody waits for the result yet: that would write to the store just when the worker claims.
            sent.append((wall_clock(), bound.enqueue()))
        self._await_end(worker)
        return latency([job.refresh().value - at for at, job in sent])
