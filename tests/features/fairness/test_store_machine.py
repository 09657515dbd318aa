"""The store draws the places that the model draws, whatever is enqueued, delayed, claimed, ended or cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lineshaft.clock import MINUTE, SECOND
from lineshaft.engines.base import Sql, Statement
from lineshaft.feature import Incoming
from lineshaft.options import Fair, Options
from lineshaft.store import control
from lineshaft.store.claim import claim_jobs, promote_due
from lineshaft.store.fairness import change_fair
from lineshaft.store.placing import store_incoming
from lineshaft.transitions import Complete, PutBack, Stage
from tests.features.fairness.course import Course, Waiting
from tests.plugins.engines import KEPT_UNTIL, NOW, WORKER, finish, new_row

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.transitions import Held

FAIR = Fair("tenant", {"heavy": 3, "odd": 7})
TENANTS = ("heavy", "odd", "one", "two", None)


def both(sqlite: str, postgres: str) -> Statement:
    """Return a statement of the test's own."""
    return Statement("test", Sql.parse(sqlite, "sqlite", ()), Sql.parse(postgres, "postgres", ()))


EMPTY = [
    both(f"delete from lineshaft_{table}", f"delete from lineshaft.{table}")
    for table in ("job", "queue", "fair", "gate")
]
PLACES = both(
    "select id, turn from lineshaft_job where stage = 1", "select id::text, turn from lineshaft.job where stage = 1"
)


class TurnsMachine(RuleBasedStateMachine):
    """One fair queue in a store, and beside it the model."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine, self.now, self.course = engine, NOW, Course()
        for statement in EMPTY:
            engine.write(lambda tx, statement=statement: tx.run(statement, {}))
        engine.write(lambda tx: change_fair(tx, "default", FAIR, now=NOW))
        self.held: dict[str, Held] = {}
        self.delayed: dict[str, str] = {}

    @rule(tenants=st.lists(st.sampled_from(TENANTS), min_size=1, max_size=6))
    def enqueue(self, tenants: list[str | None]) -> None:
        """Store jobs of several in one call."""
        jobs = [Incoming(dict(new_row(tenant=one, run_at=self.now)), Options(), None) for one in tenants]
        self.engine.write(lambda tx: store_incoming(tx, jobs, self.now))
        self._place([(one.row["id"], FAIR.whose(one.row["tenant"], None)) for one in jobs])

    @rule(tenant=st.sampled_from(TENANTS))
    def delay(self, tenant: str | None) -> None:
        """Store one that runs later."""
        row = new_row(tenant=tenant, run_at=self.now + SECOND, stage=int(Stage.SCHEDULED))
        self.engine.write(lambda tx: store_incoming(tx, [Incoming(dict(row), Options(), None)], self.now))
        self.delayed[row["id"]] = FAIR.whose(tenant, None)

    @rule(seconds=st.integers(0, 15))
    def pass_time(self, seconds: int) -> None:
        """Let time pass, and what falls due in."""
        self.now += seconds * SECOND
        before = set(self._stored())
        self.engine.write(lambda tx: promote_due(tx, self.now))
        came = sorted(set(self._stored()) - before)  # ids are in the order of their times, as the store lets them in
        self._place([(one, self.delayed.pop(one)) for one in came])

    @rule(count=st.integers(1, 8))
    def claim(self, count: int) -> None:
        """Take the next jobs: they are the model's."""
        for _ in range(count):
            found = self.engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=WORKER, now=self.now))
            assert [one.held.id for one in found] == [one for one in [self.course.first()] if one]
            for one in found:
                self.held[one.held.id] = one.held
                self.course.jobs[one.held.id].is_held = True

    @precondition(lambda self: self.held)
    @rule(count=st.integers(1, 8))
    def complete(self, count: int) -> None:
        """End some."""
        for job_id in sorted(self.held)[:count]:
            finish(self.engine, Complete(self.held.pop(job_id), None), now=self.now)
            del self.course.jobs[job_id]

    @precondition(lambda self: self.held)
    @rule()
    def put_back(self) -> None:
        """Give one back: it keeps its turn."""
        job_id = min(self.held)
        finish(self.engine, PutBack(self.held.pop(job_id), Stage.READY, None), now=self.now)
        job = self.course.jobs[job_id]
        job.is_held, job.came_back = False, True

    @rule(tenant=st.sampled_from(TENANTS))
    def cancel(self, tenant: str | None) -> None:
        """Cancel all waiting jobs of one."""
        key = FAIR.whose(tenant, None)
        gone = [name for name, job in self.course.jobs.items() if job.key == key and not job.is_held]
        if gone:
            self.engine.write(lambda tx: control.cancel_jobs(tx, gone, now=self.now, expires_at=KEPT_UNTIL + MINUTE))
        for name in gone:
            del self.course.jobs[name]

    @invariant()
    def places_are_the_models(self) -> None:
        """Each ready job stands where the model says."""
        assert self._stored() == {name: job.place for name, job in self.course.jobs.items()}

    def _stored(self) -> dict[str, int]:
        return dict(self.engine.read(lambda tx: tx.run(PLACES, {})))  # type: ignore[arg-type]

    def _place(self, jobs: list[tuple[str, str]]) -> None:
        if not jobs:
            return
        keys = [key for _, key in jobs]
        drawn = self.course.draw({key: (FAIR.step(key), keys.count(key)) for key in dict.fromkeys(keys)}, self.now)
        places = {key: iter(found) for key, found in drawn.items()}
        self.course.jobs |= {name: Waiting(next(places[key]), key) for name, key in jobs}


def test_in_memory(memory_engine: Engine) -> None:
    """On SQLite."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: TurnsMachine(memory_engine), settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )


def test_on_postgres(postgres_engine: Engine) -> None:
    """On PostgreSQL."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: TurnsMachine(postgres_engine), settings=settings(max_examples=15, stateful_step_count=20, deadline=None)
    )
