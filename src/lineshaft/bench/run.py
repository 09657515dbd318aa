"""A bench from start to end: bare SQL, pick up, enqueue, drain, clean away."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Final

from lineshaft import Job
from lineshaft.app.store import open_engine
from lineshaft.bench.counting import numbers_in_time
from lineshaft.bench.figures import MILLI, Drain, Figures, Latency, Limits, Rate, count_for, latency, rate
from lineshaft.bench.limits import SQL, measure_limits
from lineshaft.bench.subject import Subject, Workload
from lineshaft.bench.tasks import add_tell_start
from lineshaft.bench.watcher import Watcher
from lineshaft.bench.workers import Bench, Workers, workers_running
from lineshaft.clock import SECOND, wall_clock
from lineshaft.config import StoreAddress, parse_store
from lineshaft.errors import ConfigError, LineshaftError, StoreError
from lineshaft.store.control import delete_jobs
from lineshaft.transitions import UNFINISHED, State
from lineshaft.worker_process import sigterm_as_exit

_CHUNK: Final = 1_000
_MOST: Final = 20_000
_MOST_SINGLES: Final = 2_000
_PICK_UPS: Final = 200
_TRIALS: Final = 5
_DRAIN_SECONDS: Final = 10.0
"""How long the drain of a user's task may take, about, unless a number of jobs was asked for."""
_IDLE_SECONDS: Final = 0.02
"""Long enough for a worker to fall idle between two jobs, where the store is near."""
_IDLE_ANSWERS: Final = 10
"""How many of the store's answers a worker needs at most to fall idle: it finishes, claims, says so, looks again."""
_TELL_EVERY: Final = 50


def run_bench(workload: Workload, *, jobs: int | None, processes: int, slots: int, watcher: Watcher) -> Figures:
    """Measure a store with a workload of `jobs` jobs a drain (None: as many as run in some seconds); remove them.

    The jobs run in a queue of their own, with one worker process and, where `processes` is more, with so many; each
    runs up to `slots` jobs at once. Raises `ConfigError` for a store in memory, which no other process reaches, and
    `LineshaftError` when the worker ends, a job fails, or the jobs do not move.
    """
    store = workload.app.settings.store
    address = parse_store(store)
    if address.kind == "memory":
        msg = f"{store} cannot be measured: the worker is another process; give a SQLite file or PostgreSQL"
        raise ConfigError(msg)
    queue = f"lineshaft-bench-{secrets.token_hex(4)}"
    run = _Run(workload, Bench(workload.app, open_engine(address), queue, slots, watcher), address)
    with sigterm_as_exit():
        try:
            return run.execute(jobs, processes)
        finally:
            run.clean_up()
            workload.app.close()


class _Run:
    """One bench."""

    def __init__(self, workload: Workload, bench: Bench, address: StoreAddress) -> None:
        self._workload, self._bench, self._address = workload, bench, address
        self._app, self._queue, self._watcher = bench.app, bench.queue, bench.watcher
        self._tell_start = Subject("", add_tell_start(workload.app))
        self._ids: list[str] = []
        self._run_ms = 0.0

    def execute(self, jobs: int | None, processes: int) -> Figures:
        """Measure everything, each alone."""
        self._app.jobs.count(queue=self._queue, state=State.QUEUED)  # creates a store that is not there yet
        with workers_running(self._bench, self._workload, 1) as workers:
            pick_up = self._pick_up(workers)
            fitting = self._try_task(workers)
        count = jobs or fitting
        limits, missing = self._limits(count)
        self._app.queues.pause(self._queue)
        first, waiting = self._workload.subjects[0], len(self._ids)
        singles, each = self._enqueue_singly(first, min(count, _MOST_SINGLES))
        bulk = self._enqueue_in_bulk(first, count)
        drains = self._drain_all(1, count, waiting=self._ids[waiting:])
        if processes > 1:
            drains += self._drain_all(processes, count * processes)
        return Figures(
            store=self._app.address,
            engine="sqlite" if self._address.kind == "sqlite" else "postgres",
            task=self._workload.task,
            single_enqueue=singles,
            single_enqueue_latency=each,
            bulk_enqueue=bulk,
            drains=tuple(drains),
            pick_up=pick_up,
            limits=limits,
            limits_missing=missing,
        )

    def clean_up(self) -> None:
        """Delete the run's jobs and its queue; raises `LineshaftError` when a worker would not let go of some."""
        self._watcher.step("removing the jobs", 0)
        engine = self._bench.engine
        try:
            # By their ids: looking for them by their queue would read the whole history of the store.
            for first in range(0, len(self._ids), _CHUNK):
                engine.write(partial(delete_jobs, ids=self._ids[first : first + _CHUNK]))
            self._app.jobs.delete(queue=self._queue, state=sorted(UNFINISHED))
            left = self._app.jobs.count(queue=self._queue, state=sorted(UNFINISHED))
            engine.write(lambda tx: tx.run(SQL.forget_queue, {"queue": self._queue}))
        finally:
            engine.close()
        if left:
            msg = f"{left:,} jobs are held by a killed worker; later: lineshaft jobs delete --queue {self._queue} --yes"
            raise LineshaftError(msg)

    def _limits(self, count: int) -> tuple[Limits | None, str | None]:
        try:
            return measure_limits(self._address, jobs=max(count, _CHUNK), watcher=self._watcher), None
        except StoreError as error:  # who may use a store need not be allowed to make tables
            return None, str(error)

    # --- one worker that has nothing to do -------------------------------------------------------------------------

    def _pick_up(self, workers: Workers) -> Latency:
        """Time each job from the call of `enqueue` to the function's first line."""
        self._watcher.step("pick-up on an idle worker", _PICK_UPS)
        sent = self._one_by_one(workers, self._tell_start, _PICK_UPS)
        return latency([job.refresh().value - at for at, job in sent])

    def _try_task(self, workers: Workers) -> int:
        """Find how long a user's task runs, and return how many jobs fit into the time that a drain may take."""
        if self._workload.task is None:
            return _MOST
        self._watcher.step(f"trying {self._workload.task}", _TRIALS)
        meter = workers.meter()
        nothing = self._typical_ms(self._one_by_one(workers, self._tell_start, _TRIALS))
        overhead = meter.cpu_seconds()
        meter = workers.meter()
        tried = self._typical_ms(self._one_by_one(workers, self._workload.subjects[0], _TRIALS))
        cpu_ms = max(0.0, meter.cpu_seconds() - overhead) * MILLI / _TRIALS
        self._run_ms = round(max(0.0, tried - nothing), 3)
        return count_for(_DRAIN_SECONDS, self._run_ms, cpu_ms, self._bench.slots, most=_MOST)

    def _one_by_one(self, workers: Workers, subject: Subject, count: int) -> list[tuple[int, Job[Any]]]:
        """Enqueue jobs to an idle worker, each with the moment before, and wait for their end."""
        bound = subject.in_queue(self._queue)
        sent: list[tuple[int, Job[Any]]] = []
        idle = max(_IDLE_SECONDS, _IDLE_ANSWERS * self._answer_seconds())
        for number in numbers_in_time(count):
            workers.fall_idle(idle)
            # Nobody waits for the result yet: that would write to the store just when the worker claims.
            sent.append((wall_clock(), bound.enqueue(*subject.args, **subject.kwargs)))
            self._ids.append(sent[-1][1].id)
            self._watcher.reached(number)
        workers.await_end([job.id for _, job in sent])
        return sent

    def _answer_seconds(self) -> float:
        before = perf_counter()
        self._bench.engine.has_schema()
        return perf_counter() - before

    def _typical_ms(self, sent: list[tuple[int, Job[Any]]]) -> float:
        ended = [job.refresh() for _, job in sent]
        spans = [job.finished_at - job.started_at for job in ended if job.started_at and job.finished_at]
        return median(one.total_seconds() for one in spans) * MILLI

    # --- enqueue and drain -----------------------------------------------------------------------------------------

    def _enqueue_singly(self, subject: Subject, count: int) -> tuple[Rate, Latency]:
        self._watcher.step("single enqueue", count)
        bound, times = subject.in_queue(self._queue), []
        for number in numbers_in_time(count):
            before = perf_counter()
            job = bound.enqueue(*subject.args, **subject.kwargs)
            times.append((perf_counter() - before) * SECOND)
            self._ids.append(job.id)
            if number % _TELL_EVERY == 0:
                self._watcher.reached(number)
        return rate(len(times), sum(times) / SECOND), latency(times)

    def _enqueue_in_bulk(self, subject: Subject, count: int) -> Rate:
        self._watcher.step(f"bulk enqueue, {_CHUNK:,} at a time", count)
        bound, seconds = subject.in_queue(self._queue), 0.0
        for first in range(0, count, _CHUNK):
            size = min(_CHUNK, count - first)
            before = perf_counter()
            jobs = self._app.enqueue_many([bound.new(*subject.args, **subject.kwargs) for _ in range(size)])
            seconds += perf_counter() - before
            self._ids += [job.id for job in jobs]
            self._watcher.reached(first + size)
        return rate(count, seconds)

    def _drain_all(self, processes: int, count: int, waiting: Sequence[str] = ()) -> list[Drain]:
        """Drain `count` jobs of each subject, each alone; of the first, the jobs `waiting` wait already."""
        drains: list[Drain] = []
        for subject in self._workload.subjects:
            ids = waiting or self._enqueue_more(subject, count)
            waiting = ()
            # A fresh worker for each: one that has met tasks of two lanes in a queue claims less ahead from then on.
            with workers_running(self._bench, self._workload, processes) as workers:
                self._watcher.step(f"drain, {subject.what}", len(ids))
                drains.append(workers.drain(subject, ids, self._run_ms))
        return drains

    def _enqueue_more(self, subject: Subject, count: int) -> list[str]:
        self._app.queues.pause(self._queue)
        before = len(self._ids)
        self._enqueue_in_bulk(subject, count)
        return self._ids[before:]
