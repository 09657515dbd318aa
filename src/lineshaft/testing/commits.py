"""Steps in around every transaction of an engine, from the outside: there faults are injected and crashes placed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from lineshaft.engines.base import AsyncTransaction, Engine, Tx


class Watcher(Protocol):
    """What is called at the edges of a transaction, in the thread that runs it; what it raises goes to the caller."""

    def opening(self) -> None:
        """Nothing was done yet."""

    def committing(self) -> None:
        """All statements have run; what is raised here rolls them back."""

    def committed(self) -> None:
        """The commit is done; what is raised here is an answer that got lost."""


@contextmanager
def around_commits(engine: Engine, watcher: Watcher) -> Iterator[None]:
    """Call the watcher around each transaction of the engine for the length of the block."""
    with ExitStack() as undo:
        _step_in(undo, engine, "transaction", lambda call: _transaction(call, watcher))
        _step_in(undo, engine, "reading", lambda call: _reading(call, watcher))
        _step_in(undo, engine, "async_transaction", lambda call: _async_transaction(call, watcher))
        if type(engine).write_apart is not Engine.write_apart:  # else it is a `transaction`
            _step_in(undo, engine, "write_apart", lambda call: _apart(call, watcher))
        yield


def _step_in(undo: ExitStack, engine: Engine, name: str, wrap: Callable[[Any], Any]) -> None:
    before = vars(engine).get(name)
    setattr(engine, name, wrap(getattr(engine, name)))
    undo.callback(lambda: delattr(engine, name) if before is None else setattr(engine, name, before))


def _transaction(call: Callable[[], AbstractContextManager[Tx]], watcher: Watcher) -> Any:
    @contextmanager
    def transaction() -> Iterator[Tx]:
        watcher.opening()
        with call() as tx:
            yield tx
            watcher.committing()
        watcher.committed()

    return transaction


def _reading(call: Callable[[], AbstractContextManager[Tx]], watcher: Watcher) -> Any:
    @contextmanager
    def reading() -> Iterator[Tx]:
        watcher.opening()
        with call() as tx:
            yield tx

    return reading


def _apart(call: Callable[..., Any], watcher: Watcher) -> Any:
    def write_apart(operation: Callable[[Tx], Any]) -> Any:
        watcher.opening()
        watcher.committing()
        found = call(operation)
        watcher.committed()
        return found

    return write_apart


def _async_transaction(call: Callable[[], AsyncTransaction | None], watcher: Watcher) -> Any:
    def async_transaction() -> AsyncTransaction | None:
        transaction = call()
        if transaction is not None:
            setattr(transaction, "commit", _commit(transaction.commit, watcher))  # noqa: B010 - a method of its class
        return transaction

    return async_transaction


def _commit(call: Callable[[], Any], watcher: Watcher) -> Any:
    async def commit() -> None:
        watcher.committing()
        await call()
        watcher.committed()

    return commit
