"""How jobs come in: checked ones are stored on our connection, on the running job's, or on the caller's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import anyio
import msgspec

from lineshaft.app.crossing import in_store_thread
from lineshaft.app.enqueuer import Enqueuer, common_connection
from lineshaft.app.room import Room
from lineshaft.clock import DAY
from lineshaft.current import joined
from lineshaft.engines.callers import caller_tx, checked_kind, is_async_connection, needs_calling_thread
from lineshaft.errors import BlobError, QueueFull
from lineshaft.feature import Incoming
from lineshaft.job import Job, JobDoor, JobRow
from lineshaft.newjob import NewJob
from lineshaft.options import Options
from lineshaft.payload import dump_plain
from lineshaft.task import Task

if TYPE_CHECKING:
    from lineshaft.app.store import Store
    from lineshaft.app.testing import Testing
    from lineshaft.clock import Clock

R = TypeVar("R")

KnownTasks = Mapping[str, Task[Any, Any, Any]]


class _Refused(NamedTuple):
    """Jobs that found a queue full; they are tried again as they are, under the same ids."""

    jobs: list[Incoming]
    room: Room
    error: QueueFull


class Intake:
    """Takes an app's jobs in; `tasks` are those that it knows, by name."""

    def __init__(self, store: Store, enqueuer: Enqueuer, tasks: KnownTasks, payload_limit: int) -> None:
        self._store, self._enqueuer, self._tasks = store, enqueuer, tasks
        self._payload_limit = payload_limit
        self._pause = threading.Event()
        self._visitors: dict[str, Task[Any, Any, Any]] = {}
        self.door: JobDoor
        """What the calls of stored jobs go through."""
        self.testing: Testing | None = None
        """The innermost block of `app.testing()` around the code that runs."""

    def enqueue_many(self, new_jobs: Sequence[NewJob[R]], connection: Any) -> list[Job[R]]:
        """Store jobs, all or none; `connection` may be the caller's."""
        connection = connection if connection is not None else common_connection(new_jobs)
        jobs = self._store_patiently(new_jobs) if connection is None else self.store(new_jobs, connection)
        if self.testing is not None:
            self.testing.took_in(jobs, connection)
        return jobs

    async def aenqueue_many(self, new_jobs: Sequence[NewJob[R]], connection: Any) -> list[Job[R]]:
        """As `enqueue_many`; `connection` may be an asynchronous one too."""
        connection = connection if connection is not None else common_connection(new_jobs)
        if connection is not None and needs_calling_thread(connection):
            has_blobs = any(one.blobs for one in new_jobs)
            prepared = await in_store_thread(self._prepared, new_jobs) if has_blobs else self._prepared(new_jobs)
            jobs = self._keep(prepared, connection)
        elif connection is None:
            jobs = await self._astore_patiently(new_jobs)
        else:
            loop = asyncio.get_running_loop() if is_async_connection(connection) else None
            jobs = await in_store_thread(self.store, new_jobs, connection, loop)
        if self.testing is not None:
            await self.testing.atook_in(jobs, connection)
        return jobs

    def store(
        self, new_jobs: Sequence[NewJob[R]], connection: Any = None, loop: asyncio.AbstractEventLoop | None = None
    ) -> list[Job[R]]:
        """Store jobs and return them."""
        return self._keep(self._prepared(new_jobs), connection, loop)

    def _store_patiently(self, new_jobs: Sequence[NewJob[Any]]) -> list[Job[Any]]:
        """Store jobs on our own connection; where that is no part of a transaction, a full queue may be waited for."""
        tried = self._try_new(new_jobs)
        while isinstance(tried, _Refused):
            self._pause.wait(tried.room.pause_after(tried.error))
            tried = self._try(tried.jobs, tried.room)
        return tried

    async def _astore_patiently(self, new_jobs: Sequence[NewJob[Any]]) -> list[Job[Any]]:
        tried = await in_store_thread(self._try_new, new_jobs)
        while isinstance(tried, _Refused):
            await anyio.sleep(tried.room.pause_after(tried.error))
            tried = await in_store_thread(self._try, tried.jobs, tried.room)
        return tried

    def _try_new(self, new_jobs: Sequence[NewJob[Any]]) -> list[Job[Any]] | _Refused:
        return self._try(self._prepared(new_jobs))

    def _try(self, jobs: list[Incoming], room: Room | None = None) -> list[Job[Any]] | _Refused:
        try:
            return self._keep(jobs)
        except QueueFull as full:
            if self._is_inside():
                raise
            return _Refused(jobs, room or Room(self._store.engine.clock), full)

    def _is_inside(self) -> bool:
        """Tell whether waiting would hold a transaction open, or a test in which nothing else happens."""
        return joined.get() is not None or self.testing is not None

    def _prepared(self, new_jobs: Sequence[NewJob[Any]]) -> list[Incoming]:
        has_blobs = self._remember(new_jobs)
        clock = self._store.engine.clock
        jobs = self._enqueuer.prepare(new_jobs, clock)
        if has_blobs:
            self._write_blobs(new_jobs, jobs, clock)
        return jobs

    def _write_blobs(self, new_jobs: Sequence[NewJob[Any]], jobs: Sequence[Incoming], clock: Clock) -> None:
        """Write large values before their jobs are stored: a stored job never refers to one that is not there."""
        began = clock.now()
        writer = self._store.depot.writer(began)
        for one, job in zip(new_jobs, jobs, strict=True):
            job.row["args"] = writer.settle(one.args, one.blobs, job.row["id"])
        if clock.now() - began > DAY // 2:
            msg = "writing the blobs took over 12 hours, and they may be swept before the job is stored; try again"
            raise BlobError(msg)

    def _keep(
        self, jobs: list[Incoming], connection: Any = None, loop: asyncio.AbstractEventLoop | None = None
    ) -> list[Job[Any]]:
        clock = self._store.engine.clock
        if not jobs:
            return []
        if connection is not None and self.testing is not None:
            checked_kind(connection, is_awaited=loop is not None)
            connection = None  # a test's jobs are kept from every database of the caller
        if connection is None:
            return self._jobs(jobs, self._insert(jobs, clock.now()))
        with caller_tx(connection, self._store.engine, loop=loop) as tx:
            return self._jobs(jobs, self._enqueuer.insert(tx, jobs, clock.now(), self._store.engine))

    def adopt(self, job_id: str, new: Incoming | None) -> Job[Any]:
        """Return a job that somebody else stored, and tell of it if it is new."""
        if new is not None:
            self._enqueuer.tell([new])
        job = Job[Any](self.door, self.door.fetch(job_id), existing=new is None)
        if self.testing is not None:
            self.testing.took_in([job], None)
        return job.refresh() if self.testing is not None else job

    def by_name(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NewJob[Any]:
        """Return a checked job of a task that may be unknown here."""
        task = self._tasks.get(name)
        if task is not None:
            return task.new(*args, **kwargs)
        text = dump_plain(name, args, kwargs, limit=self._payload_limit)
        return NewJob(name, text, Options(), {})

    def load_result(self, name: str, text: str) -> Any:
        """Rebuild a result by the annotation of its task, where that is known."""
        task = self._tasks.get(name) or self._visitors.get(name)
        if task is not None:
            return task.signature.load_result(text)
        return msgspec.json.decode(text)

    def _insert(self, jobs: list[Incoming], now: int) -> list[JobRow]:
        tx = joined.get()
        if tx is not None:
            return self._enqueuer.insert(tx, jobs, now, self._store.engine)
        return self._store.send(lambda engine, again: self._enqueuer.store(engine, jobs, now, is_resend=again))

    def _jobs(self, jobs: Sequence[Incoming], rows: Sequence[JobRow]) -> list[Job[Any]]:
        self._enqueuer.tell(jobs)
        return [Job(self.door, row, existing=one.existing_id is not None) for one, row in zip(jobs, rows, strict=True)]

    def _remember(self, new_jobs: Sequence[NewJob[Any]]) -> bool:
        """Remember tasks that the app does not know, and tell whether there are large values."""
        has_blobs = False
        for one in new_jobs:
            has_blobs = has_blobs or bool(one.blobs)
            if one.task is not None and one.name not in self._tasks:
                self._visitors[one.name] = one.task
        return has_blobs
