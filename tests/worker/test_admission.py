"""What a worker's rounds do about gates, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import pytest

from lineshaft import Concurrency, Job, Lineshaft, Order, Rate, current_job
from lineshaft.clock import HOUR
from lineshaft.config import Retention, load_settings
from lineshaft.engines.postgres.transaction import PostgresTx
from lineshaft.engines.sqlite.transaction import SqliteTx
from lineshaft.events import Subscribers
from lineshaft.outcomes import Interrupted, Snoozed
from lineshaft.store.gates import SQL as GATES
from lineshaft.store.gates import Move, lock_and_read, next_wake, write_step
from lineshaft.store.line import SQL as LINES
from lineshaft.store.upkeep import Suspect, register_worker
from lineshaft.task import Task
from lineshaft.transitions import State
from lineshaft.worker.rescuer import Rescuer
from tests.plugins.apps import LIMIT, Gates, StartWorker, eventually, own_connection
from tests.worker.crew import Hand

Work = Task[Any, None, None]
MakeHand = Callable[..., Hand]


@pytest.fixture
def lone(app: Lineshaft) -> Work:
    """A task that runs one job of a key at a time."""

    @app.task(name="lone", concurrency=Concurrency(1, key="key"))
    def lone(key: int, number: int = 0) -> None:
        """Never really run."""

    return lone


@pytest.fixture
def free(app: Lineshaft) -> Work:
    """A task without limits."""

    @app.task(name="free")
    def free(number: int = 0) -> None:
        """Never really run."""

    return free


@pytest.fixture
def make_hand(app: Lineshaft) -> Iterator[MakeHand]:
    """Makes the parts of workers that the test steps: `make_hand(slots=4)`; define the tasks before."""
    app.migrate()
    made: list[Hand] = []

    def make(*, slots: int = 10, queue: str = "default") -> Hand:
        made.append(Hand(app, 7 + len(made), slots=slots, queue=queue))
        return made[-1]

    yield make
    for one in made:
        one.close()


def register(app: Lineshaft, queues: dict[str, int]) -> None:
    """Have another worker serve queues, as far as the store knows."""
    app.runtime().engine.write(
        lambda tx: register_worker(tx, host="h", pid=1, version="0", queues=queues, tasks=(), now=0)
    )


def finished(jobs: Iterable[Job[Any]]) -> bool:
    """Tell whether all of these are completed."""
    return all(job.refresh().state is State.COMPLETED for job in jobs)


def test_the_next_of_a_key_starts_in_the_round_that_ends_the_first(lone: Work, make_hand: MakeHand) -> None:
    """A place that becomes free is taken in the transaction that frees it."""
    hand = make_hand()
    first, second = lone.enqueue_many([{"key": 1, "number": number} for number in (1, 2)])
    hand.step(2)
    assert [run.id for run in hand.runs] == [first.id]
    hand.end()
    hand.step()
    assert [run.id for run in hand.runs] == [second.id]
    hand.end()
    hand.step()
    assert second.refresh().state is State.COMPLETED


def test_a_job_that_has_to_wait_spends_no_attempt(lone: Work, make_hand: MakeHand) -> None:
    """A job that was claimed and held back is queued as before, with no attempt counted."""
    hand = make_hand()
    lone.enqueue(1)
    waiting = lone.enqueue(1)  # one by one: nobody has parked it before its claim
    hand.step(2)
    found = waiting.refresh()
    assert (found.state, found.attempt) == (State.QUEUED, 0)
    hand.end()
    hand.step(2)
    assert [(run.id, run.attempt) for run in hand.runs] == [(waiting.id, 1)]


def test_what_others_wait_for_does_not_hold_back_another_key(lone: Work, make_hand: MakeHand) -> None:
    """Jobs of other keys pass those that wait, with as many places as the worker has."""
    hand = make_hand(slots=3)
    lone.enqueue_many([{"key": 1, "number": number} for number in range(20)])
    others = [lone.enqueue(key) for key in (2, 3)]
    hand.step(3)
    assert {run.id for run in hand.runs} >= {one.id for one in others}


def test_another_worker_starts_what_one_has_made_room_for(lone: Work, make_hand: MakeHand) -> None:
    """A job that leaves the line because of one worker may be claimed by any."""
    one, other = make_hand(slots=1), make_hand()
    lone.enqueue_many([{"key": 1, "number": number} for number in (1, 2)])
    one.step()
    [run] = one.runs
    one.claimer.is_open = False  # it drains: it takes no head of a line itself
    one.end(run)
    one.step()
    other.step()
    assert len(other.runs) == 1


def test_limits_that_come_with_a_job_are_kept_by_a_worker_without_any(free: Work, make_hand: MakeHand) -> None:
    """A job that brings a limit of its own is judged before it starts, by whoever claims it."""
    hand = make_hand()
    limited = free.options(concurrency=Concurrency(1, name="jobs"))
    for number in range(3):
        limited.enqueue(number)
    for left in (3, 2, 1):
        hand.step(2)
        assert len(hand.runs) == 1, f"{left} are left"
        hand.end()
    hand.step(2)
    assert not hand.runs


def test_a_job_whose_key_cannot_be_told_is_dead(app: Lineshaft, make_hand: MakeHand) -> None:
    """Arguments that give no key end the job as arguments do that do not fit."""

    @app.task(name="keyed", concurrency=Concurrency(1, key="order.customer"))
    def keyed(order: dict[str, int]) -> None:
        """Never really run."""

    hand = make_hand()
    job = keyed.enqueue({"customer": 1})
    broken = app.enqueue("keyed", order={"buyer": 2})
    hand.step(3)
    assert [run.id for run in hand.runs] == [job.id]
    assert broken.refresh().state is State.DEAD
    assert broken.refresh().reason == "rejected"


def test_a_crowd_that_may_not_start_is_out_of_the_way_of_others_in_a_few_rounds(
    durable_app: Lineshaft, request: pytest.FixtureRequest
) -> None:
    """Jobs from connections that know nothing of limits are parked by the thousand, and not one by one."""

    @durable_app.task(name="lone", concurrency=1)
    def lone(number: int) -> None:
        """Never really run."""

    @durable_app.task(name="free")
    def free() -> None:
        """Never really run."""

    durable_app.migrate()
    with own_connection(durable_app) as connection:
        durable_app.enqueue_many([lone.new(number) for number in range(600)], connection=connection)
        connection.commit()
    other = free.enqueue()
    hand = Hand(durable_app, 7, slots=2)
    request.addfinalizer(hand.close)
    hand.step(6)
    assert other.id in {run.id for run in hand.runs}


def test_a_job_that_was_put_back_for_later_frees_its_place(lone: Work, make_hand: MakeHand) -> None:
    """A job that snoozes lets the next of its key start, and asks anew when its time has come."""
    hand = make_hand()
    lone.enqueue_many([{"key": 1, "number": number} for number in (1, 2)])
    hand.step(2)
    [first] = hand.runs
    hand.end(first, outcome=Snoozed(1))
    hand.step()
    [second] = hand.runs
    assert second.id != first.id
    eventually(lambda: (hand.step(), len(hand.runs) == 1)[1])
    hand.end(second)
    eventually(lambda: (hand.step(), [run.id for run in hand.runs] == [first.id])[1])


@pytest.mark.parametrize("is_noticed", [True, False], ids=["while it works", "while nobody works"])
def test_lines_go_on_after_the_clock_was_set_back(app: Lineshaft, make_hand: MakeHand, *, is_noticed: bool) -> None:
    """What the old clock said of tokens, of a breaker's rest and of the next look is not waited for."""

    @app.task(name="rated", rate=Rate(1_000, "1s", burst=1, name="api"))
    def rated() -> None:
        """Never really run."""

    hand, engine = make_hand(), app.runtime().engine
    jobs = rated.enqueue_many([{} for _ in range(3)])
    hand.step()
    ahead = engine.clock.now() + HOUR

    def was_an_hour_later(tx: Any) -> None:
        known = lock_and_read(tx, {"api": "api"})["api"]
        write_step(tx, moves=[Move("api", known.tat + HOUR, known.state, ahead)])

    engine.write(was_an_hour_later)
    if is_noticed:
        hand.admission.refresh(engine.read, ahead)
    hand.step()
    assert any(one.refresh().state is State.QUEUED for one in jobs)
    hand.admission.refresh(engine.read, engine.clock.now())
    eventually(lambda: (hand.step(), len(hand.runs) == len(jobs))[1])
    assert engine.read(next_wake) is None


def test_a_job_that_is_given_back_is_the_next_of_its_key(lone: Work, make_hand: MakeHand) -> None:
    """A worker that gives a job back lets it start elsewhere at once, before those behind it."""
    one, other = make_hand(slots=1), make_hand()
    lone.enqueue_many([{"key": 1, "number": number} for number in (1, 2)])
    one.step()
    [run] = one.runs
    one.claimer.is_open = False
    one.end(run, outcome=Interrupted())
    one.step()
    other.step(2)
    assert [found.id for found in other.runs] == [run.id]


def test_the_places_of_a_dead_worker_are_free_once_its_jobs_are_put_back(
    app: Lineshaft, lone: Work, make_hand: MakeHand
) -> None:
    """Whoever rescues the jobs of a worker that is gone frees the places that it held, in the same transaction."""
    gone, other = make_hand(slots=1), make_hand()
    lone.enqueue_many([{"key": 1, "number": number} for number in (1, 2)])
    gone.step()
    [run] = gone.runs
    rescuer = Rescuer(app.runtime().engine, -1, load_settings({}, {}), Retention(), Subscribers(), (), other.admission)
    rescuer._rescue(Suspect(7, is_lease_over=True, host="away", pid=1))
    other.step(2)
    assert [(found.id, found.claimed.is_isolated) for found in other.runs] == [(run.id, True)]
    other.end()
    other.step()
    assert len(other.runs) == 1


def test_a_worker_that_slept_gives_up_no_place_of_its_jobs_next_run(app: Lineshaft, make_hand: MakeHand) -> None:
    """The end of an attempt whose job somebody else runs by now frees nothing: the places are those of the new one."""

    @app.task(name="both", concurrency=[Concurrency(1, name="one"), Concurrency(1, name="two")])
    def both() -> None:
        """Never really run."""

    gone, other = make_hand(slots=1), make_hand()
    both.enqueue_many([{}, {}])
    gone.step()
    rescuer = Rescuer(app.runtime().engine, -1, load_settings({}, {}), Retention(), Subscribers(), (), other.admission)
    rescuer._rescue(Suspect(7, is_lease_over=True, host="away", pid=1))
    other.step(2)
    [run] = other.runs
    gone.end()
    gone.step()
    third = make_hand()
    third.step(2)
    other.step()
    assert ([found.id for found in other.runs], third.runs) == ([run.id], [])


def test_a_job_that_completes_in_its_own_transaction_frees_its_place(app: Lineshaft, start_worker: StartWorker) -> None:
    """The place of a job that commits its own completion is free for the next one."""

    @app.task(name="own", concurrency=1)
    def own() -> int:
        with current_job().transaction():
            return 1

    jobs = own.enqueue_many([{}] * 3)
    start_worker(app, {"default": 3})
    assert [job.result(LIMIT) for job in jobs] == [1, 1, 1]


def test_tokens_are_waited_for_by_one_timer(app: Lineshaft, start_worker: StartWorker) -> None:
    """Jobs of a rate start when their tokens come, without anybody who enqueues or ends something."""

    @app.task(name="rated", rate=Rate(50, "1s", burst=1))
    def rated() -> None:
        """Do nothing."""

    start_worker(app, {"default": 10})
    jobs = rated.enqueue_many([{}] * 11)
    for job in jobs:
        job.result(LIMIT)
    claimed = sorted(at for job in jobs if (at := job.refresh().started_at) is not None)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(claimed)]
    assert len(gaps) == 10
    assert min(gaps) >= 0.02
    assert sum(gaps) < LIMIT / 4


def test_jobs_of_a_strict_order_that_came_by_name_run_in_order(
    make_app: Callable[..., Lineshaft], durable_url: str
) -> None:
    """Where the enqueuer does not know the task, whoever claims its jobs puts them into their order."""
    client, app = make_app(durable_url), make_app(durable_url)

    @app.task(name="ordered", concurrency=Order("key"))
    def ordered(key: int, number: int) -> None:
        """Never really run."""

    ids = [client.enqueue("ordered", key=1, number=number).id for number in range(4)]
    hand = Hand(app, 7)
    try:
        for expected in ids:
            hand.step(2)
            assert [run.id for run in hand.runs] == [expected]
            hand.end()
    finally:
        hand.close()


def test_a_crowd_of_a_strict_order_that_came_by_name_is_not_overtaken(
    make_app: Callable[..., Lineshaft], durable_url: str, statements: list[str]
) -> None:
    """Jobs that are parked before anybody claims them stand in their order, before those that were enqueued later."""
    client, app = make_app(durable_url), make_app(durable_url)

    @app.task(name="ordered", concurrency=Order("key"))
    def ordered(key: int, number: int) -> None:
        """Never really run."""

    ids = [client.enqueue("ordered", key=1, number=number).id for number in range(8)]
    hand = Hand(app, 7, slots=2)
    try:
        hand.step(6)
        assert "park_unclaimed" in statements
        ids.append(ordered.enqueue(1, 8).id)  # of which everybody knows
        for expected in ids:
            eventually(lambda: (hand.step(), hand.runs)[1])
            assert [run.id for run in hand.runs] == [expected]
            hand.end()
    finally:
        hand.close()


def test_a_limit_shared_by_queues_is_not_stopped_by_a_queue_that_nobody_serves(
    app: Lineshaft, make_hand: MakeHand
) -> None:
    """A released job whose queue is paused, or served nowhere, does not keep the place from jobs of another queue."""

    @app.task(name="elsewhere", queue="elsewhere", concurrency=Concurrency(1, name="crm"))
    def elsewhere(number: int) -> None:
        """Never claimed."""

    @app.task(name="here", concurrency=Concurrency(1, name="crm"))
    def here(number: int) -> None:
        """Never really run."""

    hand = make_hand()
    elsewhere.enqueue_many([{"number": number} for number in range(2)])
    jobs = here.enqueue_many([{"number": number} for number in range(6)])
    hand.admission.refresh(hand.engine.read, hand.engine.clock.now())  # as its first heartbeat does
    eventually(lambda: (hand.step(), hand.runs)[1])
    for _ in jobs[1:]:
        assert len(hand.runs) == 1
        hand.end()
        hand.step(2)
    hand.end()
    hand.step()
    assert {job.refresh().state for job in jobs} == {State.COMPLETED}


@pytest.mark.parametrize("is_paused", [False, True], ids=["unserved", "paused"])
def test_those_who_cannot_be_claimed_are_passed_by_however_many_they_are(
    app: Lineshaft, make_hand: MakeHand, *, is_paused: bool
) -> None:
    """Jobs of a queue that is open take the places at once, and those before them keep their places in the line."""

    @app.task(name="elsewhere", queue="elsewhere", concurrency=Concurrency(2, name="crm"))
    def elsewhere(number: int) -> None:
        """Claimed once its queue is served and not paused."""

    @app.task(name="here", concurrency=Concurrency(2, name="crm"))
    def here(number: int) -> None:
        """Never really run."""

    hand = make_hand()
    before = elsewhere.enqueue_many([{"number": number} for number in range(40)])
    if is_paused:
        app.queues.pause("elsewhere")
        register(app, {"elsewhere": 1})
    jobs = here.enqueue_many([{"number": number} for number in range(6)])
    hand.admission.refresh(hand.engine.read, hand.engine.clock.now())  # as its first heartbeat does
    eventually(lambda: (hand.step(), hand.runs)[1])
    for _ in range(len(jobs)):  # no look at lines by time comes for 2 s
        hand.end()
        hand.step(3)
    assert {job.refresh().state for job in jobs} == {State.COMPLETED}
    assert before[0].refresh().state is State.QUEUED
    if is_paused:
        app.queues.resume("elsewhere")
    else:
        register(app, {"elsewhere": 1})
    hand.admission.refresh(hand.engine.read, hand.engine.clock.now())
    other = make_hand(queue="elsewhere")
    for _ in range(25):
        eventually(lambda: (hand.step(), other.step(), other.runs or finished(before))[-1])
        other.end()
        other.step()
    assert finished(before)


def test_a_strict_order_does_not_let_its_first_job_out_of_another_line(
    app: Lineshaft, make_hand: MakeHand, statements: list[str]
) -> None:
    """The first job of an order waits in the line of a limit that is full, without being claimed over and over."""

    @app.task(name="both", concurrency=[Order("key"), Concurrency(1, name="crm")])
    def both(key: int) -> None:
        """Never really run."""

    hand = make_hand()
    jobs = [both.enqueue(key) for key in (1, 2, 2)]
    hand.step(4)
    assert [run.id for run in hand.runs] == [jobs[0].id]
    del statements[:]
    hand.step(20)
    assert "park_jobs" not in statements
    for job in jobs:
        eventually(lambda: (hand.step(), hand.runs)[1])
        assert [run.id for run in hand.runs] == [job.id]
        hand.end()


def test_a_line_whose_limit_is_gone_from_the_code_empties_as_fast_as_it_runs(
    make_app: Callable[..., Lineshaft], durable_url: str
) -> None:
    """Jobs that were parked by a limit which no code asks for any more are let out by the jobs that leave its line."""
    before, after = make_app(durable_url), make_app(durable_url)

    @before.task(name="once_limited", concurrency=1)
    def limited(number: int) -> None:
        """Never really run."""

    @after.task(name="once_limited")
    def unlimited(number: int) -> None:
        """Never really run."""

    jobs = limited.enqueue_many([{"number": number} for number in range(30)])
    hand = Hand(after, 7)
    try:
        rounds = 0
        while any(job.refresh().state is not State.COMPLETED for job in jobs) and rounds < 80:
            rounds += 1
            hand.step()
            hand.end()
        assert rounds < 80, "only a look every two seconds has let jobs out"
    finally:
        hand.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all statements that are run from now on."""
    names: list[str] = []
    for kind in (SqliteTx, PostgresTx):
        original = kind.run

        def run(tx: Any, statement: Any, params: Any, rows: Any = None, *, original: Any = original) -> Any:
            names.append(statement.name)
            return original(tx, statement, params, rows)

        monkeypatch.setattr(kind, "run", run)
    return names


_OF_GATES: Final = {*GATES.by_name, *LINES.by_name}


def test_jobs_without_limits_cost_no_statement_more(
    free: Work, lone: Work, make_hand: MakeHand, statements: list[str]
) -> None:
    """Claims and ends of jobs that no limit concerns touch no gate, also where other tasks have limits."""
    hand = make_hand()
    free.enqueue_many([{"number": number} for number in range(30)])
    del statements[:]
    for _ in range(6):
        hand.step()
        hand.end()
    hand.step()
    assert not _OF_GATES & set(statements)
    lone.enqueue(1)
    hand.step(2)
    assert "read_gates" in statements


def test_a_round_locks_gates_once(lone: Work, make_hand: MakeHand, statements: list[str]) -> None:
    """What ends and what is claimed in a transaction is decided in one step: nobody waits in a circle."""
    hand = make_hand()
    lone.enqueue_many([{"key": key, "number": number} for key in range(5) for number in range(3)])
    hand.step(2)
    while hand.runs:
        hand.end()
        del statements[:]
        hand.step()
        assert statements.count("lock_gates") + statements.count("read_gates") <= 2


def test_a_worker_that_stops_leaves_no_place_behind(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """The places of a worker that stops in good order are free for another one at once."""

    @app.task(name="held", concurrency=1)
    def held(number: int) -> int:
        gates.note(number)
        gates.wait(f"{number}")
        return number

    jobs = [held.enqueue(number) for number in range(2)]
    worker = start_worker(app, {"default": 2})
    assert gates.next() == 0
    worker.stop(grace=0)
    gates.open_all()
    start_worker(app, {"default": 2})
    assert [job.result(LIMIT) for job in jobs] == [0, 1]
