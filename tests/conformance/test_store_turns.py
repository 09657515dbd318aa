"""Fair queues in the store: places that are drawn, jobs that wait for theirs, and what is forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.app.placing import draw_of
from lineshaft.clock import HOUR, SECOND
from lineshaft.feature import Incoming
from lineshaft.options import Fair, Options
from lineshaft.options.fair import NOBODY, UNIT
from lineshaft.store import control, fairness, turns
from lineshaft.store.claim import claim_jobs, promote_due
from lineshaft.store.enqueue import TurnsNeededError, insert_alone, insert_jobs
from lineshaft.store.explain import stored_job
from lineshaft.store.placing import Draw, draw_here, store_incoming
from lineshaft.store.turns import Wanted, Whose, take_turns
from lineshaft.transitions import Close, Complete, PutBack, Reason, Stage
from tests.plugins.engines import NOW, WORKER, finish, new_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from lineshaft.store.claim import Claimed

    Race = Callable[[int, Callable[[int], Any]], list[Any]]


def make_fair(engine: Engine, fair: Fair | None = Fair("tenant"), *, now: int = NOW) -> None:  # noqa: B008 - frozen
    """Have the jobs of the queue `default` take turns."""
    engine.write(lambda tx: fairness.change_fair(tx, "default", fair, now=now))


def store(engine: Engine, *tenants: str | None, now: int = NOW, draw: Draw = draw_here, **columns: Any) -> list[str]:
    """Enqueue a job of each of these tenants in one call, and return the ids."""
    jobs = [Incoming(dict(new_row(tenant=one, run_at=now, **columns)), Options(), None) for one in tenants]
    engine.write(lambda tx: store_incoming(tx, jobs, now, draw=draw))
    return [one.row["id"] for one in jobs]


def claim(engine: Engine, limit: int = 1, now: int = NOW) -> list[Claimed]:
    """Take jobs."""
    return engine.write(lambda tx: claim_jobs(tx, queue="default", limit=limit, worker=WORKER, now=now))


def served(engine: Engine, count: int) -> list[str | None]:
    """Claim and finish jobs one by one, and return whose they were."""
    found: list[str | None] = []
    for _ in range(count):
        [one] = claim(engine)
        finish(engine, Complete(one.held, None))
        found.append(one.tenant)
    return found


def test_tenants_take_turns(engine: Engine) -> None:
    """Of two that wait each has a job served, and then each again, in either order, however many each has."""
    make_fair(engine)
    store(engine, *["big"] * 50)
    served(engine, 2)
    store(engine, *["small"] * 3)
    assert served(engine, 6) == ["small", "big", "big", "small", "big", "small"]


def test_weights_are_shares(engine: Engine) -> None:
    """Whose weight is 3 has three jobs served while another has one, plus or minus one."""
    make_fair(engine, Fair("tenant", {"heavy": 3}))
    store(engine, *["light"] * 40, *["heavy"] * 40)
    order = served(engine, 40)
    assert abs(order.count("heavy") - 30) <= 1


def test_lone_jobs_come_next_in_order(engine: Engine) -> None:
    """The first jobs of such that had none waiting are next, in the order in which they came."""
    make_fair(engine)
    store(engine, *["big"] * 20)
    served(engine, 5)
    for name in ("one", "two", "three"):
        store(engine, name)
    assert served(engine, 4) == ["one", "two", "three", "big"]


def test_jobs_without_tenant_are_one(engine: Engine) -> None:
    """Jobs that have no tenant take turns together, beside those that have one."""
    make_fair(engine)
    store(engine, *[None] * 10)
    served(engine, 2)
    store(engine, *["a"] * 2)
    assert served(engine, 4) == ["a", None, None, "a"]


def test_priorities_go_before_turns(engine: Engine) -> None:
    """Turns are taken among jobs of one priority: one of a higher one goes before."""
    make_fair(engine)
    store(engine, *["a"] * 5)
    store(engine, "b", rank=10)
    store(engine, *["a"] * 2, rank=-10)
    assert served(engine, 3) == ["a", "a", "a"]


def test_plain_inserts_store_nothing(engine: Engine) -> None:
    """A fair queue takes no job that has no turn from who can draw one, however that one tries."""
    make_fair(engine)
    row = new_row(tenant="a")
    assert not insert_alone(engine, row)
    with pytest.raises(TurnsNeededError, match="default"):
        engine.write(lambda tx: insert_jobs(tx, [row], has_turns=True))
    assert not claim(engine)


def test_delayed_jobs_draw_when_due(engine: Engine) -> None:
    """A delayed job draws its turn when it falls due, so that it neither loses by its delay nor gains by it."""
    make_fair(engine)
    later = NOW + 5 * SECOND
    rows = [new_row(tenant="late", stage=int(Stage.SCHEDULED)) for _ in range(2)]
    jobs = [Incoming({**row, "run_at": later}, Options(), None) for row in rows]
    engine.write(lambda tx: store_incoming(tx, jobs, NOW))
    store(engine, *["big"] * 10)
    assert engine.write(lambda tx: promote_due(tx, NOW)) == 0
    assert engine.write_apart(lambda tx: promote_due(tx, later)) == 2
    assert served(engine, 4) == ["late", "big", "late", "big"]


def test_plain_jobs_fall_due_beside_them(engine: Engine) -> None:
    """Among jobs that fall due, those of other queues need no turn."""
    make_fair(engine)
    fair = Incoming(dict(new_row(tenant="a", stage=int(Stage.SCHEDULED))), Options(), None)
    plain = [Incoming(dict(new_row(queue="other", stage=int(Stage.SCHEDULED))), Options(), None) for _ in range(3)]
    engine.write(lambda tx: store_incoming(tx, [*plain, fair], NOW))
    assert engine.write(lambda tx: promote_due(tx, NOW)) == 4
    assert served(engine, 1) == ["a"]


def test_a_retried_job_keeps_its_turn(engine: Engine) -> None:
    """A job that comes back was charged before: it is next, and those that come meanwhile draw as if it were not."""
    make_fair(engine)
    store(engine, *["big"] * 60)
    [first] = claim(engine)
    served(engine, 40)
    reached = _place_of_head(engine)
    finish(engine, PutBack(first.held, Stage.READY, NOW))
    store(engine, *["new"] * 10)
    [again] = claim(engine)
    assert (again.held.id, again.turn) == (first.held.id, first.turn)
    assert _place_of_head(engine) in (reached - 1, reached)


def _place_of_head(engine: Engine) -> int:
    [one] = claim(engine)
    finish(engine, PutBack(one.held, Stage.READY, None, gives_attempt_back=True))
    return one.turn


def test_a_cancelled_backlog_is_forgotten(engine: Engine) -> None:
    """Whose thousand jobs were cancelled does not wait behind a thousand of others for that, some seconds later."""
    make_fair(engine)
    gone = store(engine, *["big"] * 300)
    store(engine, *["other"] * 5)
    engine.write(lambda tx: control.cancel_jobs(tx, gone, now=NOW, expires_at=NOW + HOUR))
    store(engine, "big", now=NOW + 12 * SECOND)
    store(engine, *["other"] * 10, now=NOW + 12 * SECOND)
    assert served(engine, 8).index("big") <= 6


def test_producers_of_one_tenant_share_its_turn(durable_engine: Engine, race: Race) -> None:
    """Several producers of one tenant at once draw places behind each other, as one would."""
    make_fair(durable_engine)
    draw = draw_of(durable_engine)
    race(4, lambda _: [store(durable_engine, *["big"] * 5, draw=draw) for _ in range(5)])
    places = [one.turn for one in claim(durable_engine, 1_000)]
    assert len(places) == 100
    assert len(set(places)) == 100


def test_two_tenants_from_several_producers(durable_engine: Engine, race: Race) -> None:
    """Eight calls at once of one tenant and one of another: both are served alike."""
    make_fair(durable_engine)
    store(durable_engine, "seed")
    draw = draw_of(durable_engine)
    race(4, lambda number: store(durable_engine, *["small" if number == 0 else "big"] * 20, draw=draw))
    order = [one for one in served(durable_engine, 31) if one != "seed"]
    assert abs(order.count("small") - order.count("big")) <= 2


def test_drawn_apart_and_never_used(engine: Engine) -> None:
    """Turns that nobody uses, as after a rollback, are a gap that holds nobody up."""
    make_fair(engine)
    store(engine, "a")
    wanted = {Whose("default", 0, "=b"): Wanted(UNIT, 1_000)}
    engine.write_apart(lambda tx: take_turns(tx, wanted, now=NOW, is_apart=True))
    store(engine, "b", now=NOW + 12 * SECOND)
    store(engine, "a", now=NOW + 12 * SECOND)
    assert set(served(engine, 3)) == {"a", "b"}


def test_nothing_is_drawn_elsewhere(engine: Engine) -> None:
    """A queue that is fair no more gives no turns."""
    wanted = {Whose("default", 0, "=b"): Wanted(UNIT, 1)}
    assert engine.write(lambda tx: take_turns(tx, wanted, now=NOW)) == {}


def test_jobs_that_waited_before(engine: Engine) -> None:
    """Jobs stored before their queue became fair keep their places; those not due yet draw turns when they are."""
    ready = new_row(tenant="old")
    later = new_row(tenant="late", stage=int(Stage.SCHEDULED), run_at=NOW + SECOND)
    engine.write(lambda tx: insert_jobs(tx, [ready, later]))
    make_fair(engine, now=NOW + SECOND)
    assert _fair_of(engine, later["id"]) == "=late"
    store(engine, *["big"] * 10, now=NOW + SECOND)
    engine.write(lambda tx: promote_due(tx, NOW + SECOND))
    assert set(served(engine, 3)) == {"old", "late", "big"}


def test_revived_and_rescheduled_jobs_draw_turns(engine: Engine) -> None:
    """A dead job that is tried again, and a delayed one that is to run now, draw turns as if they had just come."""
    make_fair(engine)
    [dead] = store(engine, "a")
    [held] = claim(engine)
    finish(engine, Close(held.held, Stage.DEAD, Reason.ERROR, None))
    delayed = Incoming({**new_row(tenant="b", stage=int(Stage.SCHEDULED)), "run_at": NOW + HOUR}, Options(), None)
    engine.write(lambda tx: store_incoming(tx, [delayed], NOW))
    store(engine, *["big"] * 10)
    engine.write(lambda tx: control.revive_jobs(tx, [dead], now=NOW))
    engine.write(lambda tx: control.reschedule_job(tx, delayed.row["id"], run_at=NOW, now=NOW))
    assert engine.write(lambda tx: promote_due(tx, NOW)) == 2
    assert set(served(engine, 3)) == {"a", "b", "big"}


def test_fair_no_more(engine: Engine) -> None:
    """When a queue stops being fair, jobs whose turns lie ahead of time do not wait behind those that come after."""
    make_fair(engine)
    store(engine, *["big"] * 20)
    make_fair(engine, None, now=NOW + 1)
    while engine.write(lambda tx: fairness.drop_turns(tx, "default", now=NOW + 1)):
        continue
    engine.write(lambda tx: insert_jobs(tx, [new_row(tenant="new", run_at=NOW + 2)]))
    assert served(engine, 21) == [*["big"] * 20, "new"]


def _fair_of(engine: Engine, job_id: str) -> str | None:
    found = engine.read(lambda tx: stored_job(tx, job_id))
    assert found is not None
    return found.fair


def test_who_is_idle_is_forgotten(engine: Engine) -> None:
    """Rows of those that the queue has passed are deleted after an hour; of those that wait they stay."""
    make_fair(engine)
    store(engine, *["big"] * 60)
    store(engine, "lone")
    served(engine, 30)
    store(engine, "witness", now=NOW + 2 * HOUR)
    removed = _prune(engine, NOW + 2 * HOUR)
    assert removed == 1
    assert _prune(engine, NOW + 2 * HOUR) == 0


def _prune(engine: Engine, now: int) -> int:
    count, after = 0, fairness.START
    while after is not None:
        page = engine.write(lambda tx, after=after: fairness.prune_turns(tx, now=now, after=after))
        count, after = count + page.removed, page.after
    return count


def test_settings_come_back(engine: Engine) -> None:
    """What was said of a queue is what is read, and other settings in the same place stay."""
    fair = Fair("key", {"acme": 7})
    make_fair(engine, fair)
    assert engine.read(lambda tx: turns.fair_settings(tx, ["default", "other"])) == {"default": fair}
    make_fair(engine, None)
    assert engine.read(lambda tx: turns.fair_settings(tx, ["default"])) == {}


def test_nobody_is_no_tenant() -> None:
    """A tenant by the name of what stands for nobody is another one."""
    fair = Fair("tenant")
    assert fair.whose(None, None) == NOBODY
    assert fair.whose(NOBODY, None) != NOBODY
    assert json.dumps(fair.dump())
