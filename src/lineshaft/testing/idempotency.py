"""Crash-point testing of a job: kill it at each of its effects, deliver it again, and count what happened twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from lineshaft.errors import ConfigError
from lineshaft.ids import new_id
from lineshaft.outcomes import JobError
from lineshaft.store.finish import write_transitions
from lineshaft.store.upkeep import orphans, register_worker, remove_worker
from lineshaft.testing.crash import Delivery, Mark, deliver
from lineshaft.transitions import State, rescue
from lineshaft.version import VERSION

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from lineshaft.engines.base import Engine, Tx
    from lineshaft.job import Job
    from lineshaft.task import Task

Effects = Counter[tuple[str, str, str | None]]

_MOST_POINTS: Final = 1_000


@dataclass(frozen=True)
class IdempotencyReport:
    """What was tried: `points` are the places at which the job was killed, in order, as a person reads them."""

    task: str
    points: tuple[str, ...]


def assert_idempotent(
    task: Task[Any, Any, Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    reset: Callable[[], object] | None = None,
    timeout: float = 30.0,
) -> IdempotencyReport:
    """Run a job undisturbed once, then once for each point of its run: killed there and delivered again.

    Points are the start, each `effect(…)`, each `chaos_point(…)`, each call of `progress`, and both sides of each
    commit in the store: enqueues, the job's own transaction, its completion. The job runs in forked child processes
    that are killed as the system would, on the app's store, which has to be a test's: a SQLite file or PostgreSQL.
    `reset` is called before each run to put the world outside back; `timeout` is for one run, in seconds.

    Raises `AssertionError` that names each effect and each enqueued job that a crash doubled or lost, and where;
    `ConfigError` when the task has no app or its store lies in memory.
    """
    trial = _Trial(task, args, dict(kwargs or {}), reset or (lambda: None), timeout)
    expected = trial.run(kill_at=None)
    if expected.state is not State.COMPLETED:
        msg = f"{task.name} cannot be tested for crashes, it fails without one: {expected.error}"
        raise AssertionError(msg)
    points = [str(one) for one in expected.points]
    if len(points) > _MOST_POINTS:
        msg = f"{task.name} has {len(points)} points, more than {_MOST_POINTS}; test it with smaller arguments"
        raise AssertionError(msg)
    found = [line for at in range(len(points)) for line in _compare(points[at], trial.run(kill_at=at), expected)]
    if found:
        raise AssertionError("\n  ".join([f"{task.name} is not idempotent; {len(points)} crash points tried:", *found]))
    return IdempotencyReport(task.name, tuple(points))


@dataclass(frozen=True)
class _Result:
    effects: Effects
    points: Sequence[Mark]
    state: State
    error: str


def _compare(point: str, found: _Result, expected: _Result) -> list[str]:
    lines = []
    if found.state is not expected.state:
        lines.append(f"killed {point} and delivered again, it ended as {found.state}: {found.error}")
    for key in sorted(found.effects.keys() | expected.effects.keys(), key=repr):
        count, wanted = found.effects[key], expected.effects[key]
        if count != wanted:
            what = " ".join(part for part in key if part is not None)
            lines.append(f"killed {point}: {what} happened {_times(count)} instead of {_times(wanted)}")
    return lines


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


class _Trial:
    """One job that is stored, run, killed and delivered again, as often as there are points."""

    def __init__(
        self, task: Task[Any, Any, Any], args: Sequence[Any], kwargs: dict[str, Any], reset: Callable[[], object],
        timeout: float,
    ) -> None:  # fmt: skip
        self._task, self._args, self._kwargs = task, args, kwargs
        self._reset, self._timeout = reset, timeout
        self._app = _app_of(task)
        self._engine: Engine = self._app.runtime().engine
        if self._engine.is_ephemeral:
            msg = "assert_idempotent kills processes, and memory:// ends with them; give the app a SQLite file"
            raise ConfigError(msg)

    def run(self, kill_at: int | None) -> _Result:
        """Do one run with at most one crash, and take from the store what it put there."""
        self._reset()
        before = {job.id for job in self._app.jobs.iter()}
        queue = f"crash-{new_id()[-12:]}"
        new = self._task.new(*self._args, **self._kwargs)
        new.options = replace(new.options, queue=queue, delay=None, run_at=None, unique=None)
        new.unique_text = None
        job = self._app.enqueue_new(new)
        try:
            return self._deliver(queue, job, before, kill_at)
        finally:
            self._clean_up(before)

    def _deliver(self, queue: str, job: Job[Any], before: set[str], kill_at: int | None) -> _Result:
        deliveries = [self._once(queue, kill_at)]
        if kill_at is not None and not job.refresh().state.is_final:
            deliveries.append(self._once(queue, None))
        effects = Effects(mark.what for one in deliveries for mark in one.marks if mark.kind == "effect")
        for other in self._app.jobs.iter():
            if other.id not in before and other.id != job.id:
                effects[("job", other.name, repr(other.args))] += 1
        job.refresh()
        last = job.errors[-1] if job.errors else {}
        error = f"{last['type']}: {last['message']}" if last else "it did not end"
        return _Result(effects, deliveries[0].marks, job.state, error)

    def _once(self, queue: str, kill_at: int | None) -> Delivery:
        worker = self._engine.write(lambda tx: _register(tx, queue, self._engine.clock.now()))
        try:
            return deliver(self._app.runtime(), queue, worker, kill_at=kill_at, timeout=self._timeout)
        finally:
            self._engine.write(lambda tx: self._put_back(tx, worker))

    def _put_back(self, tx: Tx, worker: int) -> None:
        """Do what a rescue does, without the wait for it."""
        now = self._engine.clock.now()
        error = JobError(1, "lineshaft.WorkerLost", "killed by assert_idempotent", None, now)
        gone = [
            rescue(one.held, error, is_isolated=False, is_cancel_requested=False, max_losses=one.max_attempts)
            for one in orphans(tx, worker)
        ]
        write_transitions(tx, gone, worker=worker, now=now, keep=lambda _: now)
        remove_worker(tx, worker)

    def _clean_up(self, before: set[str]) -> None:
        for job in list(self._app.jobs.iter()):
            if job.id not in before:
                job.delete()


def _register(tx: Tx, queue: str, now: int) -> int:
    return register_worker(tx, host="localhost", pid=0, version=VERSION, queues={queue: 1}, tasks=[], now=now)


def _app_of(task: Task[Any, Any, Any]) -> Lineshaft:
    door = task._door  # noqa: SLF001 - a task knows its app, and only that app its store
    if door is None:
        msg = f"task {task.name!r} belongs to no app yet; call app.include(tasks) first"
        raise ConfigError(msg)
    return cast("Lineshaft", door)
