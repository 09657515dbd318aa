"""Limits in apps with workers: who runs, what holds the others, and what a person changes meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Concurrency, ConfigError, Limit, LimitNotFound, Order, Rate
from lineshaft.transitions import State
from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.plugins.apps import Gates, StartWorker


class Held:
    """A task with limits whose jobs wait at gates named by their arguments."""

    def __init__(self, app: Lineshaft, gates: Gates, **limits: Any) -> None:
        def hold(key: str, number: int) -> None:
            gates.note((key, number))
            gates.wait(f"{key}{number}")

        self.task = app.task(name="hold", **limits)(hold)


def wait_parked(app: Lineshaft, count: int) -> None:
    """Wait until so many jobs stand in lines."""
    eventually(lambda: sum(one.waiting for one in app.limits.list()) == count)


def test_places_of_each_key(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Of each key as many run as the limit says, others pass them by, and who ends makes room for the next in order."""
    hold = Held(app, gates, concurrency=Concurrency(2, "key", name="crm")).task
    hold.enqueue_many([("a", number) for number in range(4)])
    hold.enqueue_many([("b", 0)])
    start_worker(app, {"default": 10})
    assert {gates.next() for _ in range(3)} == {("a", 0), ("a", 1), ("b", 0)}
    wait_parked(app, 2)
    assert app.jobs.count(state=State.RUNNING) == 3
    gates.open("a1")
    assert gates.next() == ("a", 2)
    gates.open("a0")
    assert gates.next() == ("a", 3)
    gates.open_all()
    eventually(lambda: app.jobs.count(state=State.COMPLETED) == 5)


def test_a_waiting_job_says_which_limit_holds_it(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """`why()` names the limit, who holds its places and how many come before, first of all reasons."""
    hold = Held(app, gates, concurrency=Concurrency(1, "key", name="crm")).task
    first, *others = hold.enqueue_many([("a", number) for number in range(3)])
    start_worker(app, {"default": 10})
    assert gates.next() == ("a", 0)
    wait_parked(app, 2)
    [second, third] = [job.why() for job in others]
    [hold_2, hold_3] = [second[0], third[0]]
    assert [one.kind for one in second] == ["limit"]
    assert hold_2.text.startswith("1 of 1 places of limit 'crm' for key=a are taken, longest by " + first.id)
    assert hold_2.text.endswith("; it is the next")
    assert hold_3.text.endswith("; 1 before it")
    facts = hold_2.facts
    assert (facts["rule"], facts["key"], facts["limit"], facts["held"], facts["ahead"]) == ("crm", "crm=a", 1, 1, 0)
    [holder] = facts["jobs"]
    assert (holder["id"], holder["task"]) == (first.id, "hold")


def test_a_ready_job_that_would_be_refused_says_so(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job that no worker has looked at yet is told the limit too, behind what keeps workers away."""
    hold = Held(app, gates, concurrency=Concurrency(1, "key", name="crm")).task
    hold.enqueue("a", 0)
    start_worker(app, {"default": 10})
    assert gates.next() == ("a", 0)
    late = hold.options(queue="elsewhere").enqueue("a", 1)
    assert [one.kind for one in late.why()][:2] == ["no-worker", "limit"]
    free = hold.options(queue="elsewhere").enqueue("b", 1)
    assert "limit" not in [one.kind for one in free.why()]


def test_a_parked_job_is_not_told_of_its_queue_first(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A pause comes before the limit, and nothing is said of slots and places in the queue, where it does not stand."""
    hold = Held(app, gates, concurrency=Concurrency(1, name="crm")).task
    _, other = hold.enqueue_many([("a", 0), ("a", 1)])
    start_worker(app, {"default": 1})
    gates.next()
    eventually(lambda: app.limits.get("crm").waiting == 1 or other.why()[0].kind == "limit")
    app.queues.pause("default")
    assert [one.kind for one in other.why()][:2] == ["paused", "limit"]


def test_orders(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Jobs of one order run one after the other, those that came by name too; a waiting one names who goes first."""
    hold = Held(app, gates, concurrency=Order("key")).task
    first, second = hold.enqueue_many([("a", 0), ("a", 1)])
    app.enqueue("hold", "a", 2)
    hold.enqueue("b", 7)
    start_worker(app, {"default": 10})
    assert {gates.next(), gates.next()} == {("a", 0), ("b", 7)}
    wait_parked(app, 2)
    [reason] = second.why()
    assert reason.kind == "order"
    assert (
        reason.text
        == f"Job {first.id} of the same order 'hold.order.key' for key=a goes first, and is running; it is the next"
    )
    assert (reason.facts["first"], reason.facts["state"]) == (first.id, "running")
    for number in (0, 1):
        gates.open(f"a{number}")
        assert gates.next() == ("a", number + 1)
    gates.open_all()
    eventually(lambda: app.jobs.count(state=State.COMPLETED) == 4)


def test_a_first_one_that_waits_holds_the_others(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job of an order that is scheduled or retried later goes first all the same; cancelled, it is out of the way."""
    hold = Held(app, gates, concurrency=Order("key")).task
    first = hold.options(delay="1h").enqueue("a", 0)
    second = hold.enqueue("a", 1)
    start_worker(app, {"default": 10})
    wait_parked(app, 1)
    [reason] = second.why()
    assert reason.text.startswith(f"Job {first.id} of the same order 'hold.order.key' for key=a goes first, and is")
    assert "scheduled until 20" in reason.text
    assert reason.until == first.run_at
    first.cancel()
    assert gates.next() == ("a", 1)


def test_rates(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Jobs that find no token wait for theirs, and are told when it comes."""
    hold = Held(app, gates, rate=Rate(2, "1h", name="api")).task
    gates.open_all()
    jobs = hold.enqueue_many([("a", number) for number in range(4)])
    start_worker(app, {"default": 10})
    assert gates.next() == ("a", 0)
    wait_parked(app, 3)
    [second, fourth] = [jobs[1].why()[0], jobs[3].why()[0]]
    assert (second.kind, second.text) == ("rate", "Rate 'api' lets 2 in 1h start; it is the next")
    assert fourth.text.endswith("; 2 before it")
    assert second.until is not None
    assert fourth.until is not None
    assert fourth.until - second.until == timedelta(hours=1)
    [api] = app.limits.list()
    assert (api.count, api.per, api.burst, api.cost, api.waiting) == (2, timedelta(hours=1), 1, 1, 3)
    [key] = app.limits.get("api").busiest
    assert key.free_at == second.until


def test_a_limit_is_changed_while_workers_run(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A raised limit lets the next ones in at once, a lowered one nobody until there are fewer."""
    hold = Held(app, gates, concurrency=Concurrency(1, "key", name="crm")).task
    hold.enqueue_many([("a", number) for number in range(6)])
    start_worker(app, {"default": 10})
    assert gates.next() == ("a", 0)
    wait_parked(app, 5)
    changed = app.limits.update("crm", limit=3)
    assert (changed.limit, changed.overridden, changed.held, changed.waiting) == (3, ("limit",), 1, 5)
    assert {gates.next(), gates.next()} == {("a", 1), ("a", 2)}
    assert app.limits.reset("crm").limit == 1
    gates.open("a0")
    eventually(lambda: app.limits.get("crm").held == 2)
    gates.open("a1")
    eventually(lambda: app.limits.get("crm").held == 1)
    gates.open("a2")
    assert gates.next() == ("a", 3)
    [key] = app.limits.get("crm").busiest
    assert (key.key, key.held, key.waiting, key.free_at) == ("crm=a", 1, 2, None)
    assert len(key.jobs) == 1


def test_a_rate_is_changed_while_jobs_wait(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Jobs that waited for hours under a slow rate start at once under a quick one."""
    hold = Held(app, gates, rate=Rate(1, "1h", name="api")).task
    gates.open_all()
    hold.enqueue_many([("a", number) for number in range(5)])
    start_worker(app, {"default": 10})
    gates.next()
    wait_parked(app, 4)
    changed = app.limits.update("api", rate="1000/s", burst=50)
    assert (changed.count, changed.per, changed.burst, changed.overridden) == (
        1_000, timedelta(seconds=1), 50, ("burst", "rate"),
    )  # fmt: skip
    assert {gates.next() for _ in range(4)} == {("a", number) for number in range(1, 5)}


def test_limits_of_single_jobs(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """What `.options()` says holds for that job, in a worker whose tasks have no limits too."""
    hold = Held(app, gates).task
    few = hold.options(concurrency=Concurrency(1, name="few"))
    few.enqueue_many([("a", 0), ("a", 1)])
    hold.enqueue("b", 0)
    start_worker(app, {"default": 10})
    assert {gates.next(), gates.next()} == {("a", 0), ("b", 0)}
    gates.open("a0")
    assert gates.next() == ("a", 1)


def test_a_job_without_its_key_is_rejected(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job whose arguments do not give the key ends, and says so; the others go on."""

    @app.task(name="pay", concurrency=Concurrency(1, "order.customer"))
    def pay(order: dict[str, str]) -> str:
        return order["customer"]

    bad, good = pay.enqueue_many([({},), ({"customer": "ann"},)])
    start_worker(app, {"default": 10})
    assert good.result(timeout=20) == "ann"
    eventually(lambda: bad.refresh().state is State.DEAD)
    assert "argument 'order.customer' of task 'pay' is not there" in bad.errors[-1]["message"]


@pytest.mark.parametrize(
    "name, changes, says",
    [
        ("crm", {"limit": 0}, "limit=0 of Concurrency"),
        ("crm", {"rate": "1/s"}, "rate='1/s' does not fit: limit 'crm' is of the kind concurrency; give limit"),
        ("crm", {}, "nothing to change"),
        ("api", {"rate": "1/x"}, "is no rate"),
        ("api", {"rate": 5}, "rate=5 must be a text"),
        ("api", {"burst": 1}, "cost=2 of Rate is over burst=1"),
        ("api", {"burst": 0}, "burst=0 of Rate"),
        ("turns", {"limit": 2}, "nothing of it can be changed"),
    ],
)
def test_what_a_limit_cannot_be_is_refused(known: Lineshaft, name: str, changes: dict[str, Any], says: str) -> None:
    """A change that does not fit the limit is refused and changes nothing."""
    before = known.limits.get(name)
    with pytest.raises(ConfigError) as refusal:
        known.limits.update(name, **changes)
    assert says in str(refusal.value)
    assert known.limits.get(name) == before


def test_unknown_limits(known: Lineshaft, make_app: Callable[..., Lineshaft]) -> None:
    """A name that the store does not know is a LookupError that names those it knows; breakers are none of them."""
    for call in (known.limits.get, known.limits.reset, lambda name: known.limits.update(name, limit=1)):
        with pytest.raises(LimitNotFound, match=r"no limit is named 'smtp'; known are: api, crm, turns$") as refusal:
            call("smtp")
        assert isinstance(refusal.value, LookupError)
    with pytest.raises(LimitNotFound, match=r"'breaker:smtp'"):
        known.limits.get("breaker:smtp")
    with pytest.raises(LimitNotFound, match=r"known are: none, for no worker has started"):
        make_app("memory://").limits.get("crm")


def test_the_code_says_and_the_last_start_wins(app: Lineshaft, start_worker: StartWorker) -> None:
    """What code declares is known once a worker has started, and anew with each deploy; what a person changed stays."""
    app.task(name="pay", concurrency=Concurrency(3, "a", name="crm", per_tenant=True))(_takes)
    assert app.limits.list() == []
    start_worker(app, {"default": 1}).stop()
    assert app.limits.list() == [Limit("crm", "concurrency", limit=3, key=("a",), per_tenant=True)]
    app.limits.update("crm", limit=2)
    app.task(name="pay", concurrency=Concurrency(9, "a", name="crm"))(_takes)
    start_worker(app, {"default": 1}).stop()
    assert app.limits.get("crm") == Limit("crm", "concurrency", limit=2, key=("a",), overridden=("limit",))
    assert app.limits.reset("crm") == Limit("crm", "concurrency", limit=9, key=("a",))
    app.limits.update("crm", limit=2)
    app.task(name="pay", rate=Rate(9, "1s", name="crm"))(_takes)
    start_worker(app, {"default": 1}).stop()
    assert (app.limits.get("crm").kind, app.limits.get("crm").overridden) == ("rate", ())


def test_twins(known: Lineshaft) -> None:
    """Every call has an asynchronous twin."""

    async def ask() -> None:
        assert await known.limits.alist() == known.limits.list()
        assert (await known.limits.aupdate("crm", limit=4)).limit == 4
        assert (await known.limits.aget("crm")).limit == 4
        assert (await known.limits.areset("crm")).limit == 3

    asyncio.run(ask())


@pytest.fixture
def known(app: Lineshaft, start_worker: StartWorker) -> Lineshaft:
    """An app whose limits the store knows."""
    limits = {"concurrency": [Concurrency(3, name="crm"), Order("a", name="turns")], "breaker": "smtp"}
    app.task(name="pay", rate=Rate(5, "1s", cost=2, name="api"), **limits)(_takes)
    start_worker(app, {"default": 1}).stop()
    return app


def _takes(a: int, b: int = 2) -> int:
    return a + b
