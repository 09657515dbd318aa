"""Tasks: registered functions, the jobs made of them, and the collections that hold them."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, Protocol, TypeVar, cast, overload

from lineshaft.clock import Duration
from lineshaft.errors import ConfigError, TaskError, UnknownTaskError
from lineshaft.options import UNSET, Lane, Options, PriorityName, Unique, stored_execution
from lineshaft.payload import DEFAULT_LIMIT, Codecs, Signature
from lineshaft.retry import Retry

if TYPE_CHECKING:
    from lineshaft.job import Job

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Items = Sequence[Any]
Bound = tuple[Sequence[Any], Mapping[str, Any]]


class Injected:
    """The default of a parameter that the worker fills: `provider()` is called for each attempt."""

    def __init__(self, provider: Callable[..., Any]) -> None:
        if not callable(provider):
            msg = f"Inject({provider!r}) needs a function that makes the value"
            raise ConfigError(msg)
        self.provider = provider

    def __repr__(self) -> str:
        """Show as written."""
        return f"Inject({getattr(self.provider, '__qualname__', self.provider)})"


def Inject(provider: Callable[..., Any]) -> Any:  # noqa: N802 - named by the public contract
    """Have the worker fill this parameter with what `provider()` returns; it is never stored.

    A provider may be a function, a coroutine function (for `async def` tasks), or a generator that yields the value
    once and cleans up afterwards.
    """
    return Injected(provider)


class TaskDoor(Protocol):
    """What a task enqueues through: the app that it belongs to."""

    @property
    def codecs(self) -> Codecs: ...
    @property
    def payload_limit(self) -> int: ...
    def enqueue_new(self, new_job: NewJob[R]) -> Job[R]: ...
    async def aenqueue_new(self, new_job: NewJob[R]) -> Job[R]: ...
    def enqueue_many(self, new_jobs: Sequence[NewJob[R]]) -> list[Job[R]]: ...
    async def aenqueue_many(self, new_jobs: Sequence[NewJob[R]]) -> list[Job[R]]: ...
    def providers(self) -> Mapping[Callable[..., Any], Callable[..., Any]]: ...


@dataclass(frozen=True, slots=True)
class NewJob(Generic[R_co]):
    """A checked job that is not stored yet; `app.enqueue_many`, batches and workflows take it."""

    name: str
    args: str
    """The stored text of the arguments."""
    options: Options
    execution: Mapping[str, Any]
    """How this job runs, where its options said so."""
    unique_text: str | None = None
    """The canonical text of the arguments that make it unique."""
    task: Task[Any, Any, R_co] | None = None


class Task(Generic[P, T, R]):
    """A registered function. Calling it runs it here, as before; `enqueue` stores a job that a worker runs."""

    def __init__(self, func: Callable[P, T], name: str, options: Options) -> None:
        self.func = func
        self.name = name
        self.defaults = options
        self.is_async = inspect.iscoroutinefunction(_plain(func))
        self.is_importable = _is_importable(func)
        self.injections = _injections(func)
        self._door: TaskDoor | None = None
        self._signature: Signature | None = None
        functools.update_wrapper(cast(Any, self), func)
        self._check_lane(options.runs_in)

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Task {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function here and now."""
        if not self.injections:
            return self.func(*args, **kwargs)
        from lineshaft.injection import call_injected

        overrides = self._door.providers() if self._door else {}
        return cast(T, call_injected(self, args, kwargs, overrides))

    @property
    def lane(self) -> Lane:
        """Where its jobs run unless an option says otherwise."""
        return self.defaults.runs_in or ("async" if self.is_async else "thread")

    @property
    def signature(self) -> Signature:
        """What stores and rebuilds its arguments and results."""
        if self._signature is None:
            self._signature = Signature(
                self.func,
                self._door.codecs if self._door else Codecs(),
                name=self.name,
                injected=frozenset(self.injections),
                limit=self._door.payload_limit if self._door else DEFAULT_LIMIT,
            )
        return self._signature

    def join(self, door: TaskDoor) -> None:
        """Belong to an app: its codecs, its limits, its store."""
        if self._door is not None and self._door is not door:
            msg = f"task {self.name!r} belongs to another app already; an app's tasks are its own"
            raise TaskError(msg)
        self._door = door
        self._signature = None

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Store a job for these arguments and return it.

        Raises `ArgumentsError`, `PayloadError`, `PayloadTooLargeError` for arguments that cannot be stored,
        `QueueFull`, `UniqueConflictError`, `StoreUnavailableError`; nothing is stored then.
        """
        return self._app.enqueue_new(self._new(args, kwargs, self.defaults, {}))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """As `enqueue`."""
        return await self._app.aenqueue_new(self._new(args, kwargs, self.defaults, {}))

    def new(self, *args: P.args, **kwargs: P.kwargs) -> NewJob[R]:
        """Return a checked job that is not stored yet."""
        return self._new(args, kwargs, self.defaults, {})

    def enqueue_many(self, items: Items) -> list[Job[R]]:
        """Store a job an item, all or none, in one round trip.

        An item is one argument, a tuple the positional, a dict the keyword arguments. Raises as `enqueue`.
        """
        return self._app.enqueue_many([self._new_item(item, self.defaults, {}) for item in items])

    async def aenqueue_many(self, items: Items) -> list[Job[R]]:
        """As `enqueue_many`."""
        return await self._app.aenqueue_many([self._new_item(item, self.defaults, {}) for item in items])

    def options(
        self,
        *,
        queue: str = UNSET,
        priority: int | PriorityName = UNSET,
        retry: Retry | None = UNSET,
        timeout: Duration | None = UNSET,
        delay: Duration | None = UNSET,
        run_at: datetime | None = UNSET,
        deadline: Duration | datetime | None = UNSET,
        unique: Unique | None = UNSET,
        tags: Sequence[str] = UNSET,
        meta: Mapping[str, Any] | None = UNSET,
        tenant: str | None = UNSET,
        runs_in: Lane | None = UNSET,
        keep_result: Duration | Literal[False] | None = UNSET,
        connection: Any = UNSET,
    ) -> BoundTask[P, T, R]:
        """Return this task with other options for the jobs enqueued through it; they are stored with the job.

        Raises `ConfigError`, naming the option, and `TypeError` for `delay` together with `run_at`.
        """
        given = {name: value for name, value in locals().items() if name != "self" and value is not UNSET}
        options = self.defaults.but(**given)
        self._check_lane(options.runs_in)
        return BoundTask(self, options, stored_execution(given, options))

    @property
    def _app(self) -> TaskDoor:
        if self._door is None:
            msg = f"task {self.name!r} belongs to no app yet; call app.include(tasks) first"
            raise TaskError(msg)
        return self._door

    def _new(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], options: Options, execution: Mapping[str, Any]
    ) -> NewJob[R]:
        if "connection" in kwargs and "connection" not in self.signature.names:
            options = options.but(connection=kwargs["connection"])
            kwargs = {name: value for name, value in kwargs.items() if name != "connection"}
        text = self.signature.dump(args, kwargs)
        unique = self.signature.key(args, kwargs, options.unique.names) if options.unique else None
        return NewJob(self.name, text, options, execution, unique, self)

    def _new_item(self, item: Any, options: Options, execution: Mapping[str, Any]) -> NewJob[R]:
        match item:
            case tuple():
                return self._new(item, {}, options, execution)
            case dict():
                return self._new((), item, options, execution)
            case _:
                return self._new((item,), {}, options, execution)

    def _check_lane(self, lane: Lane | None) -> None:
        if lane == "process" and not self.is_importable:
            msg = f"task {self.name!r} cannot run in a process: a child has to import its function by name"
            raise TaskError(msg)
        if lane == "async" and not self.is_async:
            msg = f"task {self.name!r} is a plain function and cannot run in the async lane; use async def, or a thread"
            raise TaskError(msg)
        if lane == "thread" and self.is_async:
            msg = f"task {self.name!r} is async and cannot run in a thread; use 'async' or 'process'"
            raise TaskError(msg)


class BoundTask(Generic[P, T, R]):
    """A task with other options; made by `Task.options`."""

    def __init__(self, task: Task[P, T, R], options: Options, execution: Mapping[str, Any]) -> None:
        self._task, self._options, self._execution = task, options, execution

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """As `Task.enqueue`."""
        return self._task._app.enqueue_new(self.new(*args, **kwargs))  # noqa: SLF001 - the two are one

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """As `Task.aenqueue`."""
        return await self._task._app.aenqueue_new(self.new(*args, **kwargs))  # noqa: SLF001 - the two are one

    def new(self, *args: P.args, **kwargs: P.kwargs) -> NewJob[R]:
        """As `Task.new`."""
        return self._task._new(args, kwargs, self._options, self._execution)  # noqa: SLF001 - the two are one

    def enqueue_many(self, items: Items) -> list[Job[R]]:
        """As `Task.enqueue_many`."""
        return self._task._app.enqueue_many(self._items(items))  # noqa: SLF001 - the two are one

    async def aenqueue_many(self, items: Items) -> list[Job[R]]:
        """As `Task.aenqueue_many`."""
        return await self._task._app.aenqueue_many(self._items(items))  # noqa: SLF001 - the two are one

    def _items(self, items: Items) -> list[NewJob[R]]:
        return [self._task._new_item(item, self._options, self._execution) for item in items]  # noqa: SLF001


class TaskRegistrar:
    """What an app and a `Tasks` collection share: the `task` decorator and the tasks by name."""

    _prefix = ""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[Any, Any, Any]] = {}

    def __iter__(self) -> Iterator[Task[Any, Any, Any]]:
        """Iterate over the tasks in the order of their definition."""
        return iter(list(self._tasks.values()))

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

    def _add(self, task: Task[Any, Any, Any]) -> Task[Any, Any, Any]:
        known = self._tasks.get(task.name)
        if known is not None and not _is_same_function(known.func, task.func):
            msg = (
                f"two functions are named {task.name!r}: {_where(known.func)} and {_where(task.func)}; "
                "give one of them another name="
            )
            raise TaskError(msg)
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
        if _is_nameless(func):
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


def _is_nameless(func: Any) -> bool:
    return getattr(func, "__name__", "<lambda>") == "<lambda>" or not inspect.isfunction(_plain(func))


def _is_importable(func: Any) -> bool:
    return not _is_nameless(func) and "<locals>" not in func.__qualname__


def _plain(func: Any) -> Any:
    return func if inspect.isroutine(func) else getattr(func, "__call__", func)  # noqa: B004 - to look inside


def _injections(func: Any) -> dict[str, Injected]:
    parameters = inspect.signature(func).parameters.values()
    return {one.name: one.default for one in parameters if isinstance(one.default, Injected)}


def _is_same_function(one: Any, other: Any) -> bool:
    """Tell whether two functions are one definition, read twice: by a reload, a notebook, or as `__main__`."""
    return (module_name(one), getattr(one, "__qualname__", one)) == (
        module_name(other),
        getattr(other, "__qualname__", other),
    ) and not _is_nameless(one)


def _where(func: Any) -> str:
    return f"{getattr(func, '__module__', '?')}.{getattr(func, '__qualname__', repr(func))}"
