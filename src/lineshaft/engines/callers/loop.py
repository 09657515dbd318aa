"""From a store thread to the event loop that an async connection belongs to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Loop:
    """The caller's event loop; None for sync connections, which never ask it for anything."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, from another thread, and return its result.

        Raises `ConfigError` on the loop's own thread, where it would wait for itself.
        """
        assert self._loop is not None
        if _running_loop() is self._loop:
            coroutine.close()
            msg = "this would block the event loop that it waits for: await aenqueue(…) inside atransaction()"
            raise ConfigError(msg)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
