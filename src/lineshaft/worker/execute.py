"""Running one attempt, step by step: rebuild the arguments, call through the middleware, store the result."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import anyio.to_thread

from lineshaft.blobs import noted, taken
from lineshaft.context import restored
from lineshaft.current import running
from lineshaft.errors import ArgumentsError, LeaseLostError, LineshaftError, PayloadError
from lineshaft.feature import Feature
from lineshaft.injection import aprovided, provided
from lineshaft.outcomes import (
    Cancelled,
    Done,
    Failed,
    GiveUp,
    Interrupted,
    JobError,
    Outcome,
    Rejected,
    RetryLater,
    Settled,
    Snooze,
    Snoozed,
    Stopped,
    TimedOut,
    describe,
)
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Middleware, Runtime
from lineshaft.worker.transaction import AsyncHeldTransaction, HeldTransaction, JobTransactions

_log = logging.getLogger("lineshaft.worker")
# From our own `_call` to the user's function: frames that would only stand before every traceback.
_OWN_FRAMES: Final = 2

Bound = tuple[Sequence[Any], Mapping[str, Any]]


def execute(run: Run, runtime: Runtime) -> Outcome:
    """Run an attempt of a plain function in this thread and return how it ended."""
    return contextvars.Context().run(_execute, run, runtime)


def _execute(run: Run, runtime: Runtime) -> Outcome:
    running.set(run)
    run.transactions = JobTransactions(runtime.engine, runtime.retention, runtime.features)
    try:
        restored(run.claimed.context, runtime.context)
        args, kwargs = _arguments(run)
        result = _result(run, _call(run, runtime, args, kwargs))
        if noted.blobs and result is not None:
            result = _with_blobs(run, runtime, result)()
        return _completed(run, result)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises becomes its outcome
        _read_error(run, runtime.features, error)
        return rolled_back(run, error)


async def aexecute(run: Run, runtime: Runtime) -> Outcome:
    """Run an attempt of a coroutine function on this event loop; the task that runs it has a context of its own."""
    running.set(run)
    run.transactions = JobTransactions(runtime.engine, runtime.retention, runtime.features)
    try:
        restored(run.claimed.context, runtime.context)
        args, kwargs = _arguments(run)
        result = _result(run, await _acall(run, runtime, args, kwargs))
        if noted.blobs and result is not None:
            result = await anyio.to_thread.run_sync(_with_blobs(run, runtime, result))
        return await _acompleted(run, result)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises becomes its outcome
        _read_error(run, runtime.features, error)
        return await _arolled_back(run, error)


def _arguments(run: Run) -> Bound:
    try:
        return run.task.signature.load(run.claimed.args)
    except ArgumentsError as error:
        raise _RefusedError(error) from error


def _result(run: Run, value: Any) -> str | None:
    if run.options.keep_result == 0:
        return None
    try:
        return run.task.signature.dump_result(value)
    except PayloadError as error:
        raise _RefusedError(error) from error


def _with_blobs(run: Run, runtime: Runtime, result: str) -> Callable[[], str]:
    """Return what writes the large values of a result: before the completion is written, so that none is missing."""
    blobs = taken(result)
    return lambda: runtime.depot.writer(run.clock.now()).settle(result, blobs, run.id)


def _completed(run: Run, result: str | None) -> Outcome:
    held = run.held_transaction
    if not isinstance(held, HeldTransaction):
        return Done(result)
    with run.unstoppable():
        held.complete(run, result)
        run.held_transaction = None  # only now: what is not committed has to be rolled back
    return Settled()


async def _acompleted(run: Run, result: str | None) -> Outcome:
    if not isinstance(run.held_transaction, AsyncHeldTransaction):
        is_held = run.held_transaction is not None
        return await anyio.to_thread.run_sync(_completed, run, result) if is_held else Done(result)
    held, run.held_transaction = run.held_transaction, None
    await held.acomplete(run, result)
    return Settled()


def _read_error(run: Run, features: Sequence[Feature], error: BaseException) -> None:
    """Have the features whose limits concern a job note what they want to know of its error, while it is at hand."""
    for feature in features:
        if feature.limits(run.options):
            try:
                run.signals = {**(run.signals or {}), **feature.read_error(run.options, error)}
            except Exception:  # noqa: BLE001 - a user's error may break when it is looked at
                _log.exception("the error of job %s (%s) cannot be read", run.id, run.name)


def rolled_back(run: Run, error: BaseException) -> Outcome:
    """Roll back what the job's transaction has not committed and return what the error means."""
    held = run.held_transaction
    if isinstance(held, HeldTransaction):
        with run.unstoppable():
            held.roll_back(error)
    run.held_transaction = None
    if run.on_error is not None:
        run.on_error(run, error.why if isinstance(error, _RefusedError) else error)
    return failed(run, error)


async def _arolled_back(run: Run, error: BaseException) -> Outcome:
    if isinstance(run.held_transaction, AsyncHeldTransaction):
        await run.held_transaction.aroll_back()
    return rolled_back(run, error)


class _RefusedError(Exception):
    """The job's arguments or its result do not fit: trying again cannot help."""

    def __init__(self, why: LineshaftError) -> None:
        super().__init__(str(why))
        self.why = why


def _call(run: Run, runtime: Runtime, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    task = run.task
    if not runtime.middleware and not task.injections:
        return task.func(*args, **kwargs)

    def innermost() -> Any:
        with provided(task.injections, runtime.providers, kwargs) as values:
            return task.func(*args, **values, **kwargs)

    return _wrapped(run, runtime.middleware, innermost)()


def _wrapped(run: Run, middleware: Sequence[Middleware], innermost: Callable[[], Any]) -> Callable[[], Any]:
    call = innermost
    for one in reversed(middleware):
        call = _wrap(run, one, call)
    return call


def _wrap(run: Run, middleware: Middleware, call_next: Callable[[], Any]) -> Callable[[], Any]:
    if not inspect.iscoroutinefunction(middleware):
        return lambda: middleware(run, call_next)

    async def acall_next() -> Any:
        return call_next()

    return lambda: asyncio.run(middleware(run, acall_next))


async def _acall(run: Run, runtime: Runtime, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    task = run.task
    if not runtime.middleware and not task.injections:
        return await task.func(*args, **kwargs)

    async def innermost() -> Any:
        async with aprovided(task.injections, runtime.providers, kwargs) as values:
            return await task.func(*args, **values, **kwargs)

    call: Callable[[], Awaitable[Any]] = innermost
    for one in reversed(runtime.middleware):
        call = _awrap(run, one, call)
    return await call()


def _awrap(run: Run, middleware: Middleware, call_next: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    if inspect.iscoroutinefunction(middleware):
        return lambda: middleware(run, call_next)

    async def in_thread() -> Any:
        loop = asyncio.get_running_loop()

        def blocking_next() -> Any:
            return asyncio.run_coroutine_threadsafe(_as_coroutine(call_next), loop).result()

        return await asyncio.to_thread(middleware, run, blocking_next)

    return in_thread


async def _as_coroutine(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


def failed(run: Run, error: BaseException) -> Outcome:
    """Return what an error that a job raised means."""
    match error:
        case Cancelled() | asyncio.CancelledError() if run.stop_cause is not None:
            return stopped(run, error)
        case Snooze():
            return Snoozed(error.delay)
        case _RefusedError():
            return Rejected(describe(error.why, run.attempt, run.clock.now()))
        case LeaseLostError():
            return Interrupted()  # writes nothing: the fence refuses it too
        case RetryLater():
            return Failed(_described(run, error), error.delay, run.options.retry.max_attempts)
        case GiveUp():
            return Failed(_described(run, error), None, run.options.retry.max_attempts)
        case _:
            return _by_policy(run, error)


def stopped(run: Run, error: BaseException) -> Outcome:
    """Return what the end of a job that was told to stop means."""
    match run.stop_cause:
        case "timeout":
            seconds = (run.options.timeout or 0) / 1_000_000
            timeout = TimeoutError(f"the attempt ran longer than its timeout of {seconds:g} s").with_traceback(
                error.__traceback__
            )
            return TimedOut(_described(run, timeout), _wait(run, timeout), run.options.retry.max_attempts)
        case "shutdown":
            return Interrupted()
        case _:
            return Stopped()


def _by_policy(run: Run, error: BaseException) -> Outcome:
    # SystemExit, KeyboardInterrupt and other BaseExceptions end the attempt like any error: the worker goes on.
    wants = run.options.retry.wants(error) if isinstance(error, Exception) else run.options.retry.wants(Exception())
    return Failed(_described(run, error), _wait(run, error) if wants else None, run.options.retry.max_attempts)


def _wait(run: Run, error: BaseException) -> int:
    """Ask the policy how long to wait; a policy that breaks must not cost the job its next attempt."""
    try:
        return run.options.retry.wait(run.attempt, error)
    except Exception:  # noqa: BLE001 - a user's function
        _log.exception("the backoff of task %s failed; waiting 10 s", run.name)
        return 10_000_000


def _described(run: Run, error: BaseException) -> JobError:
    return describe(error, run.attempt, run.clock.now(), skip_frames=_OWN_FRAMES)
