"""A transaction on an asynchronous connection, for coroutine functions that write in the store's database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from lineshaft.engines.base import AsyncTransaction, Tx
from lineshaft.engines.callers.loop import Loop
from lineshaft.engines.callers.postgres import AsyncPsycopg, CallerTx
from lineshaft.engines.postgres.transaction import mapped_errors

Connect = Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]


class PostgresAsyncTransaction(AsyncTransaction):
    """Opened on the running loop; its statements may be handed over from other threads."""

    def __init__(self, connect: Connect, schema: str) -> None:
        self._connect, self._schema = connect, schema

    async def begin(self) -> Tx:
        """Connect and begin."""
        with mapped_errors():
            self.connection = await self._connect()
            await self.connection.execute("begin")
        loop = Loop(asyncio.get_running_loop())
        return CallerTx(AsyncPsycopg(self.connection, loop), self._schema)

    async def commit(self) -> None:
        """Commit and close the connection."""
        try:
            with mapped_errors():
                await self.connection.execute("commit")
        finally:
            await self.connection.close()

    async def roll_back(self) -> None:
        """Close the connection, which undoes what was not committed."""
        await self.connection.close()
