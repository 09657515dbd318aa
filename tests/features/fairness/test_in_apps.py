"""Fair queues as applications use them: whose jobs take turns, wherever they come from, and what that costs others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import ConfigError, Lineshaft, QueueFull, Retry, Task, Unique
from lineshaft.app import placing
from lineshaft.engines.postgres.transaction import PostgresTx
from lineshaft.engines.sqlite.apart import ApartTx
from lineshaft.engines.sqlite.transaction import SqliteTx
from lineshaft.store.claim import Claimed, claim_jobs
from lineshaft.store.explain import stored_job
from lineshaft.transitions import State
from tests.plugins.apps import Gates, StartWorker, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Job

Work = Task[[str], None, None]


@pytest.fixture
def work(app: Lineshaft) -> Work:
    """A task whose jobs take turns by its argument, where a queue is fair by key."""

    @app.task(name="work", fair_key="who", retry=Retry(max_attempts=1))
    def work(who: str) -> None:
        pass

    return work


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all statements that are run from now on."""
    names: list[str] = []
    for kind in (SqliteTx, PostgresTx, ApartTx):

        def run(tx: Any, statement: Any, params: Any, rows: Any = None, original: Any = kind.run) -> Any:
            if not (names and names[-1] == statement.name):  # what one class hands on to the other is one statement
                names.append(statement.name)
            return original(tx, statement, params, rows)

        monkeypatch.setattr(kind, "run", run)
    return names


def do_nothing(who: str) -> None:
    """What a task does here."""


def enqueue_and_fail(app: Lineshaft, work: Work) -> None:
    """Enqueue in a transaction that is rolled back."""
    with app.transaction():
        work.enqueue_many(["a", "b"])
        _ = 1 / 0


def taken(app: Lineshaft, count: int = 100) -> list[Claimed]:
    """Claim jobs of the queue `default`, in their order."""
    engine = app.runtime().engine
    now = engine.clock.now()
    return engine.write(lambda tx: claim_jobs(tx, queue="default", limit=count, worker=7, now=now))


def whose(app: Lineshaft, count: int = 100) -> list[str]:
    """Claim jobs, and return their arguments."""
    return [one.args.split('"')[1] for one in taken(app, count)]


def fair_of(app: Lineshaft, job: Job[Any]) -> tuple[str | None, int | None]:
    """Return whose turn a job takes, and its place."""
    found = app.runtime().engine.read(lambda tx: stored_job(tx, job.id))
    assert found is not None
    return found.fair, found.turn


def test_by_key(app: Lineshaft, work: Work) -> None:
    """In a queue that is fair by key, jobs take turns by their task's `fair_key`, over all calls."""
    app.queues.update("default", fair="key")
    work.enqueue_many(["big"] * 20)
    taken(app, 3)
    work.enqueue("small")
    assert whose(app, 2) == ["small", "big"]


def test_keys_of_any_type(app: Lineshaft) -> None:
    """Any value that can be stored is a key, defaults too; jobs without one take turns together."""

    @app.task(fair_key="order.customer")
    def ship(order: dict[str, Any]) -> None:
        pass

    @app.task(fair_key="number")
    def count(number: float | None = 7) -> None:
        pass

    app.queues.update("default", fair="key")
    found = [
        fair_of(app, job)[0]
        for job in (ship.enqueue({"customer": "acme"}), count.enqueue(), count.enqueue(7.0), count.enqueue(None))
    ]
    assert found == ["=acme", "=7", "=7", "-"]


def test_by_tenant_with_weights(app: Lineshaft, work: Work) -> None:
    """A weight of 3 is three jobs for one of another, and can be changed at any time."""
    app.queues.update("default", fair="tenant", fair_weights={"heavy": 3})
    for name in ("light", "heavy"):
        work.options(tenant=name).enqueue_many([name] * 40)
    order = whose(app, 40)
    assert abs(order.count("heavy") - 30) <= 1
    assert app.queues.get("default").fair_weights == {"heavy": 3}


def test_counts_for_every_client(make_app: Callable[..., Lineshaft], durable_url: str) -> None:
    """A queue becomes fair for clients that enqueued before and know nothing of it, and plain again."""
    one, other = make_app(durable_url), make_app(durable_url)
    task = other.task(name="work")(do_nothing)
    first = task.options(tenant="a").enqueue("a")
    one.queues.update("default", fair="tenant")
    second = task.options(tenant="a").enqueue("a")
    third = task.options(tenant="a").enqueue_many(["a", "a"])[1]
    assert [fair_of(other, job)[0] for job in (first, second, third)] == [None, "=a", "=a"]
    one.queues.update("default", fair=None)
    fourth = task.options(tenant="a").enqueue("a")
    assert fair_of(other, fourth) == (None, None)
    assert other.jobs.count() == 5


def test_plain_queues_pay_nothing(app: Lineshaft, work: Work, statements: list[str]) -> None:
    """An enqueue into a queue that is not fair runs the statements that it ran before there were fair ones."""
    work.enqueue("warm")
    app.queues.update("other", fair="tenant")
    work.options(queue="other").enqueue("warm")
    del statements[:]
    work.enqueue("a")
    assert statements == ["insert_job"]
    del statements[:]
    work.enqueue_many(["a", "b"])
    assert statements == ["insert_like_jobs"]


def test_a_fair_queue_is_remembered(
    app: Lineshaft, work: Work, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a queue is fair is found out by a failed try once, and again after ten seconds."""
    app.queues.update("default", fair="tenant")
    work.enqueue("first")
    del statements[:]
    work.enqueue("second")
    assert statements == ["take_turns", "insert_placed_like_jobs"]
    monkeypatch.setattr(placing, "_MEMORY_SECONDS", -1.0)
    work.enqueue_many(["third", "fourth"])
    app.queues.update("default", fair_weights={"a": 2})
    clock = app.runtime().engine.clock
    passed = clock.monotonic() + 11
    monkeypatch.setattr(type(clock), "monotonic", lambda _: passed)
    del statements[:]
    work.enqueue("fifth")
    assert statements[0] == "insert_job"
    assert statements[-2:] == ["take_turns", "insert_placed_like_jobs"]


def test_own_transactions(app: Lineshaft, work: Work) -> None:
    """Jobs enqueued in `app.transaction()` draw turns too, and are gone with a rollback."""
    app.queues.update("default", fair="key")
    with app.transaction():
        job = work.enqueue("a")
    assert fair_of(app, job)[0] == "=a"
    with pytest.raises(ZeroDivisionError):
        enqueue_and_fail(app, work)
    assert app.jobs.count() == 1


def test_what_follows_takes_a_turn(app: Lineshaft, work: Work, start_worker: StartWorker) -> None:
    """A follow-up that goes into a fair queue takes a turn, by its own key."""

    @app.task(name="parent", queue="parents", on_success=work.new("after"))
    def parent() -> None:
        pass

    app.queues.update("default", fair="key")
    start_worker(app, {"parents": 1})
    parent.enqueue()
    eventually(lambda: app.jobs.count(name="work") == 1)
    [after] = app.jobs.list(name="work")
    key, turn = fair_of(app, after)
    assert key == "=after"
    assert turn is not None


def test_jobs_of_schedules_take_turns(app: Lineshaft, work: Work) -> None:
    """So does the job of a schedule."""
    app.queues.update("default", fair="key")
    app.schedules.create("hourly", work.new("tick"), every="1h")
    job = app.schedules.run("hourly")
    assert fair_of(app, job)[0] == "=tick"


def test_jobs_that_fall_due_run(app: Lineshaft, work: Work, start_worker: StartWorker) -> None:
    """A worker runs delayed jobs of a fair queue, which draw their turns when they fall due."""
    app.queues.update("default", fair="key")
    jobs = [work.options(delay="50ms").enqueue(name) for name in ("a", "b")]
    assert fair_of(app, jobs[0]) == ("=a", None)
    start_worker(app)
    assert [job.wait(timeout=20).state for job in jobs] == [State.COMPLETED] * 2


def test_retries_run(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job of a fair queue that fails is run again and keeps its turn."""
    failed: list[int] = []

    @app.task(name="flaky", retry=Retry(max_attempts=3, backoff=lambda _attempt, _error: 0.01))
    def flaky() -> None:
        failed.append(1)
        if len(failed) < 3:
            raise ValueError

    app.queues.update("default", fair="tenant")
    job = flaky.options(tenant="a").enqueue()
    before = fair_of(app, job)
    start_worker(app)
    assert job.wait(timeout=20).state is State.COMPLETED
    assert before[0] == "=a"
    assert len(failed) == 3


def test_full_queues_refuse(app: Lineshaft, work: Work) -> None:
    """A fair queue that has reached its depth refuses, and takes more when there is room."""
    app.queues.update("default", fair="key", max_depth=3)
    work.enqueue_many(["a", "a"])
    with pytest.raises(QueueFull):
        work.enqueue_many(["b", "b"])
    work.enqueue("b")
    with pytest.raises(QueueFull):
        work.enqueue("c")
    assert app.jobs.count() == 3


def test_unique_jobs(app: Lineshaft, work: Work) -> None:
    """One job a key is stored in a fair queue as elsewhere."""
    app.queues.update("default", fair="key")
    first, second = (work.options(unique=Unique()).enqueue("a") for _ in range(2))
    assert (first.id, second.existing) == (second.id, True)


def test_why_it_waits(app: Lineshaft, work: Work) -> None:
    """A job is told how many jobs of how many others have earlier turns, with its weight."""
    app.queues.update("default", fair="tenant", fair_weights={"b": 3})
    work.options(tenant="a").enqueue_many(["a"] * 3)
    jobs = work.options(tenant="b").enqueue_many(["b"] * 4)
    hold = next(one for one in jobs[3].why() if one.kind == "turn")
    facts = hold.facts
    assert (facts["by"], facts["of"], facts["weight"], facts["others"]) == ("tenant", "b", 3, 1)
    assert f"{facts['before']} jobs of 1 other have earlier turns" in hold.text
    app.queues.update("default", fair=None)
    assert "turn" not in [one.kind for one in jobs[3].why()]


def test_workers_claim_little_ahead(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """The first job of another tenant starts with the next slot that is free, however many wait."""

    @app.task(name="hold")
    def hold(name: str) -> None:
        gates.note(name)
        gates.wait(name)

    app.queues.update("default", fair="tenant")
    hold.options(tenant="big").enqueue_many([f"big-{number}" for number in range(50)])
    start_worker(app, {"default": 1})
    assert gates.next() == "big-0"
    hold.options(tenant="lone").enqueue("lone")
    gates.open("big-0")
    assert gates.next() == "lone"
    gates.open_all()


@pytest.mark.parametrize(
    "given, message",
    [
        ({"fair": "queue"}, "fair='queue' must be 'tenant', 'key', or None"),
        ({"fair": "tenant", "fair_weights": {"a": 0}}, "'a' is 0: give a whole number from 1 to 100"),
        ({"fair": "tenant", "fair_weights": {"a": -1}}, "'a' is -1: give a whole number"),
        ({"fair": "tenant", "fair_weights": {"a": True}}, "'a' is True: give a whole number"),
        ({"fair": "tenant", "fair_weights": {"a": 0.5}}, "'a' is 0.5: give a whole number"),
        ({"fair": "tenant", "fair_weights": {"a": 101}}, "'a' is 101: give a whole number"),
        ({"fair": "tenant", "fair_weights": {7: 1}}, "must be a mapping of tenants or keys, as texts, to weights"),
        ({"fair": "tenant", "fair_weights": [("a", 1)]}, "must be a mapping"),
        ({"fair": None, "fair_weights": {"a": 1}}, "fair=None takes turns away"),
        ({"fair_weights": {"a": 1}}, "queue 'default' is not fair; give fair='tenant' or fair='key' too"),
        ({}, "nothing to change; give concurrency, rate, fair, fair_weights, "),
    ],
)
def test_refused(memory_app: Lineshaft, given: dict[str, Any], message: str) -> None:
    """What cannot be meant is refused where it is said, and changes nothing."""
    with pytest.raises(ConfigError) as refused:
        memory_app.queues.update("default", **given)
    assert message in str(refused.value)
    assert memory_app.queues.get("default").fair is None


def test_too_many_weights(memory_app: Lineshaft) -> None:
    """Weights are read with each try to learn of them, so they are not without number."""
    with pytest.raises(ConfigError, match="names 10,001, the most are 10,000"):
        memory_app.queues.update("default", fair="tenant", fair_weights={str(one): 2 for one in range(10_001)})


def test_keys_that_no_parameter_has(memory_app: Lineshaft) -> None:
    """A `fair_key` that the function does not take is refused with its place, at the definition and in `.options()`."""
    with pytest.raises(ConfigError, match=r"fair_key at .*test_in_apps.py:\d+: 'customer' is no parameter"):

        @memory_app.task(fair_key="customer")
        def wrong(who: str) -> None: ...

    right = memory_app.task(name="right")(do_nothing)
    with pytest.raises(ConfigError, match=r"fair_key at .*test_in_apps.py:\d+: 'customer' is no parameter"):
        right.options(fair_key="customer")
    with pytest.raises(ConfigError, match="fair_key='' must name the argument"):
        right.options(fair_key="")
    assert right.options(fair_key="who").new("x").fair_text == "x"


@pytest.fixture
def memory_app(make_app: Callable[..., Lineshaft]) -> Lineshaft:
    """An app with a store in memory."""
    return make_app("memory://")
