"""What a job that meets another one of its key comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.clock import HOUR
from lineshaft.errors import UniqueConflictError
from lineshaft.features.unique import UniqueFeature
from lineshaft.options import OnConflict, Options, Unique
from lineshaft.store.claim import claim_jobs
from lineshaft.store.control import revive_jobs
from lineshaft.transitions import PutBack, Stage, State

if TYPE_CHECKING:
    from tests.features.unique.conftest import Store

REACHABLE: list[State] = [one for one in State if one not in {State.BLOCKED, State.WAITING}]
FINISHED = {State.COMPLETED, State.DEAD, State.CANCELLED, State.SKIPPED, State.EXPIRED}
REPLACEABLE = {State.SCHEDULED, State.QUEUED, State.RETRYING}
FIELDS = ("queue", "rank", "run_at", "stage", "max_attempts", "deadline", "tags", "meta", "args")

each_conflict = pytest.mark.parametrize("on_conflict", ["skip", "replace", "error"])


def counting(window: str) -> set[State]:
    """The states that count by what the documentation says."""
    unfinished: set[State] = set(REACHABLE) - FINISHED
    if window == "outside":
        return set()
    return unfinished | {State.COMPLETED} if window == "inside" else unfinished


def expected(state: State, on_conflict: OnConflict, window: str) -> str:
    """What the documentation says becomes of the newcomer."""
    if state not in counting(window):
        return "stored"
    if on_conflict == "replace":
        return "replaced" if state in REPLACEABLE else "skipped"
    return {"skip": "skipped", "error": "refused"}[on_conflict]


def meet(store: Store, state: State, unique: Unique, elapsed: int) -> str:
    """Enqueue a job beside one in a state, some time later, and tell what became of it."""
    text = f'["{state}"]'
    holder = store.holder(state, unique, text)
    before = store.count()
    store.now += elapsed
    newcomer = store.new(unique, text, args='["new"]')
    try:
        [answer] = store.enqueue(newcomer)
    except UniqueConflictError as error:
        return "refused" if (error.job_id, store.count()) == (holder, before) else "refused wrongly"
    finally:
        store.now -= elapsed
    if newcomer.existing_id is None:
        return "stored" if store.get(answer).args == '["new"]' else "stored wrongly"
    if (answer, store.count()) != (holder, before):
        return "answered with another job"
    return "replaced" if store.get(holder).args == '["new"]' else "skipped"


@each_conflict
@pytest.mark.parametrize("window", ["none", "inside", "outside"])
def test_every_state(store: Store, on_conflict: OnConflict, window: str) -> None:
    """Whatever state the holder is in, and however old it is, the newcomer meets it as documented."""
    unique = Unique(within=None if window == "none" else "1h", on_conflict=on_conflict)
    elapsed = {"none": 1_000 * HOUR, "inside": HOUR - 1, "outside": HOUR}[window]
    found = {state: meet(store, state, unique, elapsed) for state in REACHABLE}
    assert found == {state: expected(state, on_conflict, window) for state in REACHABLE}


@each_conflict
def test_gone_holder_frees_its_key(store: Store, on_conflict: OnConflict) -> None:
    """A key whose job was deleted is free, inside its window too."""
    unique = Unique(within="1h", on_conflict=on_conflict)
    store.delete(store.holder(State.COMPLETED, unique))
    newcomer = store.new(unique)
    assert store.enqueue(newcomer) == [newcomer.row["id"]]


def test_key_goes_to_the_newest_job(store: Store) -> None:
    """Once the key is taken over, the next one meets the job that took it."""
    store.holder(State.DEAD, Unique())
    [second] = store.enqueue(store.new(Unique()))
    assert store.enqueue(store.new(Unique())) == [second]


@pytest.mark.parametrize("difference", [{"name": "shop.mail"}, {"tenant": "acme"}])
def test_other_task_or_tenant_is_another_key(store: Store, difference: dict[str, str]) -> None:
    """Uniqueness ends at the task and at the tenant."""
    first, second = store.new(Unique()), store.new(Unique(), **difference)
    assert store.enqueue(first, second) == [first.row["id"], second.row["id"]]


def test_chosen_states(store: Store) -> None:
    """With `states` only a job in one of them counts, however long ago it finished."""
    unique = Unique(states=["running", "dead"])
    found = {state: meet(store, state, unique, 1_000 * HOUR) for state in REACHABLE}
    kept_out = {State.RUNNING, State.DEAD}
    assert found == {state: "skipped" if state in kept_out else "stored" for state in REACHABLE}


@pytest.mark.parametrize("stage", [Stage.READY, Stage.SCHEDULED])
@pytest.mark.parametrize("state", sorted(REPLACEABLE))
def test_replaced_job_takes_everything_but_its_past(store: Store, state: State, stage: Stage) -> None:
    """Replace gives a waiting job the newcomer's arguments, place and times; id, age, attempts stay."""
    unique = Unique(on_conflict="replace")
    before = store.get(store.holder(state, unique))
    newcomer = store.new(
        unique,
        queue="other",
        rank=-50,
        run_at=store.now + HOUR,
        stage=int(stage),
        max_attempts=9,
        deadline=store.now + 2 * HOUR,
        tags='["a"]',
        meta='{"b":1}',
        args="[8]",
    )
    assert store.enqueue(newcomer) == [before.id]
    after = store.get(before.id)
    assert {name: getattr(after, name) for name in FIELDS} == {name: newcomer.row[name] for name in FIELDS}
    assert (after.created_at, after.attempt, after.errors) == (before.created_at, before.attempt, before.errors)


def test_replaced_job_runs_as_the_newcomer_said(store: Store) -> None:
    """The options and the context stored with the newcomer travel to the job that it replaces."""
    unique = Unique(on_conflict="replace")
    newcomer = store.new(unique, queue="other", options='{"timeout":1}', context='{"a":"b"}')
    store.holder(State.QUEUED, unique)
    store.enqueue(newcomer)
    [claimed] = store.engine.write(lambda tx: claim_jobs(tx, queue="other", limit=2, worker=1, now=store.now))
    assert (claimed.options, claimed.context) == ('{"timeout":1}', '{"a":"b"}')


def test_revived_job_keeps_its_fresh_budget(store: Store) -> None:
    """A job that a person had retried gets the newcomer's attempts on top of those of its former life."""
    unique = Unique(on_conflict="replace")
    dead = store.holder(State.DEAD, unique)
    store.engine.write(lambda tx: revive_jobs(tx, [dead], now=store.now))
    store.enqueue(store.new(unique, max_attempts=5))
    assert (store.get(dead).attempt, store.get(dead).max_attempts) == (1, 6)


def test_job_about_to_be_cancelled_is_not_replaced(store: Store) -> None:
    """What would be lost with a job that was asked to stop and is back in its queue does not go into it."""
    unique = Unique(on_conflict="replace")
    holder = store.holder(State.QUEUED, unique)
    held = store.claim(store.get(holder).queue)
    store.cancel(holder)
    store.write(PutBack(held, Stage.READY, None))
    newcomer = store.new(unique, args="[8]")
    assert store.enqueue(newcomer) == [holder]
    assert store.get(holder).args == "[7]"


def test_many_replacements_find_their_own_job(store: Store) -> None:
    """Each of many jobs replaced in one call gets its own newcomer's arguments."""
    unique = Unique(on_conflict="replace")
    texts = [f"[{number}]" for number in range(50)]
    ids = store.enqueue(*[store.new(unique, text) for text in texts])
    newcomers = [store.new(unique, text, args=f"[{text}]") for text in reversed(texts)]
    assert store.enqueue(*newcomers) == ids[::-1]
    assert [store.get(one).args for one in ids] == [f"[{text}]" for text in texts]


def test_many_keys_are_taken_over_by_their_own_job(store: Store) -> None:
    """Each of many keys taken over in one call goes to its own newcomer."""
    texts = [f"[{number}]" for number in range(50)]
    for job_id in store.enqueue(*[store.new(Unique(), text) for text in texts]):
        store.cancel(job_id)
    ids = store.enqueue(*[store.new(Unique(), text) for text in texts])
    assert store.enqueue(*[store.new(Unique(), text) for text in reversed(texts)]) == ids[::-1]


def test_refusal_changes_nothing(store: Store) -> None:
    """When one job of a call is refused, none is stored and none replaced, even if the caller commits."""
    replace, error = Unique(on_conflict="replace"), Unique(on_conflict="error")
    waiting, running = store.holder(State.QUEUED, replace, "[1]"), store.holder(State.RUNNING, error, "[2]")
    jobs = [store.new(replace, "[1]", args='["new"]'), store.new(error, "[2]"), store.new(error, "[3]")]
    with store.engine.transaction() as tx, pytest.raises(UniqueConflictError, match=running):
        store.insert(tx, *jobs)
    assert (store.get(waiting).args, store.count()) == ("[1]", 2)
    again = store.new(error, "[3]")
    assert store.enqueue(again) == [again.row["id"]]


def test_refusal_is_one_line_that_names_the_job(store: Store) -> None:
    """The error says which task met which job in which state, and what to do."""
    holder = store.holder(State.RETRYING, Unique(on_conflict="error"))
    with pytest.raises(UniqueConflictError) as caught:
        store.enqueue(store.new(Unique(on_conflict="error")))
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("shop.render", holder, "retrying", "on_conflict='skip'"))


def test_rolled_back_enqueue_leaves_the_key_free(store: Store) -> None:
    """A key that was taken in a transaction that did not commit is nobody's."""

    def fail() -> None:
        with store.engine.transaction() as tx:
            store.insert(tx, store.new(Unique()))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    newcomer = store.new(Unique())
    assert store.enqueue(newcomer) == [newcomer.row["id"]]


# --- twins inside one call, and resends ------------------------------------------------------------------------------


def test_second_of_a_call_meets_the_first(store: Store) -> None:
    """Two jobs of one key in one call are stored once; the second is answered with the first."""
    first, second = store.new(Unique()), store.new(Unique())
    assert store.enqueue(first, second) == [first.row["id"]] * 2
    assert (first.existing_id, second.existing_id, store.count()) == (None, first.row["id"], 1)


def test_second_of_a_call_replaces_the_first(store: Store) -> None:
    """With replace, what is stored of twins has the first one's id and the last one's arguments."""
    unique = Unique(on_conflict="replace")
    first, *rest = [store.new(unique, args=f"[{number}]") for number in range(3)]
    assert store.enqueue(first, *rest) == [first.row["id"]] * 3
    assert (store.get(first.row["id"]).args, store.count()) == ("[2]", 1)


def test_twins_replace_a_stored_job(store: Store) -> None:
    """Twins that meet a waiting job both answer with it, and the last one's arguments stay."""
    unique = Unique(on_conflict="replace")
    holder = store.holder(State.SCHEDULED, unique)
    assert store.enqueue(store.new(unique, args="[1]"), store.new(unique, args="[2]")) == [holder] * 2
    assert store.get(holder).args == "[2]"


def test_twins_refuse_each_other(store: Store) -> None:
    """With error, twins in one call store nothing."""
    with pytest.raises(UniqueConflictError, match="same call"):
        store.enqueue(store.new(Unique(on_conflict="error")), store.new(Unique(on_conflict="error")))
    assert store.count() == 0


def test_twin_that_the_first_does_not_keep_out(store: Store) -> None:
    """Where the first of a call does not count for the second, both are stored, and the second has the key."""
    running = Unique(states=["running"])
    first, second = store.new(running), store.new(running)
    assert store.enqueue(first, second) == [first.row["id"], second.row["id"]]
    assert store.enqueue(store.new(Unique())) == [second.row["id"]]


@each_conflict
@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.COMPLETED])
def test_resend_does_not_meet_itself(store: Store, on_conflict: OnConflict, state: State) -> None:
    """A job sent again because the answer was lost is the same job, whatever became of it meanwhile."""
    job = store.new(Unique(within="1h", on_conflict=on_conflict))
    store.enqueue(job)
    if state is not State.QUEUED:
        store.move(job.row["id"], "default", state)
    assert store.enqueue(job, is_resend=True) == [job.row["id"]]
    assert (job.existing_id, store.count(), store.count(state)) == (None, 1, 1)


@each_conflict
def test_resend_does_not_meet_its_successor(store: Store, on_conflict: OnConflict) -> None:
    """A job that was stored, ended and lost its key to another one is still answered with itself when resent."""
    unique = Unique(on_conflict=on_conflict)
    job = store.new(unique)
    store.enqueue(job)
    store.cancel(job.row["id"])
    successor = store.new(unique, args="[8]")
    store.enqueue(successor)
    assert store.enqueue(job, is_resend=True) == [job.row["id"]]
    assert store.get(successor.row["id"]).args == "[8]"
    assert store.enqueue(store.new(Unique())) == [successor.row["id"]]


def test_only_unique_jobs_concern_the_feature(store: Store) -> None:
    """Jobs without `unique` are neither looked at nor kept out."""
    feature = UniqueFeature()
    assert feature.wants(Options(unique=Unique()))
    assert not feature.wants(Options())
    first, second = store.new(None), store.new(None)
    assert store.enqueue(first, second) == [first.row["id"], second.row["id"]]
