"""Tasks: registered functions, the jobs made of them, and the collections that hold them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar, cast, overload

from lineshaft.blobs import by_content, noted, taken
from lineshaft.clock import Duration
from lineshaft.errors import ConfigError, TaskError
from lineshaft.newjob import NewJob
from lineshaft.options import (
    FLOW,
    UNSET,
    BreakerOption,
    ConcurrencyOption,
    DeclaredLimits,
    Lane,
    Options,
    PriorityName,
    RateOption,
    Unique,
    check_arguments,
    fair_text,
    orders_of,
    stored_execution,
)
from lineshaft.payload import DEFAULT_LIMIT, Codecs, Picker, Signature, load_plain
from lineshaft.place import calling_place, place_of
from lineshaft.retry import Retry

if TYPE_CHECKING:
    from lineshaft.job import Job

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)

Arguments = tuple[Any, ...] | dict[str, Any]
"""The positional or the keyword arguments of one job."""
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


class TakesFirst(Protocol[A_contra]):
    """A task by its first positional parameter: `enqueue_many` takes plain values of that type."""

    def enqueue(self, first: A_contra, /, *args: Any, **kwargs: Any) -> Any: ...


class TaskDoor(Protocol):
    """What a task enqueues through: the app that it belongs to."""

    @property
    def codecs(self) -> Codecs: ...
    @property
    def payload_limit(self) -> int: ...
    @property
    def declared_limits(self) -> DeclaredLimits: ...
    def enqueue_new(self, new_job: NewJob[R]) -> Job[R]: ...
    async def aenqueue_new(self, new_job: NewJob[R]) -> Job[R]: ...
    def enqueue_many(self, new_jobs: Sequence[NewJob[R]]) -> list[Job[R]]: ...
    async def aenqueue_many(self, new_jobs: Sequence[NewJob[R]]) -> list[Job[R]]: ...
    def providers(self) -> Mapping[Callable[..., Any], Callable[..., Any]]: ...


class Task(Generic[P, T, R]):
    """A registered function. Calling it runs it here, as before; `enqueue` stores a job that a worker runs."""

    def __init__(self, func: Callable[P, T], name: str, options: Options) -> None:
        self.func = func
        self.name = name
        self.defaults = options
        self._execution = stored_execution({}, options)
        self.is_async = inspect.iscoroutinefunction(plain_function(func))
        self.is_importable = _is_importable(func)
        self.injections = _injections(func)
        self._door: TaskDoor | None = None
        self._signature: Signature | None = None
        self._pickers: dict[str, Picker] = {}
        functools.update_wrapper(cast(Any, self), func)
        self._check_lane(options.runs_in)
        self._check_limits(options, lambda: self.place)
        self._check_fair_key(options, lambda: self.place)

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
    def place(self) -> str:
        """Where its function is defined, `file:line`."""
        return place_of(plain_function(self.func))

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
        self.forget_annotations()

    def forget_annotations(self) -> None:
        """Resolve the annotations anew at the next use: what is used while modules load knows only what came before."""
        self._signature = None
        self._pickers = {}

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Store a job for these arguments and return it.

        Raises `ArgumentsError`, `PayloadError`, `PayloadTooLargeError` for arguments that cannot be stored, `QueueFull`
        and `UniqueConflictError`; nothing is stored then. After `StoreUnavailableError` the job may be stored all the
        same, when only the answer was lost: `unique=Unique(within=…)` makes it safe to enqueue once more.
        """
        return self._app.enqueue_new(self._new(args, kwargs, self.defaults, self._execution))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """As `enqueue`."""
        return await self._app.aenqueue_new(self._new(args, kwargs, self.defaults, self._execution))

    def new(self, *args: P.args, **kwargs: P.kwargs) -> NewJob[R]:
        """Return a checked job that is not stored yet."""
        return self._new(args, kwargs, self.defaults, self._execution)

    @overload
    def enqueue_many(self: TakesFirst[A], items: Sequence[A | Arguments]) -> list[Job[R]]: ...
    @overload
    def enqueue_many(self, items: Sequence[Arguments]) -> list[Job[R]]: ...
    def enqueue_many(self, items: Items) -> list[Job[R]]:
        """Store a job an item, all or none, in one round trip.

        An item is one argument, a tuple the positional, a dict the keyword arguments. Raises as `enqueue`.
        """
        return self._app.enqueue_many([self._new_item(item, self.defaults, self._execution) for item in items])

    @overload
    async def aenqueue_many(self: TakesFirst[A], items: Sequence[A | Arguments]) -> list[Job[R]]: ...
    @overload
    async def aenqueue_many(self, items: Sequence[Arguments]) -> list[Job[R]]: ...
    async def aenqueue_many(self, items: Items) -> list[Job[R]]:
        """As `enqueue_many`."""
        return await self._app.aenqueue_many([self._new_item(item, self.defaults, self._execution) for item in items])

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
        concurrency: ConcurrencyOption = UNSET,
        rate: RateOption = UNSET,
        breaker: BreakerOption = UNSET,
        fair_key: str | None = UNSET,
        on_success: NewJob[Any] | Sequence[NewJob[Any]] | None = UNSET,
        on_failure: NewJob[Any] | Sequence[NewJob[Any]] | None = UNSET,
        connection: Any = UNSET,
    ) -> BoundTask[P, T, R]:
        """Return this task with other options for the jobs enqueued through it; they are stored with the job.

        Raises `ConfigError`, naming the option, and `TypeError` for `delay` together with `run_at`.
        """
        given = {name: value for name, value in locals().items() if name != "self" and value is not UNSET}
        options = self.defaults.but(**given)
        self._check_lane(options.runs_in)
        self._check_limits(options, calling_place, given)
        self._check_fair_key(options, calling_place)
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
        fair = None if options.fair_key is None else self._fair_text(options.fair_key, text)
        if not noted.blobs:
            return NewJob(self.name, text, options, execution, unique, self, fair_text=fair)
        blobs = taken(text)
        unique = by_content(unique, blobs) if unique else None
        return NewJob(self.name, text, options, execution, unique, self, blobs, fair)

    def _fair_text(self, fair_key: str, text: str) -> str | None:
        """Return the text of the argument by which a job takes turns."""
        picker = self._pickers.get(fair_key)
        if picker is None:
            picker = self._pickers[fair_key] = self.signature.picker(fair_key)
        return fair_text(picker.pick(*load_plain(text)))

    def _new_item(self, item: Any, options: Options, execution: Mapping[str, Any]) -> NewJob[R]:
        match item:
            case tuple():
                return self._new(item, {}, options, execution)
            case dict():
                return self._new((), item, options, execution)
            case _:
                return self._new((item,), {}, options, execution)

    def _check_limits(self, options: Options, place: Callable[[], str], given: Mapping[str, Any] | None = None) -> None:
        """Refuse limits that this task cannot have; `given` is what `.options()` was called with."""
        if not (options.concurrency or options.rate or options.breaker):
            return
        check_arguments(options, lambda path: self.signature.check_path(path), place())
        if given is None:
            return
        if "priority" in given and orders_of(options):
            msg = f"priority={given['priority']!r} at {place()}: jobs of {self.name!r} run in their order; leave it out"
            raise ConfigError(msg)
        if self._door is not None and not given.keys().isdisjoint(FLOW):
            self._door.declared_limits.check(self.name, options, place())

    def _check_fair_key(self, options: Options, place: Callable[[], str]) -> None:
        if options.fair_key is None:
            return
        try:
            self.signature.check_path(options.fair_key)
        except ConfigError as error:
            msg = f"fair_key at {place()}: {error}"
            raise ConfigError(msg) from None

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

    @overload
    def enqueue_many(self: TakesFirst[A], items: Sequence[A | Arguments]) -> list[Job[R]]: ...
    @overload
    def enqueue_many(self, items: Sequence[Arguments]) -> list[Job[R]]: ...
    def enqueue_many(self, items: Items) -> list[Job[R]]:
        """As `Task.enqueue_many`."""
        return self._task._app.enqueue_many(self._items(items))  # noqa: SLF001 - the two are one

    @overload
    async def aenqueue_many(self: TakesFirst[A], items: Sequence[A | Arguments]) -> list[Job[R]]: ...
    @overload
    async def aenqueue_many(self, items: Sequence[Arguments]) -> list[Job[R]]: ...
    async def aenqueue_many(self, items: Items) -> list[Job[R]]:
        """As `Task.aenqueue_many`."""
        return await self._task._app.aenqueue_many(self._items(items))  # noqa: SLF001 - the two are one

    def _items(self, items: Items) -> list[NewJob[R]]:
        return [self._task._new_item(item, self._options, self._execution) for item in items]  # noqa: SLF001


def _is_importable(func: Any) -> bool:
    return not is_nameless(func) and "<locals>" not in func.__qualname__


def is_nameless(func: Any) -> bool:
    """Tell whether a function has no name of its own by which a child could import it."""
    return getattr(func, "__name__", "<lambda>") == "<lambda>" or not inspect.isfunction(plain_function(func))


def plain_function(func: Any) -> Any:
    """Return what runs when a callable is called."""
    return func if inspect.isroutine(func) else getattr(func, "__call__", func)  # noqa: B004 - to look inside


def _injections(func: Any) -> dict[str, Injected]:
    parameters = inspect.signature(func).parameters.values()
    return {one.name: one.default for one in parameters if isinstance(one.default, Injected)}
