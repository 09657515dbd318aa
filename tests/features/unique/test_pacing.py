"""Debounced and throttled jobs: what a newcomer comes to beside a job in every state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.clock import HOUR, SECOND
from lineshaft.features.unique import prune_keys
from lineshaft.options import Unique
from lineshaft.store.claim import promote_due
from lineshaft.transitions import Close, PutBack, Stage, State
from tests.features.unique.test_conflicts import FIELDS, REACHABLE

if TYPE_CHECKING:
    from tests.features.unique.conftest import Store

DEBOUNCE = Unique.debounce("5s")
BOUNDED = Unique.debounce("5s", at_most="12s")
THROTTLE = Unique.throttle("1m")
BEGUN = set(REACHABLE) - {State.SCHEDULED, State.QUEUED, State.RETRYING, State.CANCELLED}
WAITING = {State.SCHEDULED, State.QUEUED, State.RETRYING}


def elapsed_run_at(store: Store, job_id: str, since: int) -> float:
    """In how many seconds after `since` a job runs."""
    return (store.get(job_id).run_at - since) / SECOND


def stage_fits(store: Store, job_id: str) -> bool:
    """Whether what is due is ready, and what is not, is not."""
    row = store.get(job_id)
    return (row.stage == Stage.READY) == (row.run_at <= store.now)


@pytest.mark.parametrize("unique", [DEBOUNCE, THROTTLE], ids=["debounce", "throttle"])
def test_only_waiting_jobs_take_arguments(store: Store, unique: Unique) -> None:
    """A job that waits is given the newcomer's arguments; beside one in any other state a new one is stored."""
    taking = set()
    for state in REACHABLE:
        text = f'["{state}"]'
        holder = store.holder(state, unique, text)
        [answer] = store.enqueue(store.new(unique, text, args='["new"]'))
        assert store.get(answer).args == '["new"]'
        if answer == holder:
            taking.add(state)
        assert store.enqueue(store.new(unique, text)) == [answer], "the key belongs to whoever has the arguments"
    assert taking == WAITING


def test_each_newcomer_puts_the_debounced_job_off(store: Store) -> None:
    """A debounced job runs when nobody has come for the quiet time, in the place of all of them."""
    began = store.now
    first, *rest = (_after(store, DEBOUNCE, wait, number) for number, wait in enumerate((0, 4, 4, 4)))
    assert rest == [first] * 3
    assert elapsed_run_at(store, first, began) == 17
    assert (store.get(first).args, store.get(first).stage, store.count()) == ("[3]", Stage.SCHEDULED, 1)


def test_no_longer_than_at_most(store: Store) -> None:
    """Where `at_most` is said, a debounced job runs that long after the first one, however many come."""
    began = store.now
    first = _after(store, BOUNDED, 0, 0)
    times = []
    for number in range(1, 5):
        assert _after(store, BOUNDED, 4, number) == first
        times.append(elapsed_run_at(store, first, began))
        assert stage_fits(store, first)
    assert times == [9, 12, 12, 12]
    assert store.get(first).args == "[4]"


def test_overdue_debounced_job_is_put_off_too(store: Store) -> None:
    """A job whose quiet is over and that no worker has taken yet still gives way to a newcomer."""
    first = _after(store, DEBOUNCE, 0, 0)
    store.now += 6 * SECOND
    store.engine.write(lambda tx: promote_due(tx, store.now))
    assert store.get(first).stage == Stage.READY
    assert store.enqueue(store.new(DEBOUNCE, args="[1]")) == [first]
    assert (store.get(first).stage, elapsed_run_at(store, first, store.now)) == (Stage.SCHEDULED, 5)


def test_throttled_job_waits_for_the_interval(store: Store) -> None:
    """After a start, what comes within the interval becomes one job at its end, with the newest arguments."""
    holder = store.holder(State.RUNNING, THROTTLE)
    began = store.now
    second = _after(store, THROTTLE, 20, 1)
    assert second != holder
    assert [_after(store, THROTTLE, 10, number) for number in (2, 3)] == [second] * 2
    assert elapsed_run_at(store, second, began) == 60
    assert (store.get(second).args, store.get(second).stage) == ("[3]", Stage.SCHEDULED)
    assert (store.get(holder).args, store.count()) == ("[7]", 2)


@pytest.mark.parametrize("state", sorted(BEGUN | {State.CANCELLED}))
def test_every_start_counts_for_its_interval(store: Store, state: State) -> None:
    """Whatever becomes of a job that was started, the next one of its key waits for the interval, and not longer."""
    holder = store.holder(State.QUEUED, THROTTLE)
    began = store.now
    _started(store, holder, store.get(holder).queue, state)
    second = _after(store, THROTTLE, 59, 1)
    assert second != holder
    assert elapsed_run_at(store, second, began) == 60


def test_interval_over(store: Store) -> None:
    """Once the interval since the last start is over, a throttled job runs at once again."""
    store.holder(State.COMPLETED, THROTTLE)
    store.now += 60 * SECOND
    job = store.new(THROTTLE)
    assert store.enqueue(job) == [job.row["id"]]
    assert (store.get(job.row["id"]).run_at, store.get(job.row["id"]).stage) == (store.now, Stage.READY)


def test_cancelled_place_is_kept(store: Store) -> None:
    """The next one after a throttled job that was cancelled before its start takes its time, not an earlier one."""
    store.holder(State.COMPLETED, THROTTLE)
    began = store.now
    second = _after(store, THROTTLE, 10, 1)
    store.cancel(second)
    third = _after(store, THROTTLE, 10, 2)
    assert third != second
    assert elapsed_run_at(store, third, began) == 60


def test_far_time_of_a_cancelled_job_is_not_kept(store: Store) -> None:
    """A job that was to run in an hour and was cancelled holds the next one up for the interval at most."""
    store.cancel(store.holder(State.SCHEDULED, THROTTLE))
    assert elapsed_run_at(store, _after(store, THROTTLE, 10, 1), store.now) == 60


def test_delay_of_the_first_counts(store: Store) -> None:
    """A delay of its own is the time at which a throttled job collects; later ones do not move it."""
    later = {"run_at": store.now + 30 * SECOND, "stage": int(Stage.SCHEDULED)}
    first = store.new(THROTTLE, **later)
    store.enqueue(first)
    again = store.new(THROTTLE, args="[8]", run_at=store.now + HOUR, stage=int(Stage.SCHEDULED))
    assert store.enqueue(again) == [first.row["id"]]
    assert {"args": "[8]", **later}.items() <= store.get(first.row["id"])._asdict().items()


@pytest.mark.parametrize("unique", [DEBOUNCE, BOUNDED, THROTTLE], ids=["debounce", "at_most", "throttle"])
def test_retry_comes_no_sooner(store: Store, unique: Unique) -> None:
    """A job that waits for another attempt takes the arguments and keeps its time and its state."""
    before = store.get(store.holder(State.RETRYING, unique))
    newcomer = store.new(unique, args="[8]", tags='["a"]', queue="other")
    assert store.enqueue(newcomer) == [before.id]
    after = store.get(before.id)
    assert (after.args, after.tags, after.queue) == ("[8]", '["a"]', "other")
    assert (after.run_at, after.stage, after.attempt) == (before.run_at, Stage.RETRYING, 1)


def test_everything_else_is_the_newcomers(store: Store) -> None:
    """A debounced job takes all that a replaced one takes, but its time."""
    first = _after(store, DEBOUNCE, 0, 0)
    said = {"queue": "other", "rank": -50, "max_attempts": 9, "deadline": store.now + HOUR, "tags": '["a"]'}
    newcomer = store.new(DEBOUNCE, args="[8]", meta='{"b":1}', **said)
    store.enqueue(newcomer)
    after = store.get(first)
    taken = set(FIELDS) - {"run_at", "stage"}
    assert {name: getattr(after, name) for name in taken} == {name: newcomer.row[name] for name in taken}


@pytest.mark.parametrize("unique", [DEBOUNCE, THROTTLE], ids=["debounce", "throttle"])
def test_job_about_to_be_cancelled_takes_nothing(store: Store, unique: Unique) -> None:
    """Arguments are not given to a job that was asked to stop and is back in its queue: they would be lost."""
    holder = store.holder(State.QUEUED, unique)
    held = store.claim(store.get(holder).queue)
    store.cancel(holder)
    store.write(PutBack(held, Stage.READY, None))
    newcomer = store.new(unique)
    assert store.enqueue(newcomer) == [newcomer.row["id"]]


@pytest.mark.parametrize("unique", [DEBOUNCE, THROTTLE], ids=["debounce", "throttle"])
def test_twins_of_a_call(store: Store, unique: Unique) -> None:
    """Jobs of one key in one call are stored as one, with the arguments of the last."""
    jobs = [store.new(unique, args=f"[{number}]") for number in range(3)]
    first = jobs[0].row["id"]
    assert store.enqueue(*jobs) == [first] * 3
    expected = store.now + (5 * SECOND if unique is DEBOUNCE else 0)
    assert (store.get(first).args, store.get(first).run_at, store.count()) == ("[2]", expected, 1)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.COMPLETED])
@pytest.mark.parametrize("unique", [DEBOUNCE, THROTTLE], ids=["debounce", "throttle"])
def test_resend_of_a_stored_job(store: Store, unique: Unique, state: State) -> None:
    """A job sent again because the answer was lost is the same job, whatever became of it meanwhile."""
    job = store.new(unique)
    store.enqueue(job)
    run_at = store.get(job.row["id"]).run_at
    if state is not State.QUEUED:
        store.now = run_at
        store.engine.write(lambda tx: promote_due(tx, store.now))
        store.move(job.row["id"], "default", state)
    assert store.enqueue(job, is_resend=True) == [job.row["id"]]
    assert (job.existing_id, store.count(), store.get(job.row["id"]).run_at) == (None, 1, run_at)


@pytest.mark.parametrize("unique", [DEBOUNCE, THROTTLE], ids=["debounce", "throttle"])
def test_resend_of_arguments(store: Store, unique: Unique) -> None:
    """Arguments sent again because the answer was lost change nothing about the job that has them."""
    store.holder(State.RUNNING, unique)
    first, second = (store.new(unique, args=f"[{number}]") for number in (1, 2))
    store.enqueue(first)
    [answer] = store.enqueue(second)
    before = store.get(answer)
    assert store.enqueue(second, is_resend=True) == [answer] == [first.row["id"]]
    assert (store.get(answer), store.count()) == (before, 2)


def test_rolled_back_newcomer_leaves_time_and_arguments(store: Store) -> None:
    """A newcomer in a transaction that does not commit has not come."""

    def fail(job_id: str) -> None:
        with store.engine.transaction() as tx:
            assert store.insert(tx, store.new(DEBOUNCE, args="[9]")) == [job_id]
            raise InterruptedError

    first = _after(store, DEBOUNCE, 0, 0)
    before = store.get(first)
    store.now += SECOND
    with pytest.raises(InterruptedError):
        fail(first)
    assert store.get(first) == before


def test_started_throttle_keeps_its_key(store: Store) -> None:
    """The key of a throttled job stays while its start can count: for as long as the history keeps the job."""
    holder = store.holder(State.COMPLETED, THROTTLE)
    assert store.prune() == 0
    store.delete(holder)
    assert store.prune() == 1


def test_ended_debounce_frees_its_key(store: Store) -> None:
    """The key of a debounced job goes with it."""
    store.holder(State.COMPLETED, DEBOUNCE)
    assert store.engine.write(lambda tx: prune_keys(tx, now=store.now)).deleted == 1


def _started(store: Store, job_id: str, queue: str, state: State) -> None:
    """Start the only job of a queue and bring it into a state that comes behind."""
    if state in (State.RUNNING, State.CANCELLED):
        held = store.claim(queue)
        if state is State.CANCELLED:
            store.write(Close(held, Stage.CANCELLED, None, None))
    else:
        store.move(job_id, queue, state)


def _after(store: Store, unique: Unique, seconds: int, number: int) -> str:
    """Enqueue some time later, and return the id that answers."""
    store.now += seconds * SECOND
    [answer] = store.enqueue(store.new(unique, args=f"[{number}]"))
    return answer
