"""`Lineshaft`: one app, one store, its tasks and everything that is done with them."""

from __future__ import annotations

import inspect as pyinspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from lineshaft import current
from lineshaft.app.crossing import in_store_thread
from lineshaft.app.enqueuer import Enqueuer
from lineshaft.app.features import features_of
from lineshaft.app.gathering import Gathering
from lineshaft.app.imports import identity_of, import_all, path_of
from lineshaft.app.inprocess import InProcessWorker, Queues, parse_queues, run_until_signal, stop_child_import
from lineshaft.app.intake import Intake
from lineshaft.app.jobs import Jobs
from lineshaft.app.limits.declare import declare_limits
from lineshaft.app.queues import Queues as QueuesOfStore
from lineshaft.app.queues import Workers
from lineshaft.app.serving import Serving, check_serving, queue_order, shared_slots
from lineshaft.app.store import Store
from lineshaft.app.transaction import ajoined_transaction, joined_transaction
from lineshaft.app.waiter import Waiter
from lineshaft.app.why import Explainer
from lineshaft.blobs import Blob, Depot
from lineshaft.blobs.references import pending
from lineshaft.config import Migrate, Settings, load_settings
from lineshaft.errors import ConfigError
from lineshaft.events import Handler, Subscribers
from lineshaft.features.breaker.declared import DeclaredBreakers
from lineshaft.job import Job
from lineshaft.leader import Leader, duties_of
from lineshaft.newjob import NewJob
from lineshaft.payload import Codecs
from lineshaft.registry import TaskRegistrar, Tasks
from lineshaft.store.migrate import Migration
from lineshaft.task import Task
from lineshaft.version import VERSION
from lineshaft.worker.runtime import Lifespan, Middleware, Runtime
from lineshaft.worker.worker import Worker

if TYPE_CHECKING:
    from lineshaft.app.breakers import Breakers
    from lineshaft.app.limits import Limits
    from lineshaft.app.schedules import Schedules
    from lineshaft.app.testing import Mode, Testing
    from lineshaft.declaration import Declaration
    from lineshaft.engines.base import Engine

T = TypeVar("T")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Lineshaft(Gathering, TaskRegistrar):
    """An app: its tasks, and the store that keeps their jobs.

    `store` is `sqlite:///file.db`, `postgresql://…` or `memory://` (default: `$LINESHAFT_STORE`, else
    `sqlite:///lineshaft.db`). `imports` names modules with tasks that workers import; `context` names ContextVars that
    travel with jobs; `migrate="never"` leaves the schema alone; `settings` are those of docs/configuration.md.
    Nothing is opened before it is used. Raises `ConfigError`, naming the setting, when one is wrong.
    """

    def __init__(
        self,
        store: str | None = None,
        *,
        imports: Sequence[str] = (),
        context: Mapping[str, ContextVar[Any]] | None = None,
        migrate: Migrate | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.settings: Settings = load_settings({"store": store, "migrate": migrate, **_known(settings)})
        self.codecs = Codecs()
        self._imports = tuple(imports)
        self._context = dict(context or {})
        self._middleware: list[Middleware] = []
        self._lifespans: list[Lifespan] = []
        self._providers: dict[Callable[..., Any], Callable[..., Any]] = {}
        self._subscribers = Subscribers()
        self._store = Store(self.settings)
        self.codecs.add(Blob, pending, lambda raw: self._store.depot.load(raw))
        self._waiter = Waiter(self._store)
        self._features = features_of(self.settings.retention, self._tasks)
        enqueuer = Enqueuer(self._features, self._context, self._subscribers, self.settings.retention)
        self._intake = Intake(self._store, enqueuer, self._tasks, self.settings.payload_limit)
        self._made_in = pyinspect.currentframe().f_back.f_globals.get("__name__", "")  # type: ignore[union-attr]
        self.named_as: str | None = None
        """The `module:name` by which a program was told of it: that module may define tasks, too."""
        explainer = Explainer(self._store, self.settings, self._features, self._tasks, self._is_in_test)
        self.jobs = Jobs(
            self._store, self._waiter, self.settings.retention, explainer, self._intake.load_result, self._features
        )
        self._intake.door = self.jobs
        self.queues = QueuesOfStore(self._store)
        self.workers = Workers(self._store, self.settings.silence)
        self._withdraw_offer = current.offer_plain_transactions(self.transaction, self.atransaction)

    def __repr__(self) -> str:
        """Show the settings, without a password."""
        return f"<Lineshaft {self.settings!r}>"

    # --- defining --------------------------------------------------------------------------------------------------

    @property
    def payload_limit(self) -> int:
        """The largest stored text of a job's arguments or result, in bytes."""
        return self.settings.payload_limit

    def providers(self) -> Mapping[Callable[..., Any], Callable[..., Any]]:
        """Return which providers are replaced by others."""
        return self._providers

    def _add(self, task: Task[Any, Any, Any]) -> Task[Any, Any, Any]:
        super()._add(task)
        task.join(self)
        return task

    def _rehearse(self, declaration: Declaration) -> None:
        from lineshaft.app.schedules.changes import declared_definition

        declared_definition(declaration)
        declaration.task.forget_annotations()

    def include(self, tasks: Tasks) -> None:
        """Bring in the tasks of a collection, and their schedules.

        Raises `TaskError` when a task's name is taken, `ScheduleError` when a schedule's is or its job cannot be made.
        """
        for task in tasks:
            self._add(task)
        for declaration in tasks.declarations:
            self._declare(declaration)

    def codec(self, type_: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
        """Teach arguments and results a type: `dump(value)` gives plain JSON values, `load(values)` the value."""
        self.codecs.add(type_, dump, load)

    def middleware(self, wrapper: F) -> F:
        """Wrap every attempt: `def wrapper(job, call_next)`, sync or async, returns what `call_next()` gave."""
        self._middleware.append(wrapper)
        return wrapper

    def lifespan(self, generator: F) -> F:
        """Run a generator, sync or async, once in each worker process and lane child: set up, `yield`, tear down."""
        if not (pyinspect.isgeneratorfunction(generator) or pyinspect.isasyncgenfunction(generator)):
            msg = f"lifespan {generator!r} must be a generator function: set up, yield once, tear down"
            raise ConfigError(msg)
        self._lifespans.append(generator)
        return generator

    def on(self, *kinds: str) -> Callable[[Handler], Handler]:
        """Have a function called with each event of these kinds that happens in this process, best effort."""

        def subscribe(handler: Handler) -> Handler:
            self._subscribers.add(kinds, handler)
            return handler

        self._subscribers.check(kinds)
        return subscribe

    def load_imports(self) -> None:
        """Import the modules that `imports=` names; a name that ends in `.*` means the modules of that package."""
        import_all(self._imports)

    @cached_property
    def breakers(self) -> Breakers:
        """The circuit breakers of the store."""
        from lineshaft.app.breakers import Breakers

        return Breakers(self._store, self._subscribers, DeclaredBreakers(self._tasks).names)

    @cached_property
    def limits(self) -> Limits:
        """The limits of the store."""
        from lineshaft.app.limits import Limits

        return Limits(self._store)

    @cached_property
    def schedules(self) -> Schedules:
        """The schedules of the store: what `@app.schedule` declares, and what is created at run time."""
        from lineshaft.app.schedules import Schedules

        return Schedules(
            self._store,
            self._intake,
            self._features,
            self._all_declarations,
            lambda: identity_of(path_of(self, self._made_in), self._made_in),
        )

    def _all_declarations(self) -> list[Declaration]:
        """Return the schedules that all of the code declares: to know some of it only would remove the others."""
        self.load_imports()
        return self.declarations

    # --- enqueueing ------------------------------------------------------------------------------------------------

    def enqueue(self, task: str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Store a job by its task's name, where the code need not be importable here; arguments are plain JSON values.

        A task that is known here is checked as usual. Raises as `Task.enqueue`.
        """
        return self.enqueue_new(self._intake.by_name(task, args, kwargs))

    async def aenqueue(self, task: str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """As `enqueue`."""
        return await self.aenqueue_new(self._intake.by_name(task, args, kwargs))

    def enqueue_new(self, new_job: NewJob[R]) -> Job[R]:
        """Store one job."""
        return self.enqueue_many([new_job])[0]

    async def aenqueue_new(self, new_job: NewJob[R]) -> Job[R]:
        """As `enqueue_new`."""
        return (await self.aenqueue_many([new_job]))[0]

    def enqueue_many(self, new_jobs: Sequence[NewJob[R]], *, connection: Any = None) -> list[Job[R]]:
        """Store jobs, all or none, in one round trip, and return them in the same order.

        `connection` is the caller's open connection or session, in whose transaction they are stored.
        """
        return self._intake.enqueue_many(new_jobs, connection)

    async def aenqueue_many(self, new_jobs: Sequence[NewJob[R]], *, connection: Any = None) -> list[Job[R]]:
        """As `enqueue_many`; `connection` may be an asynchronous one too."""
        return await self._intake.aenqueue_many(new_jobs, connection)

    # --- running ---------------------------------------------------------------------------------------------------

    def worker(self, queues: Queues = None, **options: Unpack[Serving]) -> InProcessWorker:
        """Return a worker inside this process, for `with` or `async with`.

        `queues` is `{"pdf": 4}`, `["pdf"]` or `"pdf:4,default:10"`; without it, every queue that a task of this app
        names is served, ten jobs at once. `slots` limits all of them together. `weights` such as `{"pdf": 3}` has them
        share the slots; without it a queue goes before all those named after it. `ageing`, a duration for all queues
        or `{"pdf": "10m"}`, is how much waiting is worth 50 of priority. Raises `ConfigError` when one is wrong.
        """
        check_serving(**options)
        return InProcessWorker(
            lambda: None if self._intake.testing is not None else self.make_worker(queues, lingers=True, **options)
        )

    def make_worker(self, queues: Queues = None, *, lingers: bool = False, **options: Unpack[Serving]) -> Worker:
        """Return a worker that is not started; one that `lingers` keeps jobs that ignore its stop.

        The store's schedules and limits are in line with the code then.
        """
        self.load_imports()
        self.schedules.sync()
        self.sync_limits()
        served = parse_queues(queues, self._queues_of_tasks())
        slots, order = shared_slots(served, **options), queue_order(served, **options)
        return Worker(self.runtime(), served, slots=slots, order=order, version=VERSION, lingers=lingers)

    def sync_limits(self) -> None:
        """Have the store know the limits as the code says them."""
        declare_limits(self._store, self.declared_limits.rules())

    def run(self, queues: Queues = None, *, grace: float | None = None, **options: Unpack[Serving]) -> None:
        """Run a worker as this process: blocks until SIGTERM or SIGINT, then stops in good order.

        The options are those of `worker`.
        """
        stop_child_import()
        if self._intake.testing is not None:
            msg = "app.run() would never end inside app.testing(): run the jobs with t.drain()"
            raise ConfigError(msg)
        run_until_signal(lambda: self.make_worker(queues, **options), grace)

    def runtime(self, *, is_child: bool = False) -> Runtime:
        """Return what a worker, or a child of one, needs to know of this app."""
        return Runtime(
            engine=self._store.known_engine if is_child else self._store.engine,
            tasks=self,
            settings=self.settings,
            middleware=self._middleware,
            lifespans=self._lifespans,
            providers=self._providers,
            context=self._context,
            subscribers=self._subscribers,
            app_path=self.named_as or path_of(self, self._made_in),
            retention=self.settings.retention,
            features=self._features,
            depot=self._store.depot,
            make_leader=self._make_leader,
        )

    def _make_leader(self, worker: int, is_sure: Callable[[], bool]) -> Leader:
        engine = self._store.engine
        duties = duties_of(engine, self.settings.retention, self._features, self._store.depot, self._subscribers)
        return Leader(engine, worker, duties, is_sure, self.settings.silence)

    def _queues_of_tasks(self) -> list[str]:
        of_schedules = (one.options["queue"] for one in self.declarations if "queue" in one.options)
        return list(dict.fromkeys(["default", *(task.defaults.queue for task in self), *of_schedules]))

    # --- testing ---------------------------------------------------------------------------------------------------

    def testing(
        self, mode: Mode, *, overrides: Mapping[Callable[..., Any], Any] | None = None, raise_errors: bool = True
    ) -> Testing:
        """Return a block for tests: `with app.testing("inline") as t:`, in which jobs are kept in memory.

        `"inline"` runs a job at `enqueue` and raises its error (`raise_errors=False` leaves it to the job, as in
        service); `"manual"` keeps jobs until `t.drain()`. `overrides` replaces providers of `Inject`, by others or by
        values. The store that the settings name is neither opened nor touched. Raises `ConfigError` for another mode.
        """
        from lineshaft.app.testing import Testing

        return Testing(self, self._staged, self._intake.store, mode, overrides or {}, raise_errors=raise_errors)

    def _is_in_test(self) -> bool:
        return self._intake.testing is not None

    @contextmanager
    def _staged(
        self, testing: Testing, engine: Engine, overrides: Mapping[Callable[..., Any], Callable[..., Any]]
    ) -> Iterator[None]:
        before = self._providers, self._intake.testing, self._waiter.stand_in
        with self._store.replaced(engine):
            self._providers = {**self._providers, **overrides}
            self._intake.testing, self._waiter.stand_in = testing, testing.refuse_wait
            try:
                yield
            finally:
                self._providers, self._intake.testing, self._waiter.stand_in = before

    # --- life ------------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where the store is, without a password."""
        return self._store.bare_engine.address

    @property
    def created_store(self) -> bool:
        """Whether this process has created the store."""
        return self._store.is_new

    def use_store(self, address: str) -> None:
        """Keep jobs in another store than the one named at first; raises `ConfigError` once the store is in use."""
        if self._store.is_open:
            msg = f"the store {self.address} is in use already; choose another one before the first use"
            raise ConfigError(msg)
        self.settings = replace(self.settings, store=address)
        self._store.use(self.settings)

    def use_blobs(self, folder: str) -> None:
        """Keep large values in this folder: that of the worker whose child this process is."""
        self._store.depot = Depot(folder)

    def migrate(self) -> list[Migration]:
        """Create or upgrade the store's schema and return the migrations that were applied."""
        return self._store.migrate()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Open a transaction on the store's database; what is enqueued inside joins it."""
        with joined_transaction(self._store.engine) as connection:
            yield connection
        if self._intake.testing is not None:
            self._intake.testing.catch_up()

    @asynccontextmanager
    async def atransaction(self) -> AsyncIterator[Any]:
        """As `transaction`, for `async with`."""
        async with ajoined_transaction(self._store.engine) as connection:
            yield connection
        if self._intake.testing is not None:
            await self._intake.testing.acatch_up()

    def close(self) -> None:
        """Close the connections; using the app again opens new ones. In a test the block of `testing` does that."""
        if self._intake.testing is not None:
            return
        self._waiter.close()
        self._store.close()
        self._withdraw_offer()

    async def aclose(self) -> None:
        """As `close`."""
        await in_store_thread(self.close)


def _known(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = sorted(settings.keys() - Settings.__dataclass_fields__.keys())
    if unknown:
        names = ", ".join(Settings.__dataclass_fields__)
        msg = f"Lineshaft() got an unexpected setting {unknown[0]!r}; settings are {names}"
        raise TypeError(msg)
    return settings
