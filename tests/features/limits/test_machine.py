"""Any order of enqueues, claims, ends, crashes and changes of limits, by several workers, against what limits promise.

After every step: no gate holds more than its limit lets in, no window of time has more tokens than the burst and what
came, orders are kept, and a line in front of which there is room is looked at within two seconds. At the end everybody
has run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lineshaft import Concurrency, Order, Rate, Tasks
from lineshaft.app.enqueuer import Enqueuer
from lineshaft.clock import HOUR, SECOND, ManualClock
from lineshaft.config import Retention
from lineshaft.events import Subscribers
from lineshaft.feature import Incoming
from lineshaft.features.limits import LimitsFeature
from lineshaft.features.limits.concurrency import NET
from lineshaft.ids import new_id
from lineshaft.newjob import NewJob, shared_row
from lineshaft.outcomes import WORKER_LOST, JobError
from lineshaft.store.claim import Claimed, claim_jobs, promote_due
from lineshaft.store.control import cancel_jobs
from lineshaft.store.finish import write_transitions
from lineshaft.store.gates import gates_of, read_gates
from lineshaft.store.inspect import Filter, count_jobs
from lineshaft.store.rules import Rule, occupancy, override_rule, put_rules
from lineshaft.store.upkeep import orphans
from lineshaft.transitions import Close, Complete, Held, PutBack, Reason, Stage, State, Transition, rescue
from lineshaft.worker.admission import Admission, Step

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Tx
    from lineshaft.gates import Pass
    from lineshaft.task import Task

WORKERS = (101, 102, 103)
KEYS = st.sampled_from("aab")
UNFINISHED = [one for one in State if not one.is_final]
RATE = Rate(4, "1s", "key", burst=3, name="api")


def work(key: str) -> None:
    """Do nothing: the machine starts and ends jobs."""


def limited_tasks() -> Tasks:
    """Tasks with each sort of limit, and with two."""
    tasks = Tasks()
    tasks.task(name="place", concurrency=Concurrency(2, "key", name="place"))(work)
    tasks.task(name="both", concurrency=[Concurrency(2, "key", name="place"), Concurrency(3, name="wide")])(work)
    tasks.task(name="turn", concurrency=Order("key", name="turn"))(work)
    tasks.task(name="token", rate=RATE)(work)
    tasks.task(name="mixed", rate=RATE, concurrency=Concurrency(2, "key", name="place"))(work)
    tasks.task(name="free")(work)
    return tasks


TASKS = limited_tasks()
CHOICES = st.integers(0, 9)
SUBJECTS = {"places": ["place", "both", "free"], "orders": ["turn"], "rates": ["token", "token", "mixed"]}
"""Which tasks are looked at together: all at once, little would happen to each."""


@dataclass
class Holder:
    """A worker and what it holds."""

    id: int
    admission: Admission
    jobs: dict[str, Claimed] = field(default_factory=dict)
    passes: dict[str, tuple[Pass, ...]] = field(default_factory=dict)
    slotted: set[str] = field(default_factory=set)
    is_dead: bool = False


class LimitsMachine(RuleBasedStateMachine):
    """Producers, three workers, and a person who changes limits."""

    def __init__(self, engine: Engine, names: list[str]) -> None:
        super().__init__()
        self.names = names
        self.engine, self.now = engine, engine.clock.now()
        self.run = f"r{new_id()[-11:]}"
        feature = LimitsFeature({task.name: task for task in TASKS})
        self.enqueuer = Enqueuer([feature], {}, Subscribers(), Retention())
        self.feature, self.admissions = feature, 0
        self.holders = [self._worker(number) for number in WORKERS]
        self.keys = ["wide", *(f"{name}={self.run}{key}" for name in ("place", "turn", "api") for key in "ab")]
        self.limits = {"place": 2, "wide": 3}
        self.tokens: defaultdict[str, list[int]] = defaultdict(list)
        self.in_order: defaultdict[str, set[str]] = defaultdict(set)
        """Unfinished jobs of each order that stand in it."""
        self.ended: set[str] = set()
        self.cancelled: set[str] = set()
        self.stored: list[str] = []
        said = TASKS
        rules = {rule: one.limit for rule, one in said.declared_limits.rules().items()}
        kinds = {"place": "concurrency", "wide": "concurrency", "turn": "order", "api": "rate"}
        rows = [Rule(name, cast(Any, kinds[name]), limit.terms()) for name, limit in rules.items()]
        self.engine.write(lambda tx: put_rules(tx, rows, now=self.now))
        for name in ("place", "wide"):
            self.engine.write(lambda tx, name=name: override_rule(tx, name, None, now=self.now))

    def _worker(self, number: int) -> Holder:
        return Holder(number, Admission(number, TASKS, [self.feature], Subscribers(), None))

    # --- what happens ----------------------------------------------------------------------------------------------

    @rule(choice=CHOICES, keys=st.lists(KEYS, min_size=1, max_size=6), delay=st.sampled_from([0, 0, SECOND]))
    def enqueue(self, choice: int, keys: list[str], delay: int) -> None:
        """Enqueue in one call, by code that knows the task."""
        task = self._task(choice).options(queue=self.run, delay=delay / SECOND, retry=None)
        jobs = self.enqueuer.prepare([task.new(f"{self.run}{key}") for key in keys], ManualClock(self.now))
        self.engine.write(lambda tx: self.enqueuer.insert(tx, jobs, self.now, self.engine))
        self._noted(jobs)

    @rule(choice=CHOICES, keys=st.lists(KEYS, min_size=1, max_size=6))
    def enqueue_apart(self, choice: int, keys: list[str]) -> None:
        """Enqueue in a transaction of the enqueuer's own."""
        task = self._task(choice).options(queue=self.run, retry=None)
        jobs = self.enqueuer.prepare([task.new(f"{self.run}{key}") for key in keys], ManualClock(self.now))
        self.enqueuer.store(self.engine, jobs, self.now, is_resend=False)
        self._noted(jobs)

    @rule(choice=CHOICES, key=KEYS)
    def enqueue_by_name(self, choice: int, key: str) -> None:
        """Enqueue by code that does not know the task, nor its limits."""
        options = TASKS.find("free").options(queue=self.run, retry=None).new("x").options
        new = NewJob[Any](
            self._task(choice).name, msgspec.json.encode([[f"{self.run}{key}"], {}]).decode(), options, {}
        )
        job = Incoming({"id": new_id(), **shared_row(new, self.now, None), "args": new.args}, options, None)
        self.enqueuer.store(self.engine, [job], self.now, is_resend=False)
        self.stored.append(job.row["id"])

    @rule(number=st.integers(0, 2), room=st.integers(1, 6), beside=st.integers(0, 2))
    def claim(self, number: int, room: int, beside: int) -> None:
        """A worker takes what it can."""
        self._round(self.holders[number], room, [], beside)

    @rule(number=st.integers(0, 2), picks=st.lists(st.integers(0, 9), min_size=1, max_size=4), room=st.integers(0, 3),
          how=st.sampled_from(["complete", "complete", "die", "retry", "again"]))  # fmt: skip
    def end(self, number: int, picks: list[int], room: int, how: str) -> None:
        """A worker ends some of its jobs and takes others, in one transaction."""
        holder = self.holders[number]
        ids = sorted(holder.jobs)
        if holder.is_dead or not ids:
            return
        chosen = list(dict.fromkeys(ids[pick % len(ids)] for pick in picks))
        self._round(holder, room, [_ended(holder.jobs[one], how, self.now) for one in chosen], room)

    @rule(number=st.integers(0, 2))
    def crash(self, number: int) -> None:
        """A worker is gone with all that it held."""
        self.holders[number].is_dead = True

    @precondition(lambda self: any(one.is_dead for one in self.holders))
    @rule()
    def bury(self) -> None:
        """Another one puts back what dead ones held, and lets others take their places."""
        for place, one in enumerate(self.holders):
            if one.is_dead:
                self.engine.write(lambda tx, one=one: self._buried(tx, one))
                self.holders[place] = self._worker(one.id)

    @rule(name=st.sampled_from(["place", "wide"]), limit=st.integers(1, 4))
    def change(self, name: str, limit: int) -> None:
        """A person changes a limit."""
        text = msgspec.json.encode({"limit": limit}).decode()
        self.engine.write(lambda tx: override_rule(tx, name, text, now=self.now))
        self.limits[name] = limit

    @precondition(lambda self: self.stored)
    @rule(pick=st.integers(0, 99))
    def cancel(self, pick: int) -> None:
        """A person cancels a job, wherever it stands."""
        job = self.stored[pick % len(self.stored)]
        self.engine.write(lambda tx: cancel_jobs(tx, [job], now=self.now, expires_at=self.now + HOUR))
        if not any(job in one.jobs for one in self.holders):
            self._gone(job)
        else:
            self.cancelled.add(job)

    @rule(micros=st.sampled_from([1, 50_000, 200_000, SECOND, 3 * SECOND]), number=st.integers(0, 2))
    def pass_time(self, micros: int, number: int) -> None:
        """Time passes, and a worker looks at what is due."""
        self.now += micros
        self._look(self.holders[number])

    @rule(number=st.integers(0, 2))
    def thin(self, number: int) -> None:
        """A worker that was refused most of its claim looks at what is not claimed yet."""
        holder = self.holders[number]
        if not holder.is_dead:
            self.engine.write(lambda tx: holder.admission.thin(tx, self.run, self.now))

    # --- what is promised ------------------------------------------------------------------------------------------

    @invariant()
    def tokens_are_not_overspent(self) -> None:
        """In any window of time no more start than the burst and what came meanwhile."""
        for starts in self.tokens.values():
            for first, begun in enumerate(starts):
                for last in range(first, len(starts)):
                    came = (starts[last] - begun) * RATE.count / SECOND
                    assert last - first + 1 <= 3 + came

    @invariant()
    def lines_are_looked_at(self) -> None:
        """A line is looked at within two seconds, or when the next token comes."""
        gates, lines = self.engine.read(lambda tx: (read_gates(tx, self.keys), occupancy(tx, self.keys)))
        for one in lines:
            if one.waiting:
                wake_at = gates[one.key].wake_at
                assert wake_at is not None
                assert wake_at <= self.now + NET

    def teardown(self) -> None:
        """Once nothing more is wrong, everybody runs."""
        self.bury_all()
        for _ in range(300):
            if not self._unfinished():
                return
            self.now += SECOND
            for holder in self.holders:
                self._look(holder)
                self._round(holder, 5, [Complete(one.held, "null") for one in holder.jobs.values()])
        pytest.fail(f"{self._unfinished()} jobs are left behind")

    def bury_all(self) -> None:
        """Put back what dead workers held."""
        if any(one.is_dead for one in self.holders):
            self.bury()

    # --- inside ----------------------------------------------------------------------------------------------------

    def _task(self, choice: int) -> Task[Any, Any, Any]:
        return TASKS.find(self.names[choice % len(self.names)])

    def _round(self, holder: Holder, room: int, ends: list[Transition], beside: int = 0) -> None:
        if holder.is_dead:
            return

        def write(tx: Tx) -> tuple[list[Claimed], Any]:
            promote_due(tx, self.now)
            write_transitions(tx, ends, worker=holder.id, now=self.now, keep=lambda _: self.now + HOUR)
            claimed = claim_jobs(tx, queue=self.run, limit=room, worker=holder.id, now=self.now) if room else []
            gone = [self._left(holder, one.held) for one in ends]
            admitted = holder.admission.admit(tx, claimed, gone, self.now, lambda _: {self.run: beside})
            return claimed, admitted

        claimed, admitted = self.engine.write(write)
        for transition in ends:
            self._noted_end(holder, transition)
        self._admitted(holder, claimed, admitted)
        holder.admission.settle(admitted.step)

    def _left(self, holder: Holder, held: Held) -> Any:
        from lineshaft.worker.departure import left

        return left(held, holder.passes[held.id], has_slots=held.id in holder.slotted, queue=self.run)

    def _admitted(self, holder: Holder, claimed: list[Claimed], admitted: Any) -> None:
        for one in claimed:
            self._came_to_order(one.held.id, admitted.passes.get(one.held.id, ()))
        before = self._taken()
        for one in admitted.jobs:
            job, passes = one.held.id, admitted.passes.get(one.held.id, ())
            holder.jobs[job], holder.passes[job] = one, passes
            if job in admitted.slotted:
                holder.slotted.add(job)
            if not one.cancel_requested:
                self._started(job, passes)
        for key, count in self._taken().items():
            if count > before.get(key, 0):
                assert count <= self._limit(key), f"{count} are inside {key}"

    def _started(self, job: str, passes: tuple[Pass, ...]) -> None:
        for one in passes:
            if one.kind == "rate":
                self.tokens[one.key].append(self.now)
            elif one.kind == "order":
                assert min(self.in_order[one.key], default=job) == job, "another one goes first"

    def _came_to_order(self, job: str, passes: tuple[Pass, ...]) -> None:
        for one in passes:
            if one.kind == "order":
                self.in_order[one.key].add(job)

    def _noted_end(self, holder: Holder, transition: Transition) -> None:
        job = transition.held.id
        del holder.jobs[job], holder.passes[job]
        holder.slotted.discard(job)
        if not isinstance(transition, PutBack):
            self._gone(job)

    def _gone(self, job: str) -> None:
        self.ended.add(job)
        for known in self.in_order.values():
            known.discard(job)

    def _noted(self, jobs: list[Incoming]) -> None:
        for one in jobs:
            self.stored.append(one.row["id"])
            if one.placed is not None and one.placed.sequence is not None:
                self.in_order[one.placed.sequence].add(one.row["id"])

    def _buried(self, tx: Tx, dead: Holder) -> Step:
        gates: dict[str, str] = {}
        while held := orphans(tx, dead.id):
            gates |= gates_of(tx, [one.held.id for one in held])
            error = JobError(1, WORKER_LOST, "gone", None, self.now)
            moves = [
                rescue(one.held, error, is_isolated=False, is_cancel_requested=one.cancel_requested, max_losses=9)
                for one in held
            ]
            write_transitions(tx, moves, worker=dead.id, now=self.now, keep=lambda _: self.now + HOUR)
            for one in moves:
                if isinstance(one, Close):
                    self._gone(one.held.id)
        other = next((one for one in self.holders if not one.is_dead), self._worker(999))
        return other.admission.visit(tx, gates, self.now)

    def _look(self, holder: Holder) -> None:
        if not holder.is_dead:
            holder.admission.settle(self.engine.write(lambda tx: holder.admission.open_due(tx, self.now)))

    def _taken(self) -> Counter[str]:
        """Count who is inside; a job that was claimed to be cancelled does not run."""
        running = (
            holder.passes[job]
            for holder in self.holders
            for job, one in holder.jobs.items()
            if not one.cancel_requested
        )
        return Counter(one.key for passes in running for one in passes if one.kind != "rate")

    def _limit(self, key: str) -> int:
        return self.limits.get(key.partition("=")[0], 1)

    def _unfinished(self) -> int:
        return self.engine.read(lambda tx: count_jobs(tx, Filter(queue=self.run, states=tuple(UNFINISHED))))


def _ended(one: Claimed, how: str, now: int) -> Transition:
    match how:
        case "complete":
            return Complete(one.held, "null")
        case "die":
            return Close(one.held, Stage.DEAD, Reason.ERROR, JobError(1, "ValueError", "no", None, now))
        case "retry":
            return PutBack(one.held, Stage.RETRYING, now + SECOND)
        case _:
            return PutBack(one.held, Stage.READY, None)


@pytest.mark.timeout(300)  # a failure takes time to be made small
@pytest.mark.parametrize("subject", SUBJECTS)
def test_limits_hold_on_sqlite(memory_engine: Engine, subject: str) -> None:
    """On SQLite, whatever happens in whatever order, limits hold and nobody is left behind."""
    drive(memory_engine, SUBJECTS[subject], examples=40)


@pytest.mark.timeout(300)  # a failure takes time to be made small
@pytest.mark.parametrize("subject", SUBJECTS)
def test_limits_hold_on_postgres(postgres_engine: Engine, subject: str) -> None:
    """On PostgreSQL likewise."""
    drive(postgres_engine, SUBJECTS[subject], examples=4)


def drive(engine: Engine, names: list[str], examples: int) -> None:
    chosen = settings(max_examples=examples, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(lambda: LimitsMachine(engine, names), settings=chosen)
