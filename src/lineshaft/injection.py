"""Filling the parameters whose default is `Inject(provider)`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from lineshaft.task import Injected, Task

Overrides = Mapping[Callable[..., Any], Callable[..., Any]]


def call_injected(
    task: Task[Any, Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any], overrides: Overrides
) -> Any:
    """Call a task's function with what its providers give; a coroutine function gives a coroutine, as usual."""
    if task.is_async:
        return _acall(task, args, kwargs, overrides)
    with provided(task.injections, overrides, kwargs) as values:
        return task.func(*args, **{**values, **kwargs})


async def _acall(
    task: Task[Any, Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any], overrides: Overrides
) -> Any:
    async with aprovided(task.injections, overrides, kwargs) as values:
        return await task.func(*args, **{**values, **kwargs})


@contextmanager
def provided(
    injections: Mapping[str, Injected], overrides: Overrides, given: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Give the values for the parameters that are not given; generators clean up at the end of the block."""
    with ExitStack() as stack:
        yield {
            name: _enter(stack, overrides.get(one.provider, one.provider))
            for name, one in injections.items()
            if name not in given
        }


def _enter(stack: ExitStack, provider: Callable[..., Any]) -> Any:
    if inspect.isgeneratorfunction(provider):
        return stack.enter_context(contextmanager(provider)())
    if inspect.iscoroutinefunction(provider) or inspect.isasyncgenfunction(provider):
        msg = f"the provider {provider.__qualname__} is async; a plain 'def' task needs a plain provider"
        raise ConfigError(msg)
    return provider()


@asynccontextmanager
async def aprovided(
    injections: Mapping[str, Injected], overrides: Overrides, given: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """As `provided`, for coroutine functions."""
    async with AsyncExitStack() as stack:
        values = {}
        for name, one in injections.items():
            if name not in given:
                values[name] = await _aenter(stack, overrides.get(one.provider, one.provider))
        yield values


async def _aenter(stack: AsyncExitStack, provider: Callable[..., Any]) -> Any:
    if inspect.isasyncgenfunction(provider):
        return await stack.enter_async_context(asynccontextmanager(provider)())
    if inspect.isgeneratorfunction(provider):
        return stack.enter_context(contextmanager(provider)())
    value = provider()
    return await value if inspect.isawaitable(value) else value
