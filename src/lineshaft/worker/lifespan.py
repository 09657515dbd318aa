"""Users' lifespans: what has to be set up once in each worker process and each child, and torn down at its end."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Final

from lineshaft.worker.runtime import Lifespan

_log = logging.getLogger("lineshaft.worker")

# A job that blocks the event loop must not keep the worker from ending.
_EXIT_SECONDS: Final = 10


class Lifespans:
    """Enters generators before the first job and leaves them after the last, in reverse order.

    Async ones run on the loop that `get_loop` gives, which runs in another thread.
    """

    def __init__(self, lifespans: Sequence[Lifespan], get_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._lifespans = lifespans
        self._stack = ExitStack()
        self._get_loop = get_loop

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

    def leave(self) -> None:
        """As `exit`; what a user's function raises is logged."""
        try:
            self.exit()
        except Exception:  # noqa: BLE001 - a worker must end whatever a lifespan does
            _log.exception("a lifespan failed at its end")

    def _enter_async(self, lifespan: Lifespan) -> None:
        loop = self._get_loop()
        stack = AsyncExitStack()
        entering = stack.enter_async_context(asynccontextmanager(lifespan)())
        asyncio.run_coroutine_threadsafe(entering, loop).result()
        self._stack.callback(lambda: asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(_EXIT_SECONDS))
