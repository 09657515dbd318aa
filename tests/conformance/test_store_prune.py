"""Pruning: nothing goes before its time, everything goes after it, and two pruners at once do no harm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineshaft.clock import DAY, HOUR, MINUTE
from lineshaft.config import Retention
from lineshaft.engines.base import Sql, Statement
from lineshaft.features.unique import UniqueFeature
from lineshaft.leader.pruner import Pruner
from lineshaft.store import control, inspect, prune, upkeep
from lineshaft.store.finish import LogLines, save_logs, write_transitions
from lineshaft.transitions import Close, Complete, PutBack, Reason, Stage, State
from tests.plugins.apps import eventually
from tests.plugins.engines import ERROR, KEPT_UNTIL, NOW, WORKER, claim_held, finish, new_row, state_in, store_rows
from tests.plugins.pruning import pruning

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from lineshaft.transitions import Held
    from tests.plugins.engines import MakeJob

    Race = Callable[[int, Callable[[int], Any]], list[Any]]

DAY_OVER: Final = (KEPT_UNTIL // DAY + 1) * DAY
"""When the day is over in which jobs expire that were made by `make_job`: PostgreSQL drops days as a whole."""
KEY: Final = Statement(
    "key",
    Sql.parse("insert into lineshaft_unique_key (key, job, until) values (:key, :job, null)", "sqlite", ()),
    Sql.parse(
        "insert into lineshaft.unique_key (key, job, until) values (%(key)s, %(job)s::uuid, null)", "postgres", ()
    ),
)
KEYS: Final = Statement(
    "keys",
    Sql.parse("select key from lineshaft_unique_key", "sqlite", ()),
    Sql.parse("select key from lineshaft.unique_key", "postgres", ()),
)
LOGS: Final = Statement(
    "logs",
    Sql.parse("select job from lineshaft_job_log", "sqlite", ()),
    Sql.parse("select job::text from lineshaft.job_log", "postgres", ()),
)
EMPTY: Final = Statement(
    "empty",
    Sql.parse("delete from lineshaft_job;\ndelete from lineshaft_block;\n", "sqlite", ()),
    Sql.parse("truncate lineshaft.job, lineshaft.history", "postgres", ()),
)


def prune_at(engine: Engine, now: int, pruner: Pruner | None = None) -> Pruner:
    """Have a pruner do all its chores."""
    pruner = pruner or Pruner(engine, Retention(), [])
    for _ in pruning(pruner, now):
        pass
    return pruner


def is_stored(engine: Engine, job_id: str) -> bool:
    """Tell whether a job is there."""
    return engine.read(lambda tx: inspect.get_job(tx, job_id)) is not None


def log_of(engine: Engine, held: Held) -> None:
    """Store a line of log of a claim."""
    engine.write(lambda tx: save_logs(tx, [LogLines(held, json.dumps({"message": "m"}))], now=NOW))


@pytest.mark.parametrize("state", [State.COMPLETED, State.DEAD, State.CANCELLED, State.EXPIRED])
@pytest.mark.parametrize("has_days", [True, False])
def test_a_finished_job_goes_when_its_time_is_over(
    engine: Engine,
    make_job: MakeJob,
    state: State,
    has_days: bool,  # noqa: FBT001
) -> None:
    """A job of any outcome stays until its expiry and is gone after it, with or without a partition of its day."""
    if has_days:
        engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW))
    job = make_job(state)
    prune_at(engine, KEPT_UNTIL - 2 * MINUTE)
    assert is_stored(engine, job.id)
    prune_at(engine, DAY_OVER + DAY)
    assert not is_stored(engine, job.id)


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.RETRYING, State.RUNNING, State.CANCELLING])
def test_an_unfinished_job_stays(engine: Engine, make_job: MakeJob, state: State) -> None:
    """A job that is not finished is never pruned, however old it is."""
    job = make_job(state)
    prune_at(engine, NOW + 100 * DAY)
    prune_at(engine, NOW + 200 * DAY)
    assert state_in(engine, job.id) is state


def test_a_revived_job_is_live_again(engine: Engine, make_job: MakeJob) -> None:
    """A dead job that is retried is not pruned when its former life would have expired."""
    job = make_job(State.DEAD)
    prune_at(engine, NOW + HOUR)
    engine.write(lambda tx: control.revive_jobs(tx, [job.id], now=NOW))
    prune_at(engine, DAY_OVER + DAY)
    assert state_in(engine, job.id) is State.QUEUED
    [again] = claim_held(engine)
    done = [Complete(again, "1")]
    engine.write(lambda tx: write_transitions(tx, done, worker=WORKER, now=DAY_OVER, keep=lambda _: DAY_OVER + HOUR))
    prune_at(engine, DAY_OVER + 3 * DAY)
    assert not is_stored(engine, job.id)


def test_a_job_revived_after_the_look_is_not_deleted(engine: Engine, make_job: MakeJob) -> None:
    """What was found expired is judged again when it is deleted."""
    jobs = [make_job(State.DEAD), make_job(State.CANCELLED)]
    block = engine.read(lambda tx: prune.due_block(tx, now=DAY_OVER, before=DAY_OVER))
    assert block == 0
    look = engine.read(lambda tx: prune.look_into_block(tx, block, now=DAY_OVER, later=DAY_OVER + 1))
    assert len(look.expired) == 2
    engine.write(lambda tx: control.revive_jobs(tx, [jobs[0].id], now=NOW))
    assert engine.write(lambda tx: prune.delete_expired(tx, look.expired, now=DAY_OVER)) == 1
    assert [is_stored(engine, job.id) for job in jobs] == [True, False]


def test_two_pruners_at_once_delete_each_job_once(durable_engine: Engine, race: Race) -> None:
    """Pruners that work at the same moment delete what has expired, each job once, and nothing else."""
    engine = durable_engine
    store_rows(engine, *(new_row() for _ in range(700)))
    held = claim_held(engine, limit=600)
    finish(engine, *(Complete(one, "1") for one in held))
    pruners = [Pruner(engine, Retention(), []) for _ in range(3)]

    def prune_all(number: int) -> int:
        return prune_at(engine, DAY_OVER, pruners[number]).pruned

    assert sum(race(3, prune_all)) == 600
    assert engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 100


def test_logs_go_with_their_jobs(engine: Engine, make_job: MakeJob) -> None:
    """The log of a pruned or purged job goes; the logs of jobs that are stored stay."""
    running, dead = make_job(State.RUNNING), make_job(State.DEAD, queue="dead")
    purged = make_job(State.RUNNING, queue="purged")
    done = make_job(State.RUNNING, queue="done")
    for job in (running, dead, purged, done):
        log_of(engine, job.held)
    finish(engine, Complete(done.held, "1"), PutBack(purged.held, Stage.READY, NOW))
    engine.write(lambda tx: control.purge_queue(tx, "purged"))
    engine.write(lambda tx: control.revive_jobs(tx, [dead.id], now=NOW))
    prune_at(engine, DAY_OVER + DAY)
    assert {row[0] for row in engine.read(lambda tx: tx.run(LOGS, {}))} == {running.id, dead.id}


def test_keys_of_jobs_that_are_gone_go(engine: Engine, make_job: MakeJob) -> None:
    """A unique key whose job is gone is deleted, the key of a waiting job is not."""
    gone, waiting = make_job(State.COMPLETED), make_job(State.QUEUED)
    for key, job in (("gone", gone), ("waiting", waiting)):
        engine.write(lambda tx, key=key, job=job: tx.run(KEY, {"key": key, "job": job.id}))
    prune_at(engine, DAY_OVER + DAY, Pruner(engine, Retention(), [UniqueFeature()]))
    assert engine.read(lambda tx: tx.run(KEYS, {})) == [("waiting",)]


def test_expiry_is_what_the_outcome_says(engine: Engine) -> None:
    """Each outcome is kept as its own retention says."""
    kept = Retention(completed=2 * HOUR, dead=3 * HOUR, cancelled=4 * HOUR, expired=5 * HOUR)
    store_rows(engine, *(new_row() for _ in range(4)))
    ends: list[Callable[[Held], Complete | Close]] = [
        lambda held: Complete(held, "1"),
        lambda held: Close(held, Stage.DEAD, Reason.ERROR, ERROR),
        lambda held: Close(held, Stage.CANCELLED, None, None),
        lambda held: Close(held, Stage.EXPIRED, None, None),
    ]
    transitions = [end(held) for end, held in zip(ends, claim_held(engine, limit=4), strict=True)]
    engine.write(lambda tx: write_transitions(tx, transitions, worker=WORKER, now=NOW, keep=kept.until(NOW)))
    expiries = {
        "sqlite": Sql.parse("select expires_at from lineshaft_job order by 1", "sqlite", ()),
        "postgres": Sql.parse("select expires_at from lineshaft.history order by 1", "postgres", ()),
    }
    found = engine.read(lambda tx: tx.run(Statement("expiries", **expiries), {}))
    assert [row[0] - NOW for row in found] == [2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR]


KEPT: Final = st.integers(1, 100).map(lambda hours: hours * HOUR)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.lists(st.one_of(st.none(), KEPT), min_size=1, max_size=60),
    moments=st.lists(st.integers(1, 200).map(lambda hours: hours * HOUR), min_size=1, max_size=3),
    has_days=st.booleans(),
)
def test_what_has_expired_goes_and_nothing_else(
    engine: Engine,
    kept: list[int | None],
    moments: list[int],
    has_days: bool,  # noqa: FBT001
) -> None:
    """After a look: no job is gone that has not expired, and none is left whose day of expiry is over by two hours."""
    engine.write(lambda tx: tx.run(EMPTY, {}))
    if has_days:
        engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW))
    rows = [new_row() for _ in kept]
    store_rows(engine, *rows)
    held = {one.id: one for one in claim_held(engine, limit=len(rows))}
    expiry = {row["id"]: NOW + one for row, one in zip(rows, kept, strict=True) if one is not None}
    done = [Complete(held[job], "1") for job in expiry]
    engine.write(lambda tx: write_transitions(tx, done, worker=WORKER, now=NOW, keep=lambda one: expiry[one.held.id]))
    now = NOW
    for moment in sorted(moments):
        now = max(now + MINUTE, NOW + moment)
        prune_at(engine, now, Pruner(engine, Retention(completed=HOUR), []))
        left = {row["id"] for row in rows if is_stored(engine, row["id"])}
        assert {row["id"] for row in rows if expiry.get(row["id"], now + 1) > now} <= left
        assert not {job for job, at in expiry.items() if at + DAY + 2 * HOUR < now} & left


# --- SQLite -----------------------------------------------------------------------------------------------------------


def test_blocks_are_looked_at_once_while_nothing_expires(sqlite_engine: Engine) -> None:
    """A thousand jobs that wait for their expiry cost one look, not one a minute."""
    store_rows(sqlite_engine, *(new_row() for _ in range(2_100)))
    finish(sqlite_engine, *(Complete(one, "1") for one in claim_held(sqlite_engine, limit=2_100)))
    prune_at(sqlite_engine, NOW + 2 * HOUR)
    looks = dict(sqlite_engine.read(lambda tx: tx.run(BLOCKS, {})))
    assert looks == {0: NOW + 26 * HOUR, 1: NOW + 26 * HOUR, 2: NOW + 3 * HOUR}, "the last one is not full"


BLOCKS: Final = Statement(
    "blocks",
    Sql.parse("select block, (look_at / 60000000) * 60000000 from lineshaft_block", "sqlite", ()),
    Sql.parse("select", "postgres", ()),
)


def test_blocks_that_are_empty_are_forgotten(sqlite_engine: Engine) -> None:
    """The list of blocks does not grow with the number of jobs that were pruned, and new ones are found."""
    for round_ in range(3):
        store_rows(sqlite_engine, *(new_row() for _ in range(1_500)))
        finish(sqlite_engine, *(Complete(one, "1") for one in claim_held(sqlite_engine, limit=1_500)))
        prune_at(sqlite_engine, DAY_OVER + (round_ + 1) * DAY)
        assert sqlite_engine.read(lambda tx: tx.run(BLOCKS, {})) == []
        assert sqlite_engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 0


def test_large_jobs_are_deleted_a_few_at_once(sqlite_engine: Engine) -> None:
    """A piece that took long makes the next ones smaller, a quick one makes them larger."""
    store_rows(sqlite_engine, *(new_row() for _ in range(200)))
    finish(sqlite_engine, *(Complete(one, "1") for one in claim_held(sqlite_engine, limit=200)))
    pruner = Pruner(sqlite_engine, Retention(), [])
    keys = list(range(1, 201))
    moments = iter([0.0, 0.0, 1.0, 1.008, 2.0, 5.0])
    pruner._now = DAY_OVER
    sizes = []
    with sqlite_engine.transaction() as tx, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_engine.clock, "monotonic", lambda: next(moments))
        for _ in range(3):
            sizes.append(pruner._batch)
            pruner._delete_chunk(tx, keys[:10])
    assert (sizes, pruner._batch) == ([10, 20, 9], 1)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def test_days_are_dropped_as_a_whole(postgres_engine: Engine, make_job_on_postgres: MakeJob) -> None:
    """A day of the history goes as a table when it is over, and none before."""
    engine = postgres_engine
    engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW))
    job = make_job_on_postgres(State.COMPLETED)
    days = days_of(engine)
    assert len(days) == 41
    pruner = prune_at(engine, DAY_OVER - 2 * MINUTE)
    assert is_stored(engine, job.id)
    prune_at(engine, DAY_OVER, pruner)
    assert not is_stored(engine, job.id)
    assert (pruner.pruned, min(days_of(engine)) > days[0], len(days_of(engine))) == (0, True, 41)


def test_rows_of_a_day_without_a_partition_move_into_it(postgres_engine: Engine, make_job_on_postgres: MakeJob) -> None:
    """One job that is kept for long does not keep the later days from having partitions."""
    engine = postgres_engine
    job = make_job_on_postgres(State.COMPLETED)
    assert rest_of(engine) == 1
    engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW))
    assert (rest_of(engine), len(days_of(engine)), is_stored(engine, job.id)) == (0, 41, True)


@pytest.mark.parametrize("is_old", [False, True])
def test_a_long_reader_holds_up_the_drop_only(
    postgres_engine: Engine,
    make_job_on_postgres: MakeJob,
    is_old: bool,  # noqa: FBT001
) -> None:
    """While somebody reads the history, days are not dropped, and jobs are finished all the same; then they go."""
    engine = postgres_engine
    engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW))
    job = make_job_on_postgres(State.COMPLETED)
    store_rows(engine, *(new_row() for _ in range(300)))
    with engine.reading() as reader:
        assert inspect.get_job(reader, job.id) is not None
        if is_old:
            eventually(lambda: engine.read(lambda tx: tx.run(OLD, {}))[0][0])
        began = engine.clock.monotonic()
        assert engine.write(lambda tx: prune.drop_expired_day(tx, now=DAY_OVER)) is prune.Dropped.BLOCKED
        waited = engine.clock.monotonic() - began
        held = claim_held(engine, limit=300)
        assert len(finish(engine, *(Complete(one, "1") for one in held))) == 300
        pruner = prune_at(engine, DAY_OVER)
        engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW + 100 * DAY))
        assert is_stored(engine, job.id)
    assert waited < 5
    prune_at(engine, DAY_OVER + MINUTE, pruner)
    assert not is_stored(engine, job.id)


def test_finishing_goes_on_while_days_are_dropped(postgres_engine: Engine, race: Race) -> None:
    """Days are dropped while jobs finish, and no finish is lost or fails."""
    engine = postgres_engine
    engine.write(lambda tx: upkeep.ensure_history(tx, now=NOW - 30 * DAY))
    store_rows(engine, *(new_row() for _ in range(600)))

    def work(number: int) -> int:
        if number == 0:
            return sum(
                engine.write(lambda tx: prune.drop_expired_day(tx, now=NOW)) is prune.Dropped.DROPPED for _ in range(60)
            )
        done = 0
        while held := claim_held(engine, limit=5, worker=number):
            done += len(finish(engine, *(Complete(one, "1") for one in held), worker=number))
        return done

    dropped, *done = race(4, work)
    assert sum(done) == 600
    prune_at(engine, NOW)
    assert dropped > 0
    assert min(days_of(engine)) == "history_20270115"


def days_of(engine: Engine) -> list[str]:
    """Return the partitions of days."""
    found = engine.read(lambda tx: tx.run(DAYS, {}))
    return sorted(row[0] for row in found)


def rest_of(engine: Engine) -> int:
    """Return how many rows lie in the default partition."""
    count: int = engine.read(lambda tx: tx.run(REST, {}))[0][0]
    return count


DAYS: Final = Statement(
    "days",
    Sql.parse("select 1", "sqlite", ()),
    Sql.parse(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = 'lineshaft.history'::regclass and c.relname <> 'history_rest'",
        "postgres", (),
    ),
)  # fmt: skip
OLD: Final = Statement(
    "old",
    Sql.parse("select 1", "sqlite", ()),
    Sql.parse(
        "select exists (select from pg_stat_activity where application_name = 'lineshaft'"
        " and state = 'idle in transaction' and xact_start < clock_timestamp() - interval '1 second')",
        "postgres", (),
    ),
)  # fmt: skip
REST: Final = Statement(
    "rest",
    Sql.parse("select 1", "sqlite", ()),
    Sql.parse("select count(*) from lineshaft.history_rest", "postgres", ()),
)


@pytest.fixture
def make_job_on_postgres(postgres_engine: Engine) -> MakeJob:
    """Stores jobs in any state on PostgreSQL."""
    from tests.plugins.engines import _Maker

    return _Maker(postgres_engine)
