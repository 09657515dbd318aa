"""Locks that say which workers of a PostgreSQL store live: advisory locks, dropped when their session ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import psycopg

from lineshaft.clock import SystemClock
from lineshaft.engines.base import WorkerLock
from lineshaft.engines.fork import forget_after_fork
from lineshaft.engines.postgres.transaction import mapped_errors
from lineshaft.errors import StoreUnavailableError

_INCARNATION: Final = (
    # As in store/upkeep.postgres.sql: a crash of one session's process frees all locks, and begins statistics anew.
    "select concat_ws(' ', extract(epoch from pg_postmaster_start_time()),"
    " (select extract(epoch from stats_reset) from pg_stat_archiver)),"
    " (extract(epoch from clock_timestamp()) * 1000000)::bigint"
)


class AdvisoryLock(WorkerLock):
    """One worker's lock, taken anew first thing after its session broke."""

    def __init__(
        self, connect: Callable[[], psycopg.Connection[Any]], clock: SystemClock, lock_class: int, worker: int
    ) -> None:
        self._connect, self._clock, self._lock_class, self._worker = connect, clock, lock_class, worker
        self._session: psycopg.Connection[Any] | None = None
        self._inherited: psycopg.Connection[Any] | None = None
        forget_after_fork(self)

    def forget_connections(self) -> None:
        """Let go of the session in a forked child, whose copy of the socket would keep the lock of a dead parent."""
        self._inherited, self._session = self._session, None
        if self._inherited is not None and not self._inherited.closed:
            os.close(self._inherited.fileno())  # psycopg does not touch a session of another process

    def renew(self) -> str:
        """Check the session, take the lock where it is not held, and return which start of the server holds it.

        The clock follows the server's at the same time: machines drift apart, and a server's clock may be set.
        """
        try:
            if self._session is None:
                self._session = self._connect()
                self._take(self._session)
            return self._incarnation(self._session)
        except StoreUnavailableError:
            self.release()
            raise

    def _take(self, session: psycopg.Connection[Any]) -> None:
        with mapped_errors():
            row = session.execute(
                "select pg_try_advisory_lock(%s::int, %s::int)", (self._lock_class, self._worker)
            ).fetchone()
        if not (row and row[0]):
            # The server has not noticed yet that our former session is gone.
            msg = f"the lock of worker {self._worker} is still held by its former session; trying again"
            raise StoreUnavailableError(msg)

    def _incarnation(self, session: psycopg.Connection[Any]) -> str:
        before = self._clock.monotonic()
        with mapped_errors():
            row = session.execute(_INCARNATION).fetchone()
        assert row is not None
        self._clock.follow(row[1], before, self._clock.monotonic())
        return str(row[0])

    def release(self) -> None:
        """End the session, and the lock with it."""
        if self._session is not None:
            self._session.close()
            self._session = None
