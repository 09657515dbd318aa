"""Waiting for jobs to end: one listener for an app, however many jobs are waited for."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

import anyio
import anyio.to_thread

from lineshaft.app.store import Store
from lineshaft.clock import SECOND, Duration, to_micros
from lineshaft.current import running
from lineshaft.engines.base import Listener
from lineshaft.errors import ResultTimeout, StoreError, WouldDeadlock
from lineshaft.store.inspect import mark_awaited, still_unfinished

_LISTEN_AGAIN_SECONDS: Final = 0.5
_READY_SECONDS: Final = 30


class Waiter:
    """Knows who waits for which jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.stand_in: Callable[[Sequence[str]], None] | None = None
        """In tests: called in place of waiting, in which nothing would happen."""
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waits: dict[str, list[Future[None]]] = {}
        self._thread: threading.Thread | None = None
        self._listener: Listener | None = None
        self._is_listening = threading.Event()
        self._closed = threading.Event()

    def wait(self, job_ids: Sequence[str], timeout: Duration | None) -> None:
        """Wait until every one of the jobs is final.

        Raises `ResultTimeout`, and `WouldDeadlock` inside a job or on an event loop's thread.
        """
        _refuse_in_job()
        _refuse_on_loop()
        seconds = _seconds(timeout)
        if self.stand_in is not None:
            self.stand_in(job_ids)
            return
        futures = self._begin(job_ids)
        try:
            deadline = None if seconds is None else self._now() + seconds
            for future in futures.values():
                future.result(None if deadline is None else max(0.0, deadline - self._now()))
        except FutureTimeoutError:
            raise _timed_out(job_ids, timeout) from None
        finally:
            self._end(futures)

    async def await_final(self, job_ids: Sequence[str], timeout: Duration | None) -> None:
        """As `wait`, on any event loop."""
        _refuse_in_job()
        seconds = _seconds(timeout)
        if self.stand_in is not None:
            await anyio.to_thread.run_sync(self.stand_in, job_ids)
            return
        futures = await anyio.to_thread.run_sync(self._begin, job_ids)
        try:
            with anyio.fail_after(seconds):
                for future in futures.values():
                    await _await_future(future)
        except TimeoutError:
            raise _timed_out(job_ids, timeout) from None
        finally:
            self._end(futures)

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        if self._listener is not None:
            self._listener.interrupt()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join()
        self._forget()

    def _now(self) -> float:
        return self._store.engine.clock.monotonic()

    def _begin(self, job_ids: Sequence[str]) -> dict[str, Future[None]]:
        if self._pid != os.getpid():
            self._forget()
        futures: dict[str, Future[None]] = {job_id: Future() for job_id in job_ids}
        with self._lock:
            for job_id, future in futures.items():
                self._waits.setdefault(job_id, []).append(future)
            self._listen()
        if self._listener is not None:
            self._listener.interrupt()  # it slept without looking while nobody waited
        try:
            # From here on a finish is heard; what ended before it is seen by the look that follows.
            self._is_listening.wait(_READY_SECONDS)
            ids = list(futures)
            unfinished = self._store.write(lambda tx, _: mark_awaited(tx, ids))
        except BaseException:
            self._end(futures)
            raise
        self._resolve(set(ids) - unfinished)
        return futures

    def _end(self, futures: dict[str, Future[None]]) -> None:
        with self._lock:
            for job_id, future in futures.items():
                waits = self._waits.get(job_id, [])
                if future in waits:
                    waits.remove(future)
                if not waits:
                    self._waits.pop(job_id, None)

    def _resolve(self, job_ids: set[str]) -> None:
        with self._lock:
            futures = [future for job_id in job_ids for future in self._waits.pop(job_id, [])]
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def _listen(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, args=(self._closed,), name="lineshaft-waiter", daemon=True)
            thread.start()
            self._thread = thread  # only now: one that Ctrl-C kept from starting cannot be joined, and ends by `closed`

    def _work(self, closed: threading.Event) -> None:
        while not closed.is_set():
            try:
                self._listener = self._store.engine.listen("waiter")
                self._is_listening.set()
                while not closed.is_set():
                    self._hear(self._listener.receive(self._store.engine.idle_poll if self._waits else None))
            except StoreError:
                closed.wait(_LISTEN_AGAIN_SECONDS)
            finally:
                if self._listener is not None:
                    self._listener.close()

    def _hear(self, messages: set[str]) -> None:
        ended = {job_id for message in messages for job_id in message.split()}
        with self._lock:
            waited = list(self._waits)
        if waited and (not messages or "" in messages):
            ended |= set(waited) - self._store.engine.read(lambda tx: still_unfinished(tx, waited))
        self._resolve(ended)


async def _await_future(future: Future[None]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another kind of event loop
        await anyio.to_thread.run_sync(future.result, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    else:
        await asyncio.wrap_future(future)


def _seconds(timeout: Duration | None) -> float | None:
    return None if timeout is None else to_micros(timeout, "timeout") / SECOND


def _timed_out(job_ids: Sequence[str], timeout: Duration | None) -> ResultTimeout:
    what = f"job {job_ids[0]} is" if len(job_ids) == 1 else f"some of {len(job_ids)} jobs are"
    return ResultTimeout(f"{what} not finished after {timeout}; the wait is over, the work goes on")


def _refuse_in_job() -> None:
    job_id = running.get().id
    if job_id is not None:
        msg = f"job {job_id} waits for another job and would hold its slot meanwhile; enqueue what comes next instead"
        raise WouldDeadlock(msg)


def _refuse_on_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    msg = "waiting here would block the event loop; use 'await job.aresult()' or 'await job.await_()'"
    raise WouldDeadlock(msg)
