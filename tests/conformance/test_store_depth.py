"""How many jobs wait in a queue that limits them, and which of them make room."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import HOUR, SECOND
from lineshaft.errors import QueueFull
from lineshaft.feature import Ended, Feature
from lineshaft.store import control
from lineshaft.store.claim import claim_jobs
from lineshaft.store.depth import Dropping
from lineshaft.store.enqueue import insert_alone, insert_jobs
from lineshaft.store.inspect import Filter, count_jobs, get_job, list_jobs
from lineshaft.transitions import Reason, Stage, State
from tests.plugins.engines import KEPT_UNTIL, NOW, new_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lineshaft.engines.base import Dialect, Engine, Params, Row, Statement, Tx
    from lineshaft.store.enqueue import NewRow

    Race = Callable[[int, Callable[[int], Any]], list[Any]]


class Witness(Feature):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Ended] = []

    def after_finish(self, tx: Any, ended: Sequence[Ended], now: int, *, is_certain: bool) -> None:  # noqa: ARG002
        """Note them."""
        self.seen += ended


def limit(engine: Engine, depth: int | None, of_tenant: int | None = None, on_full: str | None = None) -> None:
    """Limit the queue `default`."""
    timeout = 7 * SECOND if on_full == "block" else None
    engine.write(lambda tx: control.limit_queue(tx, "default", depth, of_tenant, on_full, timeout))


def store(engine: Engine, *rows: NewRow, features: Sequence[Feature] = (), is_resend: bool = False) -> list[str]:
    """Enqueue as an app does, and return the ids."""
    dropping = Dropping(NOW, KEPT_UNTIL, features)
    engine.write(lambda tx: insert_jobs(tx, rows, is_resend=is_resend, dropping=dropping))
    return [row["id"] for row in rows]


def waiting(engine: Engine) -> set[str]:
    """The ids of the jobs that are unfinished."""
    rows = engine.read(lambda tx: list_jobs(tx, Filter(), limit=1_000, cursor=None))
    return {row.id for row in rows if row.finished_at is None}


def test_oldest_makes_room(engine: Engine) -> None:
    """With `drop_oldest` a newcomer takes the place of the first ready job, which is cancelled with that reason."""
    old = store(engine, *(new_row(run_at=NOW + number) for number in range(3)))
    limit(engine, 3, on_full="drop_oldest")
    new = store(engine, new_row(), new_row())
    assert waiting(engine) == {old[2], *new}
    for one in old[:2]:
        row = engine.read(lambda tx, one=one: get_job(tx, one))
        assert row is not None
        assert (row.stage, row.reason, row.finished_at) == (Stage.CANCELLED, Reason.DROPPED, NOW)


def test_lowest_priority_goes_first(engine: Engine) -> None:
    """However old they are, jobs of a higher priority stay while there are some of a lower one."""
    important = store(engine, new_row(rank=-100, run_at=NOW - HOUR))
    usual = store(engine, *(new_row(rank=0, run_at=NOW + number) for number in range(2)))
    store(engine, new_row(rank=50))
    limit(engine, 4, on_full="drop_oldest")
    new = store(engine, new_row(rank=100), new_row(rank=100))
    assert waiting(engine) == {*important, usual[1], *new}


def test_only_ready_jobs_are_dropped(engine: Engine) -> None:
    """Running, scheduled and retrying jobs stay; when too few are ready, nothing is dropped and nothing stored."""
    later = store(engine, new_row(stage=0, run_at=NOW + HOUR), new_row(stage=2, run_at=NOW + HOUR))
    [held] = store(engine, new_row())
    engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=1, now=NOW))
    [ready] = store(engine, new_row())
    limit(engine, 3, on_full="drop_oldest")
    with pytest.raises(QueueFull, match="too few of them are ready and could be dropped; nothing was stored"):
        store(engine, new_row(), new_row())
    assert waiting(engine) == {*later, held, ready}
    new = store(engine, new_row())
    assert waiting(engine) == {*later, held, *new}


def test_more_than_the_depth_never_fits(engine: Engine) -> None:
    """A call with more jobs than the queue may hold drops nothing."""
    limit(engine, 2, on_full="drop_oldest")
    old = store(engine, new_row(), new_row())
    with pytest.raises(QueueFull, match="cannot take 3 more"):
        store(engine, *(new_row() for _ in range(3)))
    assert waiting(engine) == set(old)


def test_refusal_by_another_queue_drops_nothing(engine: Engine) -> None:
    """Where one queue of a call refuses, no other has dropped anything, even if the caller commits."""
    old = store(engine, new_row(), new_row(queue="zoo"))
    limit(engine, 1, on_full="drop_oldest")
    engine.write(lambda tx: control.limit_queue(tx, "zoo", 1))
    with engine.transaction() as tx, suppress(QueueFull):
        insert_jobs(tx, [new_row(), new_row(queue="zoo")], dropping=Dropping(NOW, KEPT_UNTIL, ()))
    assert waiting(engine) == set(old)


def test_dropped_jobs_are_shown(engine: Engine) -> None:
    """Features see the end of a dropped job that carries something for them, in the transaction that stores."""
    witness = Witness()
    [old, plain] = store(engine, new_row(options='{"on_failure":[]}'), new_row())
    limit(engine, 2, on_full="drop_oldest")
    store(engine, new_row(), new_row(), features=[witness])
    assert [(one.id, one.stage) for one in witness.seen] == [(old, Stage.CANCELLED)]
    assert not {old, plain} & waiting(engine)


def test_resend_drops_nobody_twice(engine: Engine) -> None:
    """Jobs that are sent again because the answer was lost find their own places."""
    store(engine, new_row())
    limit(engine, 1, on_full="drop_oldest")
    row = new_row()
    store(engine, row)
    store(engine, row, is_resend=True)
    assert waiting(engine) == {row["id"]}
    assert engine.read(lambda tx: count_jobs(tx, Filter(states=(State.CANCELLED,)))) == 1


def test_who_cannot_drop_is_refused(engine: Engine) -> None:
    """A writer that does not say how dropped jobs end is refused by a full queue that drops."""
    limit(engine, 1, on_full="drop_oldest")
    old = store(engine, new_row())
    with pytest.raises(QueueFull):
        engine.write(lambda tx: insert_jobs(tx, [new_row()]))
    assert waiting(engine) == set(old)


def test_depth_of_each_tenant(engine: Engine) -> None:
    """A tenant's limit counts its own jobs, ready or not; others, and jobs of nobody, are not held up by it."""
    limit(engine, None, of_tenant=2)
    store(engine, new_row(tenant="a"), new_row(tenant="a", stage=0, run_at=NOW + HOUR))
    with pytest.raises(QueueFull, match=r"holds 2 of at most 2 .* of tenant 'a' .* raise max_depth_per_tenant"):
        store(engine, new_row(tenant="a"))
    assert not insert_alone(engine, new_row(tenant="b")), "one statement cannot look at the tenant"
    store(engine, new_row(tenant="b"), *(new_row() for _ in range(5)))
    assert len(waiting(engine)) == 8


def test_one_tenant_of_a_call_refuses_it(engine: Engine) -> None:
    """A call whose jobs of one tenant do not fit stores nothing."""
    limit(engine, None, of_tenant=1)
    with pytest.raises(QueueFull, match="tenant 'b'"):
        store(engine, new_row(tenant="a"), new_row(tenant="b"), new_row(tenant="b"))
    assert waiting(engine) == set()


def test_tenant_drops_its_own(engine: Engine) -> None:
    """A tenant at its limit loses its own oldest job; the queue's limit takes what is left to be taken of anybody's."""
    others = store(engine, new_row(tenant="b", run_at=NOW - HOUR), new_row(tenant="b", run_at=NOW - 1))
    own = store(engine, new_row(tenant="a"), new_row(tenant="a", run_at=NOW + 1))
    limit(engine, 4, of_tenant=2, on_full="drop_oldest")
    new = store(engine, new_row(tenant="a", run_at=NOW + 2))
    assert waiting(engine) == {*others, own[1], *new}
    more = store(engine, new_row(tenant="c", run_at=NOW + 3), new_row(tenant="a", run_at=NOW + 3))
    assert waiting(engine) == {others[1], *new, *more}


def test_block_says_how_long(engine: Engine) -> None:
    """A queue that blocks tells how long to wait, and not to wait for what never fits."""
    limit(engine, 1, on_full="block")
    store(engine, new_row())
    with pytest.raises(QueueFull, match=r"may be waited for up to 7s") as caught:
        store(engine, new_row())
    assert caught.value.block_timeout == 7 * SECOND
    with pytest.raises(QueueFull) as caught:
        store(engine, new_row(), new_row())
    assert caught.value.block_timeout is None


@pytest.mark.parametrize("on_full", [None, "drop_oldest"])
def test_depth_under_concurrent_enqueues(engine: Engine, race: Race, on_full: str | None) -> None:
    """However many enqueue at the same moment, neither the queue nor a tenant ever holds more than it may."""
    limit(engine, 10, of_tenant=4, on_full=on_full)
    deepest: list[tuple[int, int]] = []

    def act(number: int) -> None:
        tenant = "abc"[number % 3]
        for size in (1, 2, 3, 1, 2):
            with suppress(QueueFull):
                store(engine, *(new_row(tenant=tenant) for _ in range(size)))
            deepest.append((depth(engine), depth(engine, tenant)))

    race(6, act)
    assert max(whole for whole, _ in deepest) <= 10
    assert max(own for _, own in deepest) <= 4
    assert max(whole for whole, _ in deepest) >= 8


def depth(engine: Engine, tenant: str | None = None) -> int:
    """How many jobs are unfinished, of one tenant perhaps."""
    return engine.read(partial(count_jobs, wanted=Filter(states=(State.QUEUED,), tenant=tenant)))


# --- what queues without limits pay ---------------------------------------------------------------------------------


class Counting:
    """A transaction that keeps the names of what it runs."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.dialect: Dialect = tx.dialect
        self.names: list[str] = []

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run the statement."""
        self.names.append(statement.name)
        return self._tx.run(statement, params, rows)


def test_unlimited_queues_pay_nothing(engine: Engine) -> None:
    """One statement stores jobs of queues without limits, beside one that has some; alone it is its own transaction."""
    limit(engine, 1, of_tenant=1, on_full="drop_oldest")
    dropping = Dropping(NOW, KEPT_UNTIL, ())
    with engine.transaction() as tx:
        counting = Counting(tx)
        insert_jobs(counting, [new_row(queue="free", tenant="a") for _ in range(3)], dropping=dropping)
        insert_jobs(counting, [new_row(queue="free"), new_row(queue="other")], dropping=dropping)
    assert counting.names == ["insert_like_jobs", "insert_jobs"]
    assert insert_alone(engine, new_row(queue="free"))
