"""Hearing what becomes of jobs: one thread and one listener for an app, however many jobs are waited for."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import ClassVar, Final, Protocol

from lineshaft.app.store import Store
from lineshaft.app.watch import Watch
from lineshaft.engines.base import Engine, Listener, Role, Row
from lineshaft.errors import ResultTimeout, StoreError
from lineshaft.store.inspect import glance_at_jobs, mark_awaited, still_unfinished

_log = logging.getLogger("lineshaft.waiter")

_LISTEN_AGAIN_SECONDS: Final = 0.5
_READY_SECONDS: Final = 30
_QUICK_SECONDS: Final = 0.001
_REST: Final = 4
_LONGEST_REST_SECONDS: Final = 0.25
"""A look that is not quick is followed by a rest of so many times its length, whatever rings meanwhile: on SQLite each
finish rings, and all of them could keep a thread busy with looking."""
_PAUSE: Final = 100
_LONGEST_PAUSE_SECONDS: Final = 10.0
"""Likewise for the look that nothing rang for: one at 100,000 jobs takes longer."""


class Watches(Protocol):
    """Who tells a caller what becomes of its jobs."""

    def begin(self, watch: Watch) -> None:
        """Tell the watch from now on, and at once of the jobs that are final or gone; followed by `end` in any case."""

    def mark(self, watch: Watch, job_ids: Sequence[str]) -> None:
        """Have what happens to these jobs announced, and tell the watch of those that are final or gone."""

    def drop(self, watch: Watch, job_ids: Iterable[str]) -> None:
        """Tell the watch no more of these jobs."""

    def end(self, watch: Watch) -> None:
        """Tell the watch nothing more."""

    def check(self, watch: Watch) -> None:
        """Raise what makes it useless for the watch to go on waiting."""


class Watcher:
    """Hears of the ends of jobs."""

    role: ClassVar[Role] = "waiter"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waits: dict[str, list[Watch]] = {}
        self._let_go()

    def _let_go(self) -> None:
        self._thread: threading.Thread | None = None
        self._listener: Listener | None = None
        self._is_listening = threading.Event()
        self._closed = threading.Event()
        self._look_at = self._rested_at = 0.0

    # --- for whoever waits -----------------------------------------------------------------------------------------

    def begin(self, watch: Watch) -> None:
        """Hear of these jobs from now on. What ended before that is seen by the look that follows."""
        if self._pid != os.getpid():
            self._forget()
        with self._lock:
            slept = not self._waits
            for job_id in watch.job_ids:
                self._waits.setdefault(job_id, []).append(watch)
            self._start()
        if slept and self._listener is not None:
            self._listener.interrupt()  # while nobody waits it does not look by itself
        self._is_listening.wait(_READY_SECONDS)
        if not watch.is_closed:
            self.mark(watch, list(watch.job_ids))

    def mark(self, watch: Watch, job_ids: Sequence[str]) -> None:
        """Have the ends of these jobs announced, and tell of those that need no announcement any more."""
        is_followed = self.role == "follower"
        unfinished = self._store.write(lambda tx, _: mark_awaited(tx, job_ids, is_followed=is_followed))
        if len(unfinished) < len(job_ids):
            watch.tell(set(job_ids) - unfinished)

    def drop(self, watch: Watch, job_ids: Iterable[str]) -> None:
        """Forget that this caller wants to hear of these jobs."""
        with self._lock:
            for job_id in job_ids:
                watch.job_ids.discard(job_id)
                self._drop_one(watch, job_id)

    def end(self, watch: Watch) -> None:
        """Forget this caller, and wake the thread that may still wait for it."""
        with self._lock:
            for job_id in watch.job_ids:
                self._drop_one(watch, job_id)
        watch.close()

    def check(self, watch: Watch) -> None:
        """Raise `ResultTimeout` once nobody hears of anything any more."""
        if watch.is_closed:
            msg = f"the app was closed while {_named(watch)} waited for; the wait is over, the work goes on"
            raise ResultTimeout(msg)

    def close(self) -> None:
        """Stop listening; who still waits is told so."""
        self._closed.set()
        if self._pid == os.getpid():
            if self._listener is not None:
                self._listener.interrupt()
            if self._thread is not None:
                self._thread.join()
        with self._lock:
            watches = {watch for those in self._waits.values() for watch in those}
            self._waits = {}
            self._is_listening.set()  # it never will be: who waits for that goes on, and is told
            self._let_go()
        for watch in watches:
            watch.close()

    def _drop_one(self, watch: Watch, job_id: str) -> None:
        watches = self._waits.get(job_id, [])
        if watch in watches:
            watches.remove(watch)
        if not watches:
            self._waits.pop(job_id, None)

    def _start(self) -> None:
        if self._thread is None:
            name = f"lineshaft-{self.role}"
            thread = threading.Thread(target=self._work, args=(self._closed,), name=name, daemon=True)
            thread.start()
            self._thread = thread  # only now: one that Ctrl-C kept from starting cannot be joined, and ends by `closed`

    # --- the thread ------------------------------------------------------------------------------------------------

    def _work(self, closed: threading.Event) -> None:
        is_again = False
        while not closed.is_set():
            try:
                if is_again:  # what happened while nobody listened, or where no listener can be had
                    self._look(self._store.engine)
                self._listen(self._store.engine, closed)
            except StoreError as error:
                _log.info("the store does not answer; whoever waits for jobs goes on waiting: %s", error)
            except Exception:  # noqa: BLE001 - those who wait must not wait for ever for a defect
                _log.exception("the thread that hears of jobs met an error and goes on")
            is_again = True
            closed.wait(_LISTEN_AGAIN_SECONDS)

    def _listen(self, engine: Engine, closed: threading.Event) -> None:
        with closing(engine.listen(self.role)) as listener:
            self._listener = listener
            self._look_at = engine.clock.monotonic() + engine.idle_poll
            self._is_listening.set()
            while not closed.is_set():
                self._hear(engine, self._receive(engine, listener))

    def _receive(self, engine: Engine, listener: Listener) -> set[str]:
        if self._waits:
            return listener.receive(max(0.0, self._look_at - engine.clock.monotonic()))
        heard = listener.receive(None)
        self._look_at = engine.clock.monotonic() + engine.idle_poll
        return heard

    def _hear(self, engine: Engine, messages: set[str]) -> None:
        if "" in messages:
            self._look_at = min(self._look_at, self._rested_at)
        self._tell({job_id for message in messages for job_id in message.split()})
        if engine.clock.monotonic() >= self._look_at:
            self._look(engine)

    def _look(self, engine: Engine) -> None:
        began = engine.clock.monotonic()
        with self._lock:
            ids = list(self._waits)
        if ids:
            self._tell(self._changed(engine, ids))
        ended = engine.clock.monotonic()
        took = ended - began
        self._look_at = ended + max(engine.idle_poll, min(_PAUSE * took, _LONGEST_PAUSE_SECONDS))
        self._rested_at = ended + (min(_REST * took, _LONGEST_REST_SECONDS) if took > _QUICK_SECONDS else 0.0)

    def _changed(self, engine: Engine, job_ids: Sequence[str]) -> set[str]:
        """Return those of the jobs that there is news of, by one look at all of them: here, that are final or gone."""
        return set(job_ids) - engine.read(lambda tx: still_unfinished(tx, job_ids))

    def _tell(self, job_ids: set[str]) -> None:
        told: dict[Watch, list[str]] = {}
        with self._lock:
            for job_id in job_ids:
                for watch in self._waits.get(job_id, ()):
                    told.setdefault(watch, []).append(job_id)
        for watch, ids in told.items():
            watch.tell(ids)


class Follower(Watcher):
    """Hears of whatever happens to jobs: ends, claims, what puts jobs back, words of their progress."""

    role = "follower"

    def _let_go(self) -> None:
        super()._let_go()
        self._seen: dict[str, Row | None] = {}

    def _changed(self, engine: Engine, job_ids: Sequence[str]) -> set[str]:
        """Return those of the jobs that are not what they were at the last look."""
        found = engine.read(lambda tx: glance_at_jobs(tx, job_ids))
        before, self._seen = self._seen, {job_id: found.get(job_id) for job_id in job_ids}
        return {job_id for job_id, seen in self._seen.items() if job_id not in before or before[job_id] != seen}


class NobodyWorks:
    """In tests there is nothing to hear of: what is not final when it is asked for will not be."""

    def __init__(self, refuse: Callable[[Sequence[str]], None]) -> None:
        self._refuse = refuse

    def begin(self, watch: Watch) -> None:
        """Have every job looked at."""
        watch.tell(watch.job_ids)

    def mark(self, watch: Watch, job_ids: Sequence[str]) -> None:
        """Have the jobs looked at again."""
        watch.tell(job_ids)

    def drop(self, watch: Watch, job_ids: Iterable[str]) -> None:
        """Look at these no more."""
        watch.job_ids.difference_update(job_ids)

    def end(self, watch: Watch) -> None:
        """Nothing is kept."""

    def check(self, watch: Watch) -> None:
        """Raise `ResultTimeout`, which says how to run a job that is not final; look again when all are."""
        self._refuse(sorted(watch.job_ids))
        watch.tell(watch.job_ids)


def _named(watch: Watch) -> str:
    ids = sorted(watch.job_ids)
    return f"job {ids[0]} was" if len(ids) == 1 else f"{len(ids)} jobs were"
