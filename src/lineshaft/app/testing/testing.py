"""`app.testing()`: a store and a clock of a test's own, and jobs that run when the test says so."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from lineshaft.app.crossing import in_store_thread
from lineshaft.app.testing.attempts import FOREVER, Attempts
from lineshaft.app.testing.clock import StandingClock
from lineshaft.app.testing.drained import Drained
from lineshaft.app.testing.hand import HandWorker, is_on_loop
from lineshaft.app.testing.logs import job_logs_kept
from lineshaft.app.testing.raised import Raised, is_for_the_test
from lineshaft.clock import Duration, to_datetime
from lineshaft.current import joined, running
from lineshaft.engines.base import Engine
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.errors import ConfigError, ResultTimeout
from lineshaft.job import Job
from lineshaft.newjob import NewJob
from lineshaft.store import migrate
from lineshaft.worker.run import Run

if TYPE_CHECKING:
    from lineshaft.app.core import Lineshaft

R = TypeVar("R")
Mode = Literal["inline", "manual"]
Provider = Callable[..., Any]
Keep = Callable[[Sequence[NewJob[Any]]], list[Job[Any]]]
"""Stores jobs, and tells no block of it."""
Stage = Callable[["Testing", Engine, Mapping[Provider, Provider]], AbstractContextManager[None]]

_active: list[Testing] = []


def active() -> Sequence[Testing]:
    """Return the blocks of this process that code runs in at the moment, the innermost last."""
    return tuple(_active)


class Testing:
    """What `with app.testing(…) as t` gives; usable once.

    `app` is the app under test. Its jobs live in a store in memory, and its clock stands still, until the block ends.
    """

    __test__ = False
    """pytest must not take it for a class of tests."""

    def __init__(
        self,
        app: Lineshaft,
        stage: Stage,
        keep: Keep,
        mode: Mode,
        overrides: Mapping[Provider, Any],
        *,
        raise_errors: bool,
    ) -> None:
        if mode not in ("inline", "manual"):
            msg = f"testing({mode!r}): the mode must be 'inline' or 'manual'"
            raise ConfigError(msg)
        self.app, self.mode = app, mode
        self._stage, self._keep = stage, keep
        self._overrides = {one: _provider(fake) for one, fake in overrides.items()}
        self._raises = raise_errors
        self._clock = StandingClock()
        self._stack = ExitStack()
        self._hand: HandWorker | None = None
        self._raised = Raised()
        self._turn = threading.Lock()
        """Held by whoever runs jobs."""
        self._has_news = False
        self._is_open = False
        self._attempts = Attempts(app, self._clock, self._worker, is_inline=mode == "inline")

    def __enter__(self) -> Self:
        """Take the store's place."""
        if self._hand is not None or self._is_open:
            msg = "a block of app.testing() is entered once: call app.testing() anew"
            raise ConfigError(msg)
        engine = SqliteEngine(None)
        engine.clock = self._clock
        migrate.migrate(engine)
        with ExitStack() as stack:
            stack.enter_context(self._stage(self, engine, self._overrides))
            stack.enter_context(job_logs_kept())
            stack.callback(_active.remove, self)
            _active.append(self)
            self._synchronise()
            self._stack = stack.pop_all()
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the lifespans and give everything back; jobs that were not run are forgotten."""
        try:
            self._stack.close()
        finally:
            self._is_open = False

    def __repr__(self) -> str:
        """Show what there is."""
        return f"<Testing {self.mode}: it is {self.now.isoformat()}, {'open' if self._is_open else 'over'}>"

    # --- looking ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time that the store's clock shows (aware UTC)."""
        return to_datetime(self._clock.now())

    @property
    def jobs(self) -> list[Job[Any]]:
        """Every job that was enqueued in the block, whatever has become of it, the oldest first."""
        self._refuse_when_over()
        return list(self.app.jobs.iter())[::-1]

    def report(self) -> str:
        """Return a line for each of the jobs, and the last traceback of those that failed."""
        return "\n".join(map(_described, self.jobs)) or "no job was enqueued"

    # --- running ---------------------------------------------------------------------------------------------------

    def drain(
        self,
        queue: str | None = None,
        *,
        with_scheduled: bool = False,
        limit: int | None = None,
        raise_errors: bool = False,
    ) -> Drained:
        """Run every job that is due, and those that they enqueue, until none is left; return what ran.

        `queue` runs the jobs of one queue only. `with_scheduled` also runs what waits for its time (delayed jobs,
        retries, snoozed ones), moving the clock to it. `limit` runs at most so many attempts. `raise_errors` raises
        what the jobs raised, once all have run; otherwise an error is what it is in service: the job is retried or
        dead. Raises `ConfigError` inside a job.
        """
        with self._alone():
            drained = self._run(self._attempts.due(queue, FOREVER if with_scheduled else None, limit))
        return drained.checked(raise_errors=raise_errors)

    async def adrain(
        self,
        queue: str | None = None,
        *,
        with_scheduled: bool = False,
        limit: int | None = None,
        raise_errors: bool = False,
    ) -> Drained:
        """As `drain`; `async def` tasks run on the event loop that awaits it."""
        async with self._aalone():
            drained = await self._arun(self._attempts.due(queue, FOREVER if with_scheduled else None, limit))
        return drained.checked(raise_errors=raise_errors)

    def travel(self, to: Duration | datetime) -> Drained:
        """Move the clock by a duration, or to a time (aware); it never goes back.

        Inline, what falls due on the way runs at its time, and its error is raised; the return value says what ran.
        """
        with self._alone():
            drained = self._run(self._attempts.journey(to))
        return drained.checked(raise_errors=self._raises)

    async def atravel(self, to: Duration | datetime) -> Drained:
        """As `travel`; `async def` tasks run on the event loop that awaits it."""
        async with self._aalone():
            drained = await self._arun(self._attempts.journey(to))
        return drained.checked(raise_errors=self._raises)

    def perform(self, new_job: NewJob[R], attempt: int = 1) -> R:
        """Run one job at once, as its `attempt`, and return its result; raises what it raises, and keeps no trace."""
        with self._alone(), self._stored(new_job) as job:
            result: R = self._run(self._attempts.of_one(job, attempt)).result()
        self.catch_up()
        return result

    async def aperform(self, new_job: NewJob[R], attempt: int = 1) -> R:
        """As `perform`; an `async def` task runs on the event loop that awaits it."""
        async with self._aalone():
            with self._stored(new_job) as job:
                result: R = (await self._arun(self._attempts.of_one(job, attempt))).result()
        await self.acatch_up()
        return result

    # --- what the app tells ----------------------------------------------------------------------------------------

    def took_in(self, jobs: Sequence[Job[Any]], connection: Any) -> None:
        """Hear of jobs that were enqueued, maybe on a caller's connection."""
        if connection is not None:
            self._attempts.uncommitted.update(job.id for job in jobs)
        elif joined.get() is None:  # else they are not committed yet
            self.catch_up()

    async def atook_in(self, jobs: Sequence[Job[Any]], connection: Any) -> None:
        """As `took_in`."""
        if connection is not None:
            self._attempts.uncommitted.update(job.id for job in jobs)
        elif joined.get() is None:
            await self.acatch_up()

    def catch_up(self) -> None:
        """Inline: run what is due; what a job enqueues is left to whoever runs that job."""
        drained = Drained()
        self._has_news = self.mode == "inline"
        while self._takes_turn():
            try:
                drained += self._run(self._attempts.due(spares_uncommitted=True))
            finally:
                self._turn.release()
        drained.checked(raise_errors=self._raises)

    async def acatch_up(self) -> None:
        """As `catch_up`."""
        drained = Drained()
        self._has_news = self.mode == "inline"
        while self._takes_turn():
            try:
                drained += await self._arun(self._attempts.due(spares_uncommitted=True))
            finally:
                self._turn.release()
        drained.checked(raise_errors=self._raises)

    def refuse_wait(self, job_ids: Sequence[str]) -> None:
        """Stand in for waiting: return when the jobs are final, else raise `ResultTimeout` at once."""
        for job in map(self.app.jobs.get, job_ids):
            if not job.state.is_final:
                cure = "t.drain()" if job.run_at <= self.now else f"t.travel() to {job.run_at.isoformat()}, t.drain()"
                msg = f"job {job.id} ({job.name}) is {job.state} and nothing runs it during the wait; first call {cure}"
                raise ResultTimeout(msg)

    # --- one at a time ---------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        _refuse_in_job()
        if not self._turn.acquire(blocking=not is_on_loop()):
            msg = "a coroutine runs jobs on this event loop already; await adrain(), atravel() or aperform() instead"
            raise ConfigError(msg)
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def _aalone(self) -> AsyncIterator[None]:
        _refuse_in_job()
        await in_store_thread(self._turn.acquire)
        try:
            yield
        finally:
            self._turn.release()

    def _takes_turn(self) -> bool:
        """Begin to catch up if there is anything to it, unless somebody does: whoever that is then looks again."""
        if not self._has_news or not self._turn.acquire(blocking=False):
            return False
        self._has_news = False
        return True

    def _run(self, attempts: Generator[Run]) -> Drained:
        drained = Drained()
        with closing(attempts):
            for run in attempts:
                self._worker().execute(run)
                self._note(run, drained)
        return drained

    async def _arun(self, attempts: Generator[Run]) -> Drained:
        drained = Drained()
        with closing(attempts):
            for run in attempts:
                await self._worker().aexecute(run)
                self._note(run, drained)
        return drained

    def _note(self, run: Run, drained: Drained) -> None:
        error = self._raised.take(run)
        if error is not None and is_for_the_test(error):
            raise error
        drained.note(self.app.jobs.get(run.id), error)

    def _worker(self) -> HandWorker:
        self._refuse_when_over()
        if self._hand is None:
            self.app.load_imports()
            self._synchronise()
            self._hand = HandWorker(self.app.runtime(), self._raised.note, obeys_limits=self.mode == "manual")
            self._stack.callback(self._hand.close)
        return self._hand

    def _synchronise(self) -> None:
        """Have the store know the schedules and limits that code declares, as the start of a worker does."""
        if self.app.declarations:
            self.app.schedules.sync()
        self.app.sync_limits()

    def _refuse_when_over(self) -> None:
        """Keep what is asked too late, or too early, from reaching the store of the settings."""
        if not self._is_open:
            msg = "this block of app.testing() is over, or has not begun: ask inside 'with app.testing(…) as t:'"
            raise ConfigError(msg)

    # --- a job of its own ------------------------------------------------------------------------------------------

    @contextmanager
    def _stored(self, new_job: NewJob[R]) -> Iterator[Job[R]]:
        options = replace(new_job.options, delay=None, run_at=None, unique=None, connection=None)
        [job] = self._keep([replace(new_job, options=options, unique_text=None)])
        try:
            yield job
        finally:
            self._worker().forget(job.id)


def _described(job: Job[Any]) -> str:
    line = f"{job.name} {job.state}, attempt {job.attempt} of {job.max_attempts}, queue {job.queue}, {job.id}"
    return f"{line}\n{job.errors[-1]['traceback']}" if job.errors else line


def _provider(fake: Any) -> Provider:
    return fake if callable(fake) else lambda: fake


def _refuse_in_job() -> None:
    job_id = running.get().id
    if job_id is not None:
        msg = f"job {job_id} runs, and others run one after another: drain, travel and perform from the test itself"
        raise ConfigError(msg)
