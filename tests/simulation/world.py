"""A simulated fleet on one real store: processes that die and sleep, a store that fails, and clients."""

from __future__ import annotations

import hashlib
import random as global_random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple

from greenlet import getcurrent

from lineshaft.blobs import Depot
from lineshaft.config import Retention, Settings
from lineshaft.engines import base
from lineshaft.engines.base import Row
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.errors import StoreError
from lineshaft.events import JobEvent, Subscribers
from lineshaft.features.schedules.feature import SchedulesFeature
from lineshaft.leader import Leader, duties_of, duty_thread
from lineshaft.leader import leader as leader_module
from lineshaft.registry import Tasks
from lineshaft.retry import Fixed, Retry
from lineshaft.store.migrate import migrate
from lineshaft.worker import ending, floor, hearing, lease, liveness, loop, registration, watch, writer
from lineshaft.worker import worker as worker_module
from lineshaft.worker.lanes.base import Lane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime
from lineshaft.worker.worker import Worker
from tests.simulation.engine import Faults, HostClock, LossyDoorbell, SimulatedEngine
from tests.simulation.lane import SimulatedLane
from tests.simulation.leading import Watchkeeping
from tests.simulation.threads import SECOND, Process, Schedule, Thread, Threading, replaced

SETTINGS: Final = Settings(
    heartbeat=2 * SECOND, silence=6 * SECOND, lease=12 * SECOND, grace=6 * SECOND, stop_patience=2 * SECOND, max_hung=2
)
_LONGEST_DOUBLE_LEAD: Final = SETTINGS.lease
QUEUES: Final = {"a": 2, "b": 1}
_TABLES: Final = ("job", "queue", "worker", "job_log", "unique_key", "leader", "block", "schedule", "tick", "backfill")
_THREADED: Final = (
    duty_thread, ending, floor, hearing, leader_module, lease, liveness, loop, watch, worker_module, writer,
)  # fmt: skip
_FIRST_WAITING: Final = """
select rank, run_at, id from lineshaft_job where stage = 1 and queue = ? and worker is null
 order by rank, coalesce(turn, run_at), id limit 1"""
FINAL_EVENTS: Final = ("completed", "dead", "cancelled", "expired")


class Violation(BaseException):
    """A promise was broken; no `except Exception` of a worker can swallow it."""


class Finish(NamedTuple):
    """A final event, as a worker told it."""

    job: str
    kind: str
    worker: int


def tasks() -> Tasks:
    """Return the tasks of the simulated app; their code is the simulated lane."""
    found = Tasks()

    def nothing() -> None:
        """Stand for a job's code."""

    for name, timeout in (("plain", None), ("timed", 8)):
        found.task(name=name, timeout=timeout, retry=Retry(3, Fixed(2)))(nothing)
    return found


TASKS: Final = tasks()


class SimulatedWorker(Worker):
    """The real worker, with simulated lanes."""

    host: Host

    def _make_lane(self, queue: str, kind: str, places: Places) -> Lane:  # noqa: ARG002 - the signature of the real one
        return SimulatedLane(self.host, places.limit, self.finisher.deliver)


class Host(Process):
    """One incarnation of a worker process."""

    def __init__(self, world: World, name: str, *, lingers: bool) -> None:
        super().__init__()
        self.world, self.name, self._lingers = world, name, lingers
        self.clock = HostClock(world.schedule)
        self.faults = Faults(world.schedule, self, lambda text: world.note(name, text))
        self.faults.die = self.die
        self.engine = SimulatedEngine(world.store, self.clock, self.faults, world.check_claim)
        self.engine.beside_from = (None, 1, 2)[world.seed % 3]
        self.features = (SchedulesFeature((), world.runtime_retention),) if world.has_schedules else ()
        self.running: list[Run] = []
        self.worker: SimulatedWorker | None = None
        self.has_ended = False
        """Whether it has stopped in good order."""

    def start(self) -> None:
        """Start the process."""
        Thread(self._main, schedule=self.world.schedule, host=self, name="main").start()

    def _main(self) -> None:
        worker = SimulatedWorker(self._runtime(), QUEUES, slots=None, version="0", lingers=self._lingers)
        worker.host = self
        while True:
            try:
                worker.start()
                break
            except StoreError:
                self.world.schedule.sleep(1.0)
        self.worker = worker
        self.world.note(self.name, f"is worker {worker.id}")
        worker.ended.wait()
        while self._lingers and self.running:
            self.world.schedule.sleep(1.0)
        self.has_ended = True
        self.world.note(self.name, "ends")
        self.die()

    def _runtime(self) -> Runtime:
        subscribers = Subscribers()
        subscribers.add((*FINAL_EVENTS, "retrying", "rescued"), self._tell)
        return Runtime(
            self.engine, TASKS, SETTINGS, (), (), {}, {}, subscribers, None, self.world.runtime_retention,  # type: ignore[arg-type]
            features=self.features, make_leader=self._make_leader,
        )  # fmt: skip

    def _make_leader(self, worker: int, is_sure: Callable[[], bool]) -> Leader:
        features = [Watchkeeping(self), *self.features]
        duties = duties_of(self.engine, self.world.runtime_retention, features, Depot(), Subscribers())
        return Leader(self.engine, worker, duties, is_sure, SETTINGS.silence)

    def _tell(self, event: JobEvent) -> None:
        number = self.worker.id if self.worker else 0
        self.world.note(self.name, f"job {event.job_id[:8]} {event.kind}, attempt {event.attempt}")
        if event.kind in FINAL_EVENTS:
            self.world.finishes.append(Finish(event.job_id, event.kind, number))

    @property
    def has_lease(self) -> bool:
        """Whether the worker takes itself for alive."""
        return self.worker is not None and self.worker.claimer.has_lease()

    @property
    def leads(self) -> bool:
        """Whether the worker does what a leader does."""
        leader = self.worker and self.worker.leader
        return isinstance(leader, Leader) and leader.leads and leader._is_sure()

    def mark(self, run: Run) -> str:
        """Return a result that names who made it."""
        return f'"{run.claimed.held.worker}.{run.claimed.held.claim}"'

    def die(self) -> None:
        """Be gone at once: no thread runs again, and the system lets go of the lock."""
        if self.is_dead:
            return
        self.is_dead = True
        lock = self.engine.lock
        if lock is not None:
            getattr(lock, "_let_go", lock.release)()
        me = getcurrent()
        for thread in self.threads:
            if thread is not getattr(me, "thread", None):
                thread.kill()
        self.threads.clear()
        self.world.on_death(self)

    def resume(self) -> None:
        """Go on after a pause."""
        self.is_paused = False
        parked, self.parked = self.parked, []
        for thread in parked:
            if not self.is_dead:
                self.world.schedule.make_ready(thread)


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, store: SqliteEngine) -> None:
        self.seed, self.store = seed, store
        self.schedule = Schedule(seed)
        self.random = self.schedule.random
        self.runtime_retention = Retention()
        self.has_schedules = seed % 8 == 0  # they take time, which the others have for more seeds
        self.doorbell = LossyDoorbell(self.schedule)
        self.hosts: list[Host] = []
        self.finishes: list[Finish] = []
        self.both_lead: dict[frozenset[Host], int] = {}
        """Since when two processes lead at once."""
        self.trace: list[tuple[int, str, str]] = []
        self.skews_are_wild = False
        self.on_death: Callable[[Host], None] = lambda _: None
        self.most_skew = 0
        self.latest = 0
        """The latest time of day that was ever set aside."""

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append((self.schedule.now, who, what))

    def lines(self) -> Iterator[str]:
        """Yield the trace as text."""
        for at, who, what in self.trace:
            yield f"{(at - 1_800_000_000 * SECOND) / SECOND:9.3f}  {who:8}  {what}"

    def digest(self) -> str:
        """Return what two runs of one seed have in common."""
        text = "\n".join([*self.lines(), str(self.schedule.switches), repr(self.rows("select * from lineshaft_job"))])
        return hashlib.sha256(text.encode()).hexdigest()

    def rows(self, query: str, *params: Any) -> list[Row]:
        """Ask the store, past every fault."""
        with self.store.reading() as tx:
            found: list[Row] = tx.connection.execute(query, params).fetchall()
        return found

    def set_clock(self, set_by: int) -> None:
        """Set the machine's time of day to so many microseconds before the true one."""
        self.latest = max(self.latest, self.schedule.wall)
        self.schedule.set_by = set_by
        self.note("machine", f"has its clock set to {set_by / SECOND:+.3f} s")

    def add_host(self, *, lingers: bool) -> Host:
        """Start a process."""
        host = Host(self, f"host{len(self.hosts)}", lingers=lingers)
        self.hosts.append(host)
        host.start()
        return host

    def living(self) -> list[Host]:
        """Return the processes that run or are paused."""
        return [host for host in self.hosts if not host.is_dead]

    # --- what must hold at every moment ---------------------------------------------------------------------------

    def check_claim(self, tx: Any, found: list[Row], queue: str, worker: int) -> None:
        """Jobs are claimed in order, each by one worker, and none before its time."""
        places = sorted((row[12], row[13], row[0]) for row in found)
        self.note(f"worker{worker}", f"claims {', '.join(f'{row[0][:8]}#{row[1]}' for row in found)}")
        waiting = tx.connection.execute(_FIRST_WAITING, (queue,)).fetchone()
        if waiting is not None and tuple(waiting) < places[-1]:
            raise Violation(f"job {waiting[2][:8]} was overtaken by {places[-1][2][:8]} in queue {queue}")
        for _, run_at, job in places:
            latest = max(self.latest, self.schedule.wall)
            if run_at > latest + self.most_skew:
                early = (run_at - latest) / SECOND
                raise Violation(f"job {job[:8]} was claimed {early:g} s before its time")

    def began(self, host: Host, run: Run) -> None:
        """No job runs twice at once, each time on a worker that takes itself for alive."""
        self.note(host.name, f"job {run.id[:8]} starts, attempt {run.attempt}, claim {run.claimed.held.claim}")
        for other in self.living():
            if other.is_paused or (other is not host and not other.has_lease):
                continue
            for one in other.running:
                if one.id == run.id and not one.is_ended and not self.skews_are_wild:
                    raise Violation(f"job {run.id[:8]} starts on {host.name} while it runs on {other.name}")
        host.running.append(run)

    def check_leaders(self, host: Host) -> None:
        """Two processes lead for no longer than it takes one of them to hear of the other."""
        others = {one for one in self.living() if one is not host and one.leads and not one.is_paused}
        for pair in [pair for pair in self.both_lead if host in pair and not pair & others]:
            del self.both_lead[pair]
        for other in others:
            since = self.both_lead.setdefault(frozenset((host, other)), self.schedule.now)
            if self.schedule.now - since > _LONGEST_DOUBLE_LEAD:
                raise Violation(f"{host.name} and {other.name} lead at once for {SETTINGS.lease / SECOND:g} s")

    def ended(self, host: Host, run: Run) -> None:
        """Note that a job's code has ended."""
        host.running.remove(run)

    def close(self) -> None:
        """End every thread that is left."""
        for host in self.hosts:
            host.die()


@contextmanager
def simulated(seed: int, store: SqliteEngine) -> Iterator[World]:
    """Give a world on an emptied store, with the worker's modules on simulated threads."""
    _empty(store)
    world = World(seed, store)
    state = global_random.getstate()
    global_random.seed(seed)
    with ExitStack() as stack:
        for module in _THREADED:
            stack.enter_context(replaced(module, "threading", Threading(world.schedule)))
        stack.enter_context(replaced(base, "time", _Machine(world.schedule)))
        stack.enter_context(replaced(registration, "os", _Machine(world.schedule)))
        stack.enter_context(replaced(store, "_doorbell", world.doorbell))
        stack.callback(global_random.setstate, state)
        stack.callback(world.close)
        yield world


class _Machine:
    """What the code asks of `time` and `os`: every process here has the same id."""

    def __init__(self, schedule: Schedule) -> None:
        self.sleep = schedule.sleep

    def getpid(self) -> int:
        return 1


def make_store(store: SqliteEngine) -> SqliteEngine:
    """Create the schema, and the table of effects that jobs write into."""
    migrate(store)
    with store.transaction() as tx:
        tx.connection.execute("create table effect (job text)")
    return store


def _empty(store: SqliteEngine) -> None:
    with store.transaction() as tx:
        for table in (*(f"lineshaft_{name}" for name in _TABLES), "effect", "sqlite_sequence"):
            tx.connection.execute(f"delete from {table}")
    store._locks._held_in_memory.clear()
