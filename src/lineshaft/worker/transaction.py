"""Transactional completion: what a job writes in the store's database commits together with its completion.

The transaction stays open when its block ends; it is committed, with the job's completion in it, when the function
returns, and rolled back when the function raises after all. A worker that lost the job cannot commit.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import anyio.to_thread

from lineshaft.config import Retention
from lineshaft.current import joined
from lineshaft.engines.base import AsyncTransaction, Engine, Tx
from lineshaft.errors import ConfigError, LeaseLostError, StoreError
from lineshaft.feature import Feature, show
from lineshaft.store.finish import write_transitions
from lineshaft.transitions import Complete
from lineshaft.worker.ended import ended_job
from lineshaft.worker.run import Run

# A transaction on SQLite holds its one writer: everybody else who wants to write waits for it.
SQLITE_LIMIT_SECONDS: Final = 5.0


class HeldTransaction:
    """A job's transaction between the end of its block and the end of its function."""

    def __init__(self, engine: Engine, retention: Retention, features: Sequence[Feature] = ()) -> None:
        self._engine, self._retention, self._features = engine, retention, features
        # A lock of the engine is given back by the thread that took it: an async job has no thread of its own.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lineshaft-transaction")
        self._block: AbstractContextManager[Tx] = engine.transaction()
        self._timer: threading.Timer | None = None
        self._is_over = False
        self.is_too_long = False

    def begin(self) -> Tx:
        """Open the transaction."""
        self.tx = self._thread.submit(self._block.__enter__).result()
        if self._engine.dialect == "sqlite":
            self._timer = threading.Timer(SQLITE_LIMIT_SECONDS, self._interrupt)
            self._timer.daemon = True
            self._timer.start()
        return self.tx

    def complete(self, run: Run, result: str | None) -> None:
        """Write the completion and commit; raises `LeaseLostError`, after rolling back, when the job is not ours."""
        self._thread.submit(self._complete, run, result).result()

    def roll_back(self, error: BaseException) -> None:
        """Undo everything that is not committed."""
        try:
            leaving = self._thread.submit(self._leave, error)
        except RuntimeError:  # shut down: the completion that a stop interrupted has ended the transaction
            return
        leaving.result()

    def _complete(self, run: Run, result: str | None) -> None:
        try:
            self._write(run, result)
        except BaseException as error:
            self._leave(error)
            raise
        self._leave(None)

    def _write(self, run: Run, result: str | None) -> None:
        if self.is_too_long:
            msg = f"the job held SQLite's one writer for more than {SQLITE_LIMIT_SECONDS:g} s and was rolled back"
            raise StoreError(msg)
        write_completion(self.tx, run, result, self._retention, self._engine.clock.now(), self._features)

    def _leave(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._block.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except BaseException as raised:
            if raised is not error:
                raise
        finally:
            self._thread.shutdown(wait=False)

    def _interrupt(self) -> None:
        self.is_too_long = True
        self.tx.connection.interrupt()  # type: ignore[attr-defined]


class AsyncHeldTransaction:
    """The same for a coroutine function on an engine whose connections can be awaited."""

    def __init__(
        self, engine: Engine, retention: Retention, features: Sequence[Feature], transaction: AsyncTransaction
    ) -> None:
        self._engine, self._retention, self._features = engine, retention, features
        self._transaction = transaction

    async def begin(self) -> Tx:
        """Open the transaction."""
        self._tx = await self._transaction.begin()
        return self._tx

    async def acomplete(self, run: Run, result: str | None) -> None:
        """As `HeldTransaction.complete`."""
        try:
            now = self._engine.clock.now()
            complete = partial(write_completion, self._tx, run, result, self._retention, now, self._features)
            await anyio.to_thread.run_sync(complete)
        except BaseException:
            await self.aroll_back()
            raise
        await self._transaction.commit()

    async def aroll_back(self) -> None:
        """As `HeldTransaction.roll_back`."""
        with anyio.CancelScope(shield=True):
            await self._transaction.roll_back()


def write_completion(
    tx: Tx, run: Run, result: str | None, retention: Retention, now: int, features: Sequence[Feature] = ()
) -> None:
    """Write a job's completion in its own transaction; raises `LeaseLostError` when the job is not ours any more."""
    held, done = run.claimed.held, Complete(run.claimed.held, result)
    kept = run.options.keep_result or retention.completed
    if not write_transitions(tx, [done], worker=held.worker, now=now, keep=lambda _: now + kept):
        msg = f"job {run.id} was given to another worker meanwhile; what this attempt wrote is rolled back"
        raise LeaseLostError(msg)
    show(features, tx, [ended_job(run.claimed, done, now)], now)


class JobTransactions:
    """Opens the one transaction that a job may have."""

    def __init__(self, engine: Engine, retention: Retention, features: Sequence[Feature] = ()) -> None:
        self._engine, self._retention, self._features = engine, retention, features

    @contextmanager
    def open(self, run: Run) -> Iterator[Any]:
        """Open the transaction of a plain job for the length of a block; it commits when the function returns."""
        with run.unstoppable():
            held = self._hold(run)
            tx = held.begin()
        with self._inside(run, held, tx) as connection:
            yield connection

    @asynccontextmanager
    async def aopen(self, run: Run) -> AsyncIterator[Any]:
        """As `open`, for coroutine functions: psycopg's asynchronous connection, or sqlite3's plain one."""
        transaction = self._engine.async_transaction()
        if transaction is None:
            held = self._hold(run)
            tx = await anyio.to_thread.run_sync(held.begin)
            with self._inside(run, held, tx) as connection:
                yield connection
            return
        self._refuse_second(run)
        run.held_transaction = aheld = AsyncHeldTransaction(self._engine, self._retention, self._features, transaction)
        token = joined.set(await aheld.begin())
        try:
            yield transaction.connection
        except BaseException:
            run.held_transaction = None
            await aheld.aroll_back()
            raise
        finally:
            joined.reset(token)

    def _hold(self, run: Run) -> HeldTransaction:
        self._refuse_second(run)
        run.held_transaction = held = HeldTransaction(self._engine, self._retention, self._features)
        return held

    @staticmethod
    def _refuse_second(run: Run) -> None:
        if run.held_transaction is not None:
            msg = f"job {run.id} opened a second transaction; a job has one, which commits when its function returns"
            raise ConfigError(msg)

    @contextmanager
    def _inside(self, run: Run, held: HeldTransaction, tx: Tx) -> Iterator[Any]:
        token = joined.set(tx)
        try:
            yield tx.connection  # type: ignore[attr-defined]
        except BaseException as error:
            with run.unstoppable():
                held.roll_back(error)
                run.held_transaction = None
            raise
        finally:
            joined.reset(token)
