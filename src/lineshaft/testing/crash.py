"""One delivery of a job in a forked child, which is killed at a given point of its run."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import msgspec

from lineshaft.engines.base import Tx
from lineshaft.feature import show
from lineshaft.outcomes import Outcome
from lineshaft.store.claim import Claimed, claim_jobs
from lineshaft.store.finish import write_transitions
from lineshaft.testing import points
from lineshaft.testing.commits import around_commits
from lineshaft.transitions import decide
from lineshaft.worker.ended import ended_job
from lineshaft.worker.execute import aexecute, execute
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime


class Mark(NamedTuple):
    """A point of a run: its kind, and what a person calls it."""

    kind: str
    name: str = ""
    key: str | None = None

    @property
    def what(self) -> tuple[str, str, str | None]:
        """What an effect is counted by."""
        return (self.kind, self.name, self.key)

    def __str__(self) -> str:
        """Say where it is, behind the word `killed`."""
        match self.kind:
            case "effect":
                return " ".join(part for part in ("after effect", self.name, self.key) if part)
            case "point":
                return f"at chaos_point {self.name}"
            case _:
                return self.name


@dataclass
class Delivery:
    """The points that one delivery came to."""

    marks: list[Mark] = field(default_factory=list)


def deliver(runtime: Runtime, queue: str, worker: int, *, kill_at: int | None, timeout: float) -> Delivery:
    """Run the one job of a queue in a child process that dies at its point number `kill_at` (None: at no point).

    Raises `AssertionError` when the child does not end within `timeout` seconds, or breaks by itself.
    """
    ours, its = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child runs one job and leaves by a kill or `_exit`
        pid = os.fork()
    if not pid:
        os.close(ours)
        _Child(runtime, queue, worker, kill_at, its).run()
    os.close(its)
    try:
        said = _read(ours, timeout)
    finally:
        os.close(ours)
        os.kill(pid, signal.SIGKILL)  # it has ended, or is late
        _, status = os.waitpid(pid, 0)
    if said is None:
        msg = f"the job did not end within {timeout:g} s; give a longer timeout="
        raise AssertionError(msg)
    return _delivery(said, status, kill_at)


def _delivery(said: bytes, status: int, kill_at: int | None) -> Delivery:
    lines = [msgspec.json.decode(line, type=tuple[str, str, str | None]) for line in said.splitlines()]
    if lines and lines[-1][0] == "end":
        return Delivery([Mark(*line) for line in lines[:-1]])
    if kill_at is None or len(lines) <= kill_at:
        msg = f"the job's process ended by itself, status {status}: {lines[-1][1] if lines else 'it said nothing'}"
        raise AssertionError(msg)
    return Delivery([Mark(*line) for line in lines])


def _read(pipe: int, timeout: float) -> bytes | None:
    """Return all that comes until the other end is closed; None when that takes too long."""
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(timeout):
            piece = os.read(pipe, 65_536)
            if not piece:
                return said
            said += piece
    return None


class _Child:
    def __init__(self, runtime: Runtime, queue: str, worker: int, kill_at: int | None, pipe: int) -> None:
        self._runtime, self._queue, self._worker = runtime, queue, worker
        self._kill_at, self._pipe = kill_at, pipe
        self._count = 0

    def run(self) -> NoReturn:
        """Run the job; never returns."""
        try:
            self._run()
            self._say(("end", "", None))
        except BaseException as error:  # noqa: BLE001 - told to the parent, whose assertion it becomes
            self._say(("broken", f"{type(error).__name__}: {error}", None))
        finally:
            os._exit(0)

    def _run(self) -> None:
        engine = self._runtime.engine
        [claimed] = engine.write(
            lambda tx: claim_jobs(tx, queue=self._queue, limit=1, worker=self._worker, now=engine.clock.now())
        )
        points.listen(self._reach)
        with around_commits(engine, self):
            self._reach("start", "before its first line", None)
            self._finish(claimed, self._outcome(self._make_run(claimed)))

    def _make_run(self, claimed: Claimed) -> Run:
        task = self._runtime.tasks.find(claimed.name)
        return _WatchedRun(claimed, task, task.defaults, self._runtime.engine.clock, self)

    def _outcome(self, run: Run) -> Outcome:
        if run.task.is_async:
            return asyncio.run(aexecute(run, self._runtime))
        return execute(run, self._runtime)

    def _finish(self, claimed: Claimed, outcome: Outcome) -> None:
        engine = self._runtime.engine
        now = engine.clock.now()
        transition = decide(claimed.held, outcome, now)
        if transition is None:
            return

        def write(tx: Tx) -> None:
            keep = self._runtime.retention.until(now)
            written = write_transitions(tx, [transition], worker=self._worker, now=now, keep=keep)
            ended = [ended_job(claimed, one, now) for one in written]
            show(self._runtime.features, tx, ended, now, is_certain=written.is_certain)

        engine.write(write)

    def opening(self) -> None:
        """Nothing was done yet that a crash could leave behind."""

    def committing(self) -> None:
        """Die before a commit, if this is the point."""
        self._reach("commit", "before a commit in the store", None)

    def committed(self) -> None:
        """Die after a commit, if this is the point."""
        self._reach("commit", "after a commit in the store", None)

    def _reach(self, kind: str, name: str, key: str | None) -> None:
        self._say((kind, name, key))
        if self._count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1

    def _say(self, line: tuple[str, str, str | None]) -> None:
        rest = msgspec.json.encode(line) + b"\n"
        while rest:
            rest = rest[os.write(self._pipe, rest) :]


class _WatchedRun(Run):
    """A run whose progress is a point too."""

    def __init__(self, *args: Any) -> None:
        *own, self._child = args
        super().__init__(*own)

    def progress(self, fraction: float, message: str | None = None) -> None:
        super().progress(fraction, message)
        self._child._reach("progress", "after a progress call", None)  # noqa: SLF001 - the two are one
