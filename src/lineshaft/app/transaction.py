"""Transactions on the store's database outside of jobs: what is enqueued inside joins them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from lineshaft.current import joined
from lineshaft.engines.base import Engine


@contextmanager
def joined_transaction(engine: Engine) -> Iterator[Any]:
    """Open a transaction for the length of a block and give the driver's connection."""
    with engine.transaction() as tx:
        token = joined.set(tx)
        try:
            yield tx.connection  # type: ignore[attr-defined]
        finally:
            joined.reset(token)


@asynccontextmanager
async def ajoined_transaction(engine: Engine) -> AsyncIterator[Any]:
    """As `joined_transaction`, on a connection that is awaited where the driver has one."""
    transaction = engine.async_transaction()
    if transaction is None:
        with joined_transaction(engine) as connection:
            yield connection
        return
    token = joined.set(await transaction.begin())
    try:
        yield transaction.connection
        await transaction.commit()
    except BaseException:
        await transaction.roll_back()
        raise
    finally:
        joined.reset(token)
