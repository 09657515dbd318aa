"""The one place where asynchronous callers cross to the synchronous store: a few threads, on any event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio.lowlevel
import anyio.to_thread

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

_THREADS: Final = 8
_limiters: Final[anyio.lowlevel.RunVar[anyio.CapacityLimiter]] = anyio.lowlevel.RunVar("lineshaft_store_threads")


async def in_store_thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in one of the loop's store threads.

    A caller that is cancelled meanwhile goes on waiting until the call is over: what it did to the store is known.
    """
    return await anyio.to_thread.run_sync(partial(call, *args, **kwargs), limiter=_limiter())


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _limiters.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_THREADS)
        _limiters.set(limiter)
        return limiter


def twin(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Awaitable[T]]:
    """Make the asynchronous twin of a method; a class says `aget = twin` of its `get`."""

    async def amethod(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await in_store_thread(method, self, *args, **kwargs)

    amethod.__name__ = f"a{method.__name__}"
    amethod.__doc__ = f"As `{method.__name__}`."
    return amethod
