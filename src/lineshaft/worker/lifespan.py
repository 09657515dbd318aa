"""Users' lifespans: what has to be set up once in each worker process and each child, and torn down at its end."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any

from lineshaft.worker.runtime import Lifespan


class Lifespans:
    """Enters generators before the first job and leaves them after the last, in reverse order.

    Async ones run on `loop` where one is given, else on a loop of their own.
    """

    def __init__(self, lifespans: Sequence[Lifespan], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._lifespans = lifespans
        self._stack = ExitStack()
        self._loop = loop

    def enter(self) -> None:
        """Run each up to its `yield`; raises what one of them raises, after leaving those before it."""
        try:
            for one in self._lifespans:
                if inspect.isasyncgenfunction(one):
                    self._enter_async(one)
                else:
                    self._stack.enter_context(contextmanager(one)())
        except BaseException:
            self._stack.close()
            raise

    def exit(self) -> None:
        """Run each from its `yield` to its end."""
        self._stack.close()

    def _enter_async(self, lifespan: Lifespan) -> None:
        run = self._runner()
        stack = AsyncExitStack()
        run(stack.enter_async_context(asynccontextmanager(lifespan)()))
        self._stack.callback(lambda: run(stack.aclose()))

    def _runner(self) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="lineshaft-lifespan", daemon=True).start()
        loop = self._loop
        return lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result()
