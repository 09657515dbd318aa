"""Registering functions as tasks: the decorator, the names, and what is refused."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, Protocol, TypeVar, Unpack, overload

from lineshaft.clock import Duration
from lineshaft.errors import ScheduleError, TaskError, UnknownTaskError
from lineshaft.newjob import NewJob
from lineshaft.options import (
    UNSET,
    BreakerOption,
    ConcurrencyOption,
    DeclaredLimits,
    Lane,
    Options,
    PriorityName,
    RateOption,
    Unique,
)
from lineshaft.retry import Retry
from lineshaft.task import Task, is_nameless

if TYPE_CHECKING:
    from lineshaft.declaration import Declaration
    from lineshaft.options.schedule import DeclaredOptions

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=Task[Any, Any, Any])


class TaskRegistrar:
    """What an app and a `Tasks` collection share: the decorators `task` and `schedule`, and what they registered."""

    _prefix = ""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[Any, Any, Any]] = {}
        self._declarations: dict[str, Declaration] = {}
        self._declared_limits = DeclaredLimits()

    def __iter__(self) -> Iterator[Task[Any, Any, Any]]:
        """Iterate over the tasks in the order of their definition."""
        return iter(list(self._tasks.values()))

    @property
    def declarations(self) -> list[Declaration]:
        """The schedules that `schedule` has declared, in the order of their definition."""
        return list(self._declarations.values())

    @property
    def declared_limits(self) -> DeclaredLimits:
        """The limits that the tasks declare."""
        return self._declared_limits

    def find(self, name: str) -> Task[Any, Any, Any]:
        """Return the task of this name; raises `UnknownTaskError` when there is none."""
        try:
            return self._tasks[name]
        except KeyError:
            known = ", ".join(sorted(self._tasks)) or "none"
            msg = f"no task is named {name!r} here; known are: {known}"
            raise UnknownTaskError(msg) from None

    @overload
    def task(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, Coroutine[Any, Any, R], R]: ...
    @overload
    def task(self, func: Callable[P, R], /) -> Task[P, R, R]: ...
    @overload
    def task(
        self,
        *,
        name: str = ...,
        queue: str = ...,
        priority: int | PriorityName = ...,
        retry: Retry | None = ...,
        timeout: Duration | None = ...,
        delay: Duration | None = ...,
        run_at: datetime | None = ...,
        deadline: Duration | datetime | None = ...,
        unique: Unique | None = ...,
        tags: Sequence[str] = ...,
        meta: Mapping[str, Any] | None = ...,
        tenant: str | None = ...,
        runs_in: Lane | None = ...,
        keep_result: Duration | Literal[False] | None = ...,
        concurrency: ConcurrencyOption = ...,
        rate: RateOption = ...,
        breaker: BreakerOption = ...,
        fair_key: str | None = ...,
        on_success: NewJob[Any] | Sequence[NewJob[Any]] | None = ...,
        on_failure: NewJob[Any] | Sequence[NewJob[Any]] | None = ...,
    ) -> TaskDecorator: ...
    def task(self, func: Any = None, **options: Any) -> Any:
        """Register a function as a task, bare or with options.

        Raises `TaskError` for what cannot be a task, `ConfigError` for a wrong option, `TypeError` for an unknown one.
        """
        name = options.pop("name", UNSET)
        unknown = sorted(options.keys() - _TASK_OPTIONS)
        if unknown:
            msg = f"task() got an unexpected option {unknown[0]!r}; it takes name, {', '.join(sorted(_TASK_OPTIONS))}"
            raise TypeError(msg)
        checked = Options().but(**options)

        def register(target: Any) -> Any:
            return self._add(make_task(target, self._prefix, name, checked))

        return register if func is None else register(func)

    def schedule(self, **options: Unpack[DeclaredOptions]) -> Callable[[S], S]:
        """Enqueue a job of a task again and again: stands above `@app.task`, also several times.

        One of `cron`, `every`, `at` and `days` says when, with `since`, `time`, `timezone`, `calendar`, `on_closed`,
        `start` and `end` (docs/schedule-rules.md). `name` is the task's unless it is given; `args` and `kwargs` are the
        arguments; `queue`, `priority`, `tenant` and `tags` stand in place of the task's. `catch_up`, `catch_up_limit`,
        `grace`, `overlap`, `jitter` and `finish_within` say what a tick does (docs/schedules.md). Workers bring the
        store in line when they start. Raises `ScheduleError`, with the place and the reason, when something is wrong.
        """

        def register(task: S) -> S:
            from lineshaft.declaration import declare

            self._declare(declare(task, options, self._prefix))
            return task

        return register

    def _declare(self, declaration: Declaration) -> None:
        name, task = declaration.name, declaration.task
        if self._tasks.get(task.name) is not task:
            msg = f"schedule {name!r} at {declaration.place}: task {task.name!r} is not registered here; "
            raise ScheduleError(msg + "take the decorator schedule of the same app or collection as task's")
        known = self._declarations.get(name)
        if known is not None and (known.task is task or not _is_same_function(known.task.func, task.func)):
            msg = f"schedule {name!r} at {declaration.place}: the name is taken by the one at {known.place}; "
            raise ScheduleError(msg + "give one of them another name=")
        self._rehearse(declaration)
        self._declarations[name] = declaration

    def _rehearse(self, declaration: Declaration) -> None:
        """Make the job of a schedule once, where that can be done: what is wrong with it is said at once then."""

    def _add(self, task: Task[Any, Any, Any]) -> Task[Any, Any, Any]:
        known = self._tasks.get(task.name)
        if known is not None and not _is_same_function(known.func, task.func):
            msg = (
                f"two functions are named {task.name!r}: {_where(known.func)} and {_where(task.func)}; "
                "give one of them another name="
            )
            raise TaskError(msg)
        self._declared_limits.add(task.name, task.defaults, lambda: task.place)
        self._tasks[task.name] = task
        return task


class TaskDecorator(Protocol):
    """What `task(...)` with options returns."""

    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, Coroutine[Any, Any, R], R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Task[P, R, R]: ...


class Tasks(TaskRegistrar):
    """Collects tasks without an app; `app.include(tasks)` brings them in.

    `prefix` stands before the names of its tasks.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self._prefix = prefix


_TASK_OPTIONS: Final = frozenset(Options.__dataclass_fields__) - {"connection", "deadline_in"}


def make_task(target: Any, prefix: str, name: str, options: Options) -> Task[Any, Any, Any]:
    """Return a task for a function, or say why it cannot be one."""
    func = target.__func__ if isinstance(target, staticmethod) else target
    _refuse(func)
    if name is UNSET:
        if is_nameless(func):
            msg = f"{func!r} has no name of its own; give the task one with name="
            raise TaskError(msg)
        name = prefix + f"{module_name(func)}.{func.__qualname__}"
    elif not isinstance(name, str) or not name or any(character.isspace() for character in name):
        msg = f"name={name!r} of a task must be a text without white space"
        raise TaskError(msg)
    else:
        name = prefix + name
    return Task(func, name, options)


def module_name(func: Any) -> str:
    """Return the module by which workers find a function; a script's is its file's stem, or what `-m` named."""
    module: str = func.__module__
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else module


def _refuse(func: Any) -> None:
    reason = None
    if inspect.isclass(func):
        reason = "a class cannot be a task; register a function that makes one"
    elif isinstance(func, classmethod) or inspect.ismethod(func) or _looks_like_method(func):
        reason = "a method cannot be a task, workers have no object to call it on; use a function or a staticmethod"
    elif inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        reason = "a generator cannot be a task; return its values, or enqueue a job for each"
    elif not callable(func):
        reason = "only functions can be tasks"
    if reason:
        msg = f"{getattr(func, '__qualname__', repr(func))}: {reason}"
        raise TaskError(msg)


def _looks_like_method(func: Any) -> bool:
    outer = getattr(func, "__qualname__", "").rpartition(".")[0]
    if not outer or outer.endswith("<locals>"):
        return False
    return next(iter(inspect.signature(func).parameters), None) in ("self", "cls")


def _is_same_function(one: Any, other: Any) -> bool:
    """Tell whether two functions are one definition, read twice: by a reload, a notebook, or as `__main__`."""
    return (module_name(one), getattr(one, "__qualname__", one)) == (
        module_name(other),
        getattr(other, "__qualname__", other),
    ) and not is_nameless(one)


def _where(func: Any) -> str:
    return f"{getattr(func, '__module__', '?')}.{getattr(func, '__qualname__', repr(func))}"
