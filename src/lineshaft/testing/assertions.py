"""What a test says of an app's jobs: which were enqueued, and which were not."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypedDict, TypeVar, Unpack

from lineshaft.app import Lineshaft
from lineshaft.app.testing import Testing, active
from lineshaft.clock import Duration, to_micros
from lineshaft.errors import ConfigError
from lineshaft.job import Job
from lineshaft.options import Options, PriorityName
from lineshaft.task import Task
from lineshaft.transitions import State

R = TypeVar("R")
AnyTask = Task[Any, Any, R]

_MOST_SHOWN: Final = 10


class Filters(TypedDict, total=False):
    """What else a job has to agree with; see `all_enqueued`."""

    queue: str | None
    priority: int | PriorityName | None
    tags: Sequence[str] | None
    meta: Mapping[str, Any] | None
    tenant: str | None
    delay: Duration | None
    run_at: datetime | None
    state: State | str | None


def assert_enqueued(
    task: AnyTask[R] | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    count: int | None = None,
    **filters: Unpack[Filters],
) -> Job[R]:
    """Fail unless a job of this task was enqueued in the innermost `app.testing()` block, and return the newest one.

    What is given has to agree, what is not given does not count: `args=(7,)` compares the first argument only,
    whether it was passed by position or by name, and `unittest.mock.ANY` agrees with all. `count` wants exactly so
    many jobs. The filters are those of `all_enqueued`. Raises `AssertionError`, which lists what was enqueued instead,
    and `ConfigError` outside of a block.
    """
    found = all_enqueued(task, args=args, kwargs=kwargs, **filters)
    if not found or count not in (None, len(found)):
        wanted = _wanted(task, args, kwargs, filters)
        times = "no job was" if not found else f"{len(found)} and not {count} jobs were"
        raise AssertionError(f"{times} enqueued as {wanted}\n{_seen(_block_of(task))}")
    return found[-1]


def refute_enqueued(
    task: AnyTask[Any] | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **filters: Unpack[Filters],
) -> None:
    """Fail if a job of this task was enqueued in the innermost `app.testing()` block; see `assert_enqueued`."""
    found = all_enqueued(task, args=args, kwargs=kwargs, **filters)
    if found:
        wanted = _wanted(task, args, kwargs, filters)
        many = "a job was" if len(found) == 1 else f"{len(found)} jobs were"
        raise AssertionError(f"{many} enqueued as {wanted}, and none should be\n{_seen(_block_of(task))}")


def all_enqueued(
    task: AnyTask[R] | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
    priority: int | PriorityName | None = None,
    tags: Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
    tenant: str | None = None,
    delay: Duration | None = None,
    run_at: datetime | None = None,
    state: State | str | None = None,
) -> list[Job[R]]:
    """Return the jobs of a task that were enqueued in the innermost `app.testing()` block, the oldest first.

    They count in every state, also when they have run, unless `state` names one. `args` and `kwargs` as in
    `assert_enqueued`; `tags` and `meta` have to be among the job's; `delay` is from the enqueue to the time of the
    job's first run, `run_at` that time: jobs that are retried have other ones. Raises `ConfigError` outside of a block.
    """
    block = _block_of(task)
    name = task if isinstance(task, str) else task.name
    state = None if state is None else State(state)
    rank = None if priority is None else Options().but(priority=priority).priority
    span = None if delay is None else to_micros(delay, "delay")
    return [
        job
        for job in block.jobs
        if job.name == name
        and (queue is None or job.queue == queue)
        and (rank is None or job.priority == rank)
        and set(tags or ()) <= set(job.tags)
        and (meta or {}).items() <= job.meta.items()
        and (tenant is None or job.tenant == tenant)
        and (span is None or (job.run_at - job.created_at).total_seconds() * 1_000_000 == span)
        and (run_at is None or job.run_at == run_at)
        and (state is None or job.state is state)
        and _has_arguments(task, job, args or (), kwargs or {})
    ]


def _has_arguments(task: AnyTask[Any] | str, job: Job[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    if isinstance(task, str):
        positional, keyword = job.args
        same = list(args) == positional[: len(args)]
        return same and all(name in keyword and keyword[name] == value for name, value in kwargs.items())
    signature = inspect.signature(task.func)
    try:
        wanted = signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        msg = f"task {task.name!r} takes no such arguments: {error}"
        raise ConfigError(msg) from None
    positional, keyword = job.args
    rebuilt_args, rebuilt_kwargs = task.signature.rebuild(positional, keyword)
    stored = signature.bind_partial(*rebuilt_args, **rebuilt_kwargs)
    stored.apply_defaults()
    return all(name in stored.arguments and stored.arguments[name] == value for name, value in wanted.items())


def _block_of(task: AnyTask[Any] | str) -> Testing:
    blocks = active()
    if isinstance(task, str):
        apps = {id(one.app) for one in blocks}
        found = blocks[-1] if len(apps) == 1 else None
        hint = "give the task itself, for several apps are under test" if apps else "no app is under test"
    else:
        found = next((one for one in reversed(blocks) if knows(one.app, task)), None)
        hint = "its app is not under test"
    if found is None:
        name = task if isinstance(task, str) else task.name
        msg = f"nothing is known of {name!r}: {hint}; say so inside 'with app.testing(…)'"
        raise ConfigError(msg)
    return found


def knows(app: Lineshaft, task: AnyTask[Any]) -> bool:
    """Tell whether a task is one of the app's."""
    return any(known is task for known in app)


def _wanted(
    task: AnyTask[Any] | str,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    filters: Mapping[str, Any],
) -> str:
    given = {"args": args, "kwargs": kwargs, **filters}
    said = "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
    return f"({task if isinstance(task, str) else task.name}{said})"


def _seen(block: Testing) -> str:
    jobs = block.jobs
    lines = [f"  {job.name}{_call(job)} {job.state}, queue {job.queue}" for job in jobs[:_MOST_SHOWN]]
    rest = [f"  … and {len(jobs) - _MOST_SHOWN} more"] if len(jobs) > _MOST_SHOWN else []
    return "\n".join(["enqueued are:", *(lines or ["  none"]), *rest])


def _call(job: Job[Any]) -> str:
    positional, keyword = job.args
    return "(" + ", ".join([*map(repr, positional), *(f"{name}={value!r}" for name, value in keyword.items())]) + ")"
