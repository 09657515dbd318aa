"""Workers without threads: each beats, claims and finishes when the test says so, on a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lineshaft.clock import ManualClock
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.finish import write_transitions
from lineshaft.store.grants import change_flow, declare_worker, revoke_worker
from lineshaft.store.inspect import running_by_worker
from lineshaft.store.upkeep import beat, orphans, register_worker, remove_worker
from lineshaft.transitions import Complete, PutBack, Stage
from lineshaft.worker.claimer import Claimer
from tests.plugins.engines import KEPT_UNTIL, NOW, new_row

if TYPE_CHECKING:
    from typing import Any

    from lineshaft.engines.base import Engine, Tx
    from lineshaft.transitions import Held, Transition
    from lineshaft.worker.finisher import Batch

QUEUE: Final = "pdf"


class OwnClock(ManualClock):
    """A clock that a new connection to a server does not set either."""

    def follow(self, store_now: int, before: float, after: float) -> None:
        """Stay as it is: only the test moves it."""


class Member:
    """One worker of the queue."""

    def __init__(self, engine: Engine, lanes: int, queues: tuple[str, ...] = (QUEUE,)) -> None:
        self._engine = engine
        self.lanes = lanes
        self.id = engine.write(lambda tx: self._appear(tx, queues))
        self.claimer = Claimer(engine, self.id, dict.fromkeys(queues, lanes), lanes * len(queues), engine.clock)
        self.claimer.unwritten = self._unwritten
        self.held: list[Held] = []
        self.under_way: list[Held] = []
        """Jobs that have ended and whose end is not written."""
        self.is_dead = False

    def _appear(self, tx: Tx, queues: tuple[str, ...]) -> int:
        served = dict.fromkeys(queues, self.lanes)
        worker = register_worker(tx, host="h", pid=1, version="1", queues=served, tasks=["shop.render"], now=NOW)
        declare_worker(tx, worker, queues)
        return worker

    def _unwritten(self, queue: str, batch: Batch | None) -> int:
        return len(self.under_way) if queue == QUEUE and batch is None else 0

    @property
    def now(self) -> int:
        """What its clock shows."""
        return self._engine.clock.now()

    def beat(self) -> None:
        """Say that it lives, and hear what has changed."""
        beaten = self._engine.write(lambda tx: beat(tx, worker=self.id, server="", now=self.now))
        if beaten is not None:
            self.claimer.grants.hear(beaten.gated)

    def work(self) -> int:
        """Claim as the store thread does, as long as there is a reason to; return how many jobs came."""
        before = len(self.held)
        for _ in range(20):
            if not self.claimer.has_work(self.now):
                return len(self.held) - before
            self._take(self.claimer.claim_alone(self.now))
        raise AssertionError("it asks again and again")

    def _take(self, claimed: Any) -> None:
        self.claimer.took(claimed)
        self.held += [one.held for one in claimed]

    def end(self, count: int) -> None:
        """Have jobs end, whose end is not written yet."""
        ended, self.held = self.held[:count], self.held[count:]
        self.under_way += ended
        slots = self.claimer.queues[QUEUE]
        slots.held -= len(ended)
        slots.may_have_jobs = True

    def write(self, *, claims: bool) -> None:
        """Write the ends, and claim in the same transaction or not at all."""
        done: list[Transition] = [Complete(one, "1") for one in self.under_way]

        def exchange(tx: Tx) -> Any:
            write_transitions(tx, done, worker=self.id, now=self.now, keep=lambda _: KEPT_UNTIL)
            self.under_way = []
            return self.claimer.claim(tx, self.now) if claims else []

        self._take(self._engine.write(exchange))

    def drain(self) -> None:
        """Take no more."""
        self.claimer.is_open = False

    def bury(self) -> None:
        """Do what another worker does once it is found to be dead."""

        def operate(tx: Tx) -> None:
            revoke_worker(tx, self.id)
            back: list[Transition] = [PutBack(one.held, Stage.READY, self.now) for one in orphans(tx, self.id)]
            write_transitions(tx, back, worker=self.id, now=self.now, keep=lambda _: KEPT_UNTIL)
            remove_worker(tx, self.id)

        self._engine.write(operate)
        self.held, self.under_way = [], []


class Crew:
    """All workers of a store, and the queue that they share."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clock = OwnClock(NOW)
        engine.clock = self.clock  # type: ignore[assignment]
        self.members: list[Member] = []

    def join(self, lanes: int, *queues: str) -> Member:
        """Start a worker."""
        self.members.append(Member(self.engine, lanes, queues or (QUEUE,)))
        return self.members[-1]

    def enqueue(self, count: int, queue: str = QUEUE) -> None:
        """Store jobs, and wake everybody."""
        if count:
            self.engine.write(lambda tx: insert_jobs(tx, [new_row(queue=queue) for _ in range(count)]))
        self.ring()

    def ring(self) -> None:
        """Wake everybody, as the store does when something has changed."""
        for one in self.members:
            one.claimer.look()

    def limit(self, **changes: Any) -> None:
        """Change what limits the queue."""
        self.engine.write(lambda tx: change_flow(tx, QUEUE, changes, now=self.clock.now()))
        self.ring()

    def running(self) -> int:
        """How many jobs of the store workers hold, as everybody sees it."""
        return sum(self.engine.read(running_by_worker).values())

    def settle(self, rounds: int = 24) -> None:
        """Let everybody live for some seconds; nobody is woken."""
        for _ in range(rounds):
            for one in self.members:
                one.claimer.wait(one.now)
            self.clock.advance("0.25s")
            for one in self.members:
                one.beat()
                one.claimer.look_again()
                one.work()
