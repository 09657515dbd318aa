"""Enqueues of one key at the same moment, on real threads with connections of their own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from lineshaft.clock import SECOND
from lineshaft.options import Unique
from lineshaft.store.claim import claim_jobs
from lineshaft.store.control import reschedule_job
from lineshaft.transitions import Complete, PutBack, Stage, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lineshaft.engines.base import Dialect, Params, Row, Statement, Tx
    from lineshaft.transitions import Held
    from tests.features.unique.conftest import Store

T = TypeVar("T")
THREADS = 8
PACED = [Unique.debounce("5s"), Unique.throttle("1m")]


def race(act: Callable[[int], T], count: int = THREADS) -> list[T]:
    """Run a function on threads that start together, and return what each of them got."""
    start = threading.Barrier(count, timeout=30)

    def run(number: int) -> T:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count), timeout=50))


def once(store: Store, *texts: str, unique: Unique | None = None) -> list[str]:
    """Enqueue in one transaction, without the second try that hides a deadlock."""
    with store.engine.transaction() as tx:
        return store.insert(tx, *[store.new(unique or Unique(), text) for text in texts])


def test_one_of_many_takes_a_new_key(store: Store) -> None:
    """However many enqueue one key at once, one job is stored and all are answered with it."""
    answers = race(lambda _: once(store, "[7]"))
    assert len({one for [one] in answers}) == 1
    assert store.count() == 1


@pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED])
def test_one_of_many_takes_over_a_free_key(store: Store, state: State) -> None:
    """However many find the key of a finished job, one of them takes it over."""
    holder = store.holder(state, Unique())
    answers = {one for [one] in race(lambda _: once(store, "[7]"))}
    assert len(answers) == 1
    assert holder not in answers
    assert store.count(State.QUEUED) == 1


@pytest.mark.parametrize("state", [None, State.CANCELLED])
def test_crossed_orders_do_not_deadlock(store: Store, state: State | None) -> None:
    """Calls that name the same keys in opposite orders, new or to be taken over, never wait in a circle."""
    texts = [f"[{number}]" for number in range(40)]
    if state:
        for text in texts:
            store.holder(state, Unique(), text)
    answers = race(lambda number: once(store, *texts[:: 1 if number % 2 else -1]))
    assert {frozenset(one) for one in answers} == {frozenset(answers[0])}
    assert store.count(State.QUEUED) == len(texts)


def test_crossed_replacements_do_not_deadlock(store: Store) -> None:
    """Calls that replace the same jobs in opposite orders never wait in a circle, and one of them wins each job."""
    replace = Unique(on_conflict="replace")
    texts = [f"[{number}]" for number in range(20)]
    ids = [store.holder(State.QUEUED, replace, text) for text in texts]
    answers = race(lambda number: once(store, *texts[:: 1 if number % 2 else -1], unique=replace))
    assert {frozenset(one) for one in answers} == {frozenset(ids)}
    assert store.count() == len(texts)


def test_never_two_unfinished_jobs_of_a_key(store: Store) -> None:
    """While keys are taken, their jobs cancelled and their rows pruned at once, no two jobs of a key live together."""
    guard, alive, most = threading.Lock(), set[str](), 0

    def live_and_die(job_id: str) -> None:
        nonlocal most
        with guard:
            alive.add(job_id)
            most = max(most, len(alive))
        with guard:
            alive.discard(job_id)
        store.cancel(job_id)

    def act(number: int) -> None:
        for _ in range(15):
            job = store.new(Unique())
            if number % 4 == 0:
                store.prune()
            elif store.enqueue(job) == [job.row["id"]]:
                live_and_die(job.row["id"])

    race(act)
    assert most == 1
    assert store.count(State.QUEUED) == 0


@pytest.mark.parametrize("unique", PACED, ids=["debounce", "throttle"])
def test_many_producers_of_a_paced_key(store: Store, unique: Unique) -> None:
    """However many enqueue a debounced or throttled key at once, one job waits, with what one of them said last."""
    texts = [f"[{number}]" for number in range(10)]
    keys = [f"[{key}]" for key in range(5)]

    def act(number: int) -> list[str]:
        found: list[str] = []
        for text in texts:
            with store.engine.transaction() as tx:
                order = keys[:: 1 if number % 2 else -1]
                found += store.insert(tx, *[store.new(unique, key, args=text) for key in order])
        return found

    answers = {one for answer in race(act) for one in answer}
    assert (len(answers), store.count()) == (len(keys), len(keys))
    assert {store.get(one).args for one in answers} == {texts[-1]}


@pytest.mark.parametrize("unique", PACED, ids=["debounce", "throttle"])
def test_producers_beside_a_worker(store: Store, unique: Unique) -> None:
    """While a worker takes what is due, no arguments are lost: the newest are those that wait, or those it took."""
    first = store.holder(State.QUEUED, unique)
    store.engine.write(lambda tx: reschedule_job(tx, first, run_at=store.now, now=store.now))
    queue = store.get(first).queue
    started: list[tuple[str, str]] = []

    def act(number: int) -> list[str]:
        if number:
            return [store.enqueue(store.new(unique, args=f"[{count}]", queue=queue))[0] for count in range(12)]
        for _ in range(20):
            claimed = store.engine.write(lambda tx: claim_jobs(tx, queue=queue, limit=9, worker=1, now=store.now))
            started.extend((one.held.id, one.args) for one in claimed)
        return []

    answers = {one for found in race(act) for one in found}
    waiting = answers - {one for one, _ in started}
    assert len(started) <= 1
    assert len(waiting) <= 1
    newest = {store.get(one).args for one in waiting} or {args for _, args in started}
    assert newest == {"[11]"}
    assert all(store.get(one).args == args for one, args in started), "what runs is not given other arguments"


# --- what happens between looking at a job and locking it; SQLite has one writer, so nothing can --------------------


class Interrupted:
    """A transaction during which something else commits, right before its first statement of a name."""

    def __init__(self, tx: Tx, before: str, act: Callable[[], object]) -> None:
        self._tx, self._before, self._act = tx, before, act
        self.dialect: Dialect = tx.dialect
        self.has_acted = False

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run the statement, after what comes before it."""
        if statement.name == self._before and not self.has_acted:
            self.has_acted = True
            self._act()
        return self._tx.run(statement, params, rows)


def interrupted(store: Store, act: Callable[[Held], Any], unique: Unique) -> tuple[str, str, str]:
    """Replace a job that is claimed, and perhaps more, at that moment: its id, the newcomer's, and the answer."""
    holder = store.holder(State.QUEUED, unique)
    queue = store.get(holder).queue
    newcomer = store.new(unique, args="[8]")
    with store.engine.transaction() as tx:
        hindered = Interrupted(tx, "lock_waiting", lambda: act(store.claim(queue)))
        [answer] = store.insert(hindered, newcomer)
    assert hindered.has_acted
    return holder, newcomer.row["id"], answer


def test_job_claimed_meanwhile_is_not_replaced(postgres_store: Store) -> None:
    """A job that a worker takes while it is being replaced keeps its arguments."""
    holder, _, answer = interrupted(postgres_store, lambda _: None, Unique(on_conflict="replace"))
    assert answer == holder
    assert postgres_store.get(holder).args == "[7]"


def test_job_finished_meanwhile_frees_its_key(postgres_store: Store) -> None:
    """A job that finishes while it is being replaced makes room for the newcomer."""
    store = postgres_store
    unique = Unique(on_conflict="replace")
    holder, newcomer, answer = interrupted(store, lambda held: store.write(Complete(held, "null")), unique)
    assert answer == newcomer
    assert (store.get(holder).args, store.get(newcomer).args) == ("[7]", "[8]")
    assert store.enqueue(store.new(Unique())) == [newcomer]


def test_job_put_back_meanwhile_is_replaced(postgres_store: Store) -> None:
    """A job that runs and comes back while it is being replaced is replaced as it is then."""
    store = postgres_store
    unique = Unique(on_conflict="replace")
    holder, _, answer = interrupted(store, lambda held: store.write(PutBack(held, Stage.RETRYING, store.now)), unique)
    assert (answer, store.get(holder).args, store.get(holder).attempt) == (holder, "[8]", 1)


@pytest.mark.parametrize("unique, seconds", list(zip(PACED, (5, 60), strict=True)), ids=["debounce", "throttle"])
def test_paced_job_claimed_meanwhile(postgres_store: Store, unique: Unique, seconds: int) -> None:
    """A job that a worker takes while it is given other arguments keeps its own; these wait for their time."""
    store = postgres_store
    holder, newcomer, answer = interrupted(store, lambda _: None, unique)
    assert answer == newcomer
    assert (store.get(holder).args, store.get(newcomer).args) == ("[7]", "[8]")
    assert store.get(newcomer).run_at == store.now + seconds * SECOND
    assert store.enqueue(store.new(unique)) == [newcomer]
