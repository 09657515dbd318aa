"""Running one job by itself, in a test."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, overload

from lineshaft.app import Lineshaft
from lineshaft.app.testing import Testing, active
from lineshaft.errors import TaskError, UnknownTaskError
from lineshaft.newjob import NewJob
from lineshaft.task import Task
from lineshaft.testing.assertions import knows

R = TypeVar("R")
AnyTask = Task[Any, Any, R]


@overload
def perform(job: NewJob[R], /, *, attempt: int = 1) -> R: ...
@overload
def perform(task: AnyTask[R], /, *args: Any, attempt: int = 1, **kwargs: Any) -> R: ...
def perform(what: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Run one job here and now, and return its result; raises what it raises, `Snooze` and `RetryLater` too.

    The job goes the way of every other one: its arguments are stored and rebuilt, middleware, lifespans, `Inject` and
    `current_job()` work as in a worker. `attempt` is the number of the attempt, as if those before had failed. Delays
    and `unique` do not count, and the job is forgotten afterwards. Give a task with its arguments, or
    `task.options(…).new(…)`, which type-checkers check. A task's own parameter named `attempt` wins: use `.new` there.
    Inside an `app.testing()` block it runs in that block, otherwise in one of its own.
    """
    new_job, attempt = _new_job(what, args, kwargs)
    with _block_for(new_job) as block:
        return block.perform(new_job, attempt)


@overload
async def aperform(job: NewJob[R], /, *, attempt: int = 1) -> R: ...
@overload
async def aperform(task: AnyTask[R], /, *args: Any, attempt: int = 1, **kwargs: Any) -> R: ...
async def aperform(what: Any, /, *args: Any, **kwargs: Any) -> Any:
    """As `perform`; an `async def` task runs on the event loop that awaits it."""
    new_job, attempt = _new_job(what, args, kwargs)
    with _block_for(new_job) as block:
        return await block.aperform(new_job, attempt)


def _new_job(what: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[NewJob[Any], int]:
    if isinstance(what, NewJob):
        return what, kwargs.get("attempt", 1)
    if not isinstance(what, Task):
        msg = f"perform({what!r}) needs a task, or what its .new(…) returns"
        raise TaskError(msg)
    attempt = 1 if "attempt" in what.signature.names else kwargs.pop("attempt", 1)
    return what.new(*args, **kwargs), attempt


def _block_for(new_job: NewJob[Any]) -> AbstractContextManager[Testing]:
    task = new_job.task
    if task is None:
        msg = f"no task is named {new_job.name!r} here, so its job cannot be performed here"
        raise UnknownTaskError(msg)
    block = next((one for one in reversed(active()) if knows(one.app, task)), None)
    if block is not None:
        return nullcontext(block)
    app = task._app  # noqa: SLF001 - what a task is enqueued through; it raises where there is none
    assert isinstance(app, Lineshaft)
    return app.testing("manual")
