"""Limits of a whole queue under everything that happens to workers: never above the limit, and no place is lost."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lineshaft.engines.base import Sql, Statement
from lineshaft.store.migrate import migrate
from tests.plugins.engines import open_engine
from tests.worker.sharers import Crew, Member

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

EMPTY = Statement(
    "empty",
    Sql.parse(
        "delete from lineshaft_job;\ndelete from lineshaft_worker;\ndelete from lineshaft_queue;\n"
        "delete from lineshaft_gate;\ndelete from lineshaft_queue_grant",
        "sqlite", (),
    ),
    Sql.parse(
        "truncate lineshaft.job, lineshaft.history, lineshaft.worker, lineshaft.queue, lineshaft.gate,"
        " lineshaft.queue_grant",
        "postgres", (),
    ),
)  # fmt: skip
ANY = st.integers(0, 5)
UNLIMITED = sys.maxsize


class GrantsMachine(RuleBasedStateMachine):
    """Workers that come, work, drain, die and are buried, while somebody changes the limit."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.crew = Crew(engine)
        self.limit = self.ceiling = UNLIMITED
        self.waiting = 0

    @initialize(lanes=st.lists(st.integers(1, 4), min_size=1, max_size=3), count=st.integers(0, 10))
    def begin(self, lanes: list[int], count: int) -> None:
        """Start with some workers and jobs."""
        for one in lanes:
            self.crew.join(one)
        self.crew.enqueue(count)

    def chosen(self, number: int) -> Member:
        """One of the workers that live."""
        alive = self.alive
        return alive[number % len(alive)]

    @property
    def alive(self) -> list[Member]:
        """The workers that live."""
        return [one for one in self.crew.members if not one.is_dead]

    @precondition(lambda self: len(self.crew.members) < 5)
    @rule(lanes=st.integers(1, 4))
    def join(self, lanes: int) -> None:
        """Another worker comes."""
        self.crew.join(lanes)

    @rule(count=st.integers(1, 6))
    def enqueue(self, count: int) -> None:
        """More jobs come, and everybody is woken."""
        self.crew.enqueue(count)

    @rule()
    def ring(self) -> None:
        """Everybody is woken."""
        self.crew.ring()

    @rule(micros=st.sampled_from([0, 60_000, 200_000, 1_100_000]))
    def wait(self, micros: int) -> None:
        """Time passes."""
        self.crew.clock.advance(micros / 1_000_000)

    @rule(limit=st.sampled_from([6, 5, 4, 3, 2, 1, 1, None]))
    def change(self, limit: int | None) -> None:
        """Somebody changes the limit, or takes it away."""
        self.crew.limit(concurrency=limit)
        self.limit = UNLIMITED if limit is None else limit
        self.ceiling = max(self.limit, self.crew.running())

    @precondition(lambda self: self.alive)
    @rule(number=ANY)
    def beat(self, number: int) -> None:
        """A heartbeat."""
        self.chosen(number).beat()

    @precondition(lambda self: self.alive)
    @rule(number=ANY)
    def work(self, number: int) -> None:
        """A round of claims."""
        self.chosen(number).work()

    @rule()
    def all_work(self) -> None:
        """Everybody hears what is new and claims, again and again: who was refused may ask after a moment."""
        for _ in range(3):
            self.crew.clock.advance("0.2s")
            for one in self.alive:
                one.beat()
                one.work()
            self.never_above_the_limit()

    @rule(count=st.integers(1, 4))
    def all_turn_over(self, count: int) -> None:
        """Everybody's jobs end, are written, and others are claimed with that."""
        for one in self.alive:
            one.end(count)
            self.written(one, claims=True)

    @precondition(lambda self: self.alive)
    @rule(number=ANY, count=st.integers(1, 4))
    def end_and_work(self, number: int, count: int) -> None:
        """Jobs end, and others are claimed before that is written."""
        self.chosen(number).end(count)
        self.chosen(number).work()

    @precondition(lambda self: self.alive)
    @rule(number=ANY, count=st.integers(1, 4))
    def end(self, number: int, count: int) -> None:
        """Jobs end, and nobody has written it yet."""
        self.chosen(number).end(count)

    @precondition(lambda self: self.alive)
    @rule(number=ANY, claims=st.booleans())
    def write(self, number: int, claims: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        """What has ended is written, with or without a claim in the same transaction."""
        self.written(self.chosen(number), claims=claims)

    def written(self, one: Member, *, claims: bool) -> None:
        """Write what has ended; what is claimed with that may not be more than was below the limit."""
        before, ended = self.crew.running(), len(one.under_way)
        one.write(claims=claims)
        assert self.crew.running() <= max(self.limit, before - ended)

    @precondition(lambda self: self.alive)
    @rule(number=ANY)
    def drain(self, number: int) -> None:
        """A worker is told to take no more."""
        self.chosen(number).drain()

    @precondition(lambda self: self.alive)
    @rule(number=ANY)
    def die(self, number: int) -> None:
        """A worker dies, and nobody knows it yet."""
        self.chosen(number).is_dead = True

    @precondition(lambda self: len(self.alive) < len(self.crew.members))
    @rule()
    def bury(self) -> None:
        """The dead workers are found."""
        for one in self.crew.members:
            if one.is_dead:
                one.bury()
        self.crew.members = self.alive
        self.crew.ring()

    @rule()
    def settle(self) -> None:
        """After some seconds in peace exactly as many jobs run as may: no place is lost."""
        self.bury()
        for one in self.alive:
            self.written(one, claims=True)
        self.crew.settle()
        lanes = sum(one.lanes if one.claimer.is_open else len(one.held) for one in self.alive)
        unfinished = self.unfinished()
        self.never_above_the_limit()
        assert self.crew.running() == min(self.ceiling, lanes, unfinished)

    def unfinished(self) -> int:
        """How many jobs there are."""
        return self.crew.engine.read(lambda tx: tx.run(COUNT, {})[0][0])

    @invariant()
    def never_above_the_limit(self) -> None:
        """Workers hold no more jobs than the limit; where it was lowered, no new one before they are fewer."""
        running = self.crew.running()
        assert running <= self.ceiling
        self.ceiling = max(self.limit, running)


COUNT = Statement(
    "count",
    Sql.parse("select count(*) from lineshaft_job where stage < 10", "sqlite", ()),
    Sql.parse("select count(*) from lineshaft.job", "postgres", ()),
)


@pytest.mark.parametrize("kind, examples", [("memory", 150), ("postgres", 12)])
def test_no_limit_is_broken(kind: str, examples: int, request: pytest.FixtureRequest) -> None:
    """However workers come and go and limits change, no more jobs run than may, and in peace exactly as many."""
    engine = open_engine("memory://" if kind == "memory" else request.getfixturevalue("postgres_url"))
    migrate(engine)

    def machine() -> GrantsMachine:
        engine.write(lambda tx: tx.run(EMPTY, {}))
        return GrantsMachine(engine)

    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None))
    engine.close()
