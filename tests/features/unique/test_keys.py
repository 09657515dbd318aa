"""The table of keys: what is kept in it, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.clock import DAY, HOUR
from lineshaft.features.unique import UniqueFeature, prune_keys
from lineshaft.features.unique.keys import SQL
from lineshaft.features.unique.rules import digest
from lineshaft.options import Unique
from lineshaft.store.migrate import migrations, version
from lineshaft.transitions import State

if TYPE_CHECKING:
    from tests.features.unique.conftest import Store

FINISHED = [State.COMPLETED, State.DEAD, State.CANCELLED, State.SKIPPED, State.EXPIRED]
UNFINISHED = [State.SCHEDULED, State.QUEUED, State.RUNNING, State.CANCELLING, State.RETRYING]


def survivors(store: Store, unique: Unique, elapsed: int) -> set[State]:
    """The states of jobs whose keys are there after pruning some time later."""
    holders = {store.holder(state, unique, f'["{state}"]'): state for state in FINISHED + UNFINISHED}
    store.now += elapsed
    deleted = store.prune()
    left = {digest(store.new(unique, f'["{state}"]')): state for state in holders.values()}
    found = {row[0] for row in store.engine.read(lambda tx: tx.run(SQL.find_holders, {"keys": sorted(left)}))}
    assert deleted == len(left) - len(found)
    return {left[key] for key in found}


def test_keys_of_unfinished_jobs_stay(store: Store) -> None:
    """Pruning takes the keys of finished jobs and leaves those of all others."""
    assert survivors(store, Unique(), 0) == set(UNFINISHED)


def test_keys_stay_inside_their_window(store: Store) -> None:
    """A key of a finished job is kept until its window ends."""
    assert survivors(store, Unique(within="1h"), HOUR - 1) == {*FINISHED, *UNFINISHED}


def test_keys_go_after_their_window(store: Store) -> None:
    """Once its window has ended, a finished job's key goes."""
    assert survivors(store, Unique(within="1h"), HOUR) == set(UNFINISHED)


def test_keys_without_end_stay_as_long_as_their_job(store: Store) -> None:
    """Where a finished job counts without a window, its key stays until the history forgets the job."""
    unique = Unique(states=["completed"])
    holder = store.holder(State.COMPLETED, unique)
    store.now += 365 * DAY
    assert store.prune() == 0
    assert store.enqueue(store.new(unique)) == [holder]
    store.delete(holder)
    assert store.prune() == 1


def test_window_starts_anew_with_the_key(store: Store) -> None:
    """A key that was taken over is kept for the window of the job that took it."""
    unique = Unique(within="1h")
    store.holder(State.COMPLETED, unique)
    store.now += 2 * HOUR
    second = store.holder(State.COMPLETED, unique)
    store.now += HOUR // 2
    assert store.prune() == 0
    assert store.enqueue(store.new(unique)) == [second]


def test_pruned_key_is_free(store: Store) -> None:
    """A key that was pruned is taken as a new one."""
    store.holder(State.COMPLETED, Unique())
    assert store.prune() == 1
    newcomer = store.new(Unique())
    assert store.enqueue(newcomer) == [newcomer.row["id"]]


def test_pruning_goes_in_steps(store: Store) -> None:
    """One step looks at a thousand keys, and the steps together at all of them."""
    jobs = [store.new(Unique(), f"[{number}]") for number in range(1_001)]
    with store.engine.transaction() as tx:
        UniqueFeature().before_enqueue(tx, jobs, store.now)
    first = store.engine.write(lambda tx: prune_keys(tx, now=store.now))
    assert first.deleted == 1_000
    second = store.engine.write(lambda tx: prune_keys(tx, now=store.now, after=first.after or ""))
    assert second.deleted == 1
    assert store.engine.write(lambda tx: prune_keys(tx, now=store.now, after=second.after or "")) == (0, None)


def test_pruning_passes_over_keys_in_use(postgres_store: Store) -> None:
    """Pruning waits for nobody: a key that is being taken over at this moment stays."""
    store = postgres_store
    store.holder(State.COMPLETED, Unique())
    newcomer = store.new(Unique())
    with store.engine.transaction() as tx:
        store.insert(tx, newcomer)
        assert store.prune() == 0
    assert store.enqueue(store.new(Unique())) == [newcomer.row["id"]]


def test_migration_comes_after_the_first(store: Store) -> None:
    """The table of keys is the second step of the schema, and a fresh store has it."""
    assert [(one.number, one.name) for one in migrations(store.engine.dialect)][:2] == [(1, "engine"), (2, "unique")]
    assert version(store.engine) >= 2


def test_key_tells_everything_apart(store: Store) -> None:
    """Tenant, task and arguments are kept apart in the key, whatever characters they have."""
    jobs = [
        store.new(Unique(), "[]", name="a", tenant=None),
        store.new(Unique(), "[]", name="a", tenant="null"),
        store.new(Unique(), "[]", name="b", tenant="a"),
        store.new(Unique(), "[]", name="a", tenant="b"),
        store.new(Unique(), '"a",[]', name="b", tenant=None),
        store.new(Unique(), "[1]", name="a", tenant=None),
    ]
    keys = {digest(one) for one in jobs}
    assert len(keys) == len(jobs)
    assert all(len(key) == 64 and int(key, 16) >= 0 for key in keys)
