"""Running jobs in a child process: in its main thread, where a signal interrupts even a call that waits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import msgspec

from lineshaft.clock import Clock
from lineshaft.errors import ConfigError, UnknownTaskError
from lineshaft.options import Options, apply_execution
from lineshaft.outcomes import Cancelled, Cause, Outcome, Rejected, Unknown, describe
from lineshaft.store.claim import Claimed
from lineshaft.task import Task
from lineshaft.worker.execute import aexecute, execute, rolled_back, stopped
from lineshaft.worker.lanes.async_ import LoopThread
from lineshaft.worker.lanes.wire import Note
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime
from lineshaft.worker.stacks import task_stack, thread_stack

_BETWEEN_NOTES_SECONDS: Final = 0.5


class ChildRun(Run):
    """The `current_job()` of a job in a child: tells the worker of its progress and of what it logs."""

    def __init__(
        self, number: int, claimed: Claimed, task: Task[Any, Any, Any], options: Options, clock: Clock, ring: Ring
    ) -> None:
        super().__init__(claimed, task, options, clock)
        self.number = number
        self.sent_progress: str | None = None
        self.is_rung = False
        self._ring = ring

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Say how far the job is."""
        super().progress(fraction, message)
        self._ring(self)

    def keep_log_record(self, record: logging.LogRecord) -> None:
        """Keep a line that the job logged."""
        super().keep_log_record(record)
        self._ring(self)


Ring = Callable[[ChildRun], None]


class Reporter:
    """Sends what a job says while it runs, at most twice a second, and once more at its end."""

    def __init__(self, send: Callable[[Note], None]) -> None:
        self._send = send
        # Its `put` is one step for the interpreter: a stop that is raised in the job cannot leave it half done.
        self._bell: SimpleQueue[ChildRun] = SimpleQueue()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread that sends."""
        threading.Thread(target=self._work, name="lineshaft-child-reporter", daemon=True).start()

    def ring(self, run: ChildRun) -> None:
        """Note that a job has something to say."""
        if not run.is_rung:
            run.is_rung = True
            self._bell.put(run)

    def flush(self, run: ChildRun) -> None:
        """Send what was not sent yet."""
        with self._lock:
            run.is_rung = False
            progress = run.progress_text if run.progress_text is not run.sent_progress else None
            run.sent_progress = progress or run.sent_progress
            log = run.joblog.text() if run.joblog is not None and run.joblog.is_changed else None
            if progress is not None or log is not None:
                self._send(Note(run.number, progress, log))

    def _work(self) -> None:
        while True:
            self.flush(self._bell.get())
            time.sleep(_BETWEEN_NOTES_SECONDS)


class Work:
    """One job that the worker sent, from its arrival to its outcome."""

    def __init__(self, number: int, claimed: Claimed) -> None:
        self.number, self.claimed = number, claimed
        self.run: ChildRun | None = None
        self.cause: Cause | None = None
        self.is_told = False
        self.task: asyncio.Task[Outcome] | None = None


class JobRunner:
    """Runs one job at a time: a plain function in the main thread, a coroutine function on the child's loop."""

    def __init__(self, runtime: Runtime, loop: LoopThread, reporter: Reporter) -> None:
        self._runtime, self._loop, self._reporter = runtime, loop, reporter
        self._clock = runtime.engine.clock
        self._latest: Work | None = None
        self._current: Work | None = None
        """The work that a stop may be raised in; only the main thread sets it."""

    @property
    def is_busy(self) -> bool:
        """Whether a job that arrived has no outcome yet."""
        return self._latest is not None

    def take(self, number: int, claimed: Claimed) -> Work:
        """Take note of a job as it arrives; called by the thread that reads."""
        self._latest = Work(number, claimed)
        return self._latest

    def run(self, work: Work) -> Outcome:
        """Run a job in the main thread and return how it ended."""
        try:
            return self._run(work)
        finally:
            self._latest = None

    def _run(self, work: Work) -> Outcome:
        held, now = work.claimed.held, self._clock.now
        try:
            run = work.run = self._make_run(work)
        except UnknownTaskError as error:
            return Unknown(describe(error, held.attempt, now()))
        except (ConfigError, TypeError, KeyError) as error:
            return Rejected(describe(error, held.attempt, now()))
        run.start()
        return self._run_async(work, run) if run.task.is_async else self._run_here(work, run)

    def _make_run(self, work: Work) -> ChildRun:
        claimed, runtime = work.claimed, self._runtime
        task = runtime.tasks.find(claimed.name)
        stored = msgspec.json.decode(claimed.options) if claimed.options else {}
        options = apply_execution(task.defaults, stored)
        return ChildRun(work.number, claimed, task, options, self._clock, self._reporter.ring)

    def _run_here(self, work: Work, run: ChildRun) -> Outcome:
        try:
            try:
                self._current = work
                self._raise_if_told(work)  # a stop that came before the job
                return execute(run, self._runtime)
            finally:
                self._current = None
        except Cancelled as error:  # it arrived before the job's first line or after its last
            return rolled_back(run, error)

    def _run_async(self, work: Work, run: ChildRun) -> Outcome:
        done: SimpleQueue[None] = SimpleQueue()

        def begin() -> None:
            work.task = self._loop.loop.create_task(aexecute(run, self._runtime), context=contextvars.Context())
            work.task.add_done_callback(lambda _: done.put(None))
            if work.cause is not None:  # a stop that came before there was a task to cancel
                self._cancel(work)

        self._loop.loop.call_soon_threadsafe(begin)
        done.get()
        assert work.task is not None
        if work.task.cancelled():  # before its first step
            return stopped(run, Cancelled(work.cause or "cancel"))
        return work.task.result()

    def stop(self, number: int, cause: Cause) -> None:
        """Tell a job to stop; called by the thread that reads. Does nothing when the job has ended."""
        work = self._latest
        if work is None or work.number != number:
            return
        work.cause = cause
        if work.task is not None:
            self._loop.loop.call_soon_threadsafe(self._cancel, work)
        elif (main := threading.main_thread().ident) is not None:
            signal.pthread_kill(main, signal.SIGINT)

    def on_signal(self, *_: object) -> None:
        """Raise `Cancelled` in the main thread if its job was told to stop; another SIGINT is not meant for it."""
        if self._current is not None:
            self._raise_if_told(self._current)

    def _raise_if_told(self, work: Work) -> None:
        if work.cause is None or work.is_told or work.run is None:
            return
        work.is_told = True
        if not work.run.take_permit():
            work.run.stop_wanted = work.cause  # raised at the end of the library's own step that it would tear apart
            return
        work.run.stop_cause, work.run.stop_sent = work.cause, True
        raise Cancelled(work.cause)

    def _cancel(self, work: Work) -> None:
        if work.run is not None and work.task is not None and not work.is_told:
            work.is_told = True
            work.run.stop_cause = work.cause
            work.task.cancel()

    def stack(self) -> str:
        """Return where the job is."""
        work = self._latest
        if work is not None and work.task is not None:
            return task_stack(work.task) + self._loop.stack()
        return thread_stack(threading.main_thread().ident)
