"""Every way in which a job becomes final enqueues what follows it, with its end and once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from lineshaft import GiveUp, Job, Lineshaft, Order, Retry, Snooze, Task, Tasks, Unique, current_job
from lineshaft.clock import SECOND
from lineshaft.store.claim import claim_jobs
from lineshaft.store.upkeep import Suspect
from lineshaft.transitions import Reason, State
from lineshaft.worker.rescuer import Rescuer
from tests.features.followup import work as elsewhere
from tests.features.followup.conftest import final
from tests.plugins.apps import Gates, StartWorker, eventually

Told = Callable[[], list[str]]
Tell = Task[[str], str, str]
ONCE = Retry(max_attempts=1)
SERVED = {"default": 4, "news": 4}
request: ContextVar[str] = ContextVar("request")


def both(tell: Tell) -> dict[str, Any]:
    return {"on_success": tell.new("success"), "on_failure": [tell.new("failure"), tell.new("sad")]}


def enqueue(app: Lineshaft, tell: Tell, function: Callable[[], Any], **options: Any) -> Job[Any]:
    task = app.task(name="parent", retry=ONCE, **both(tell))(function)
    return task.options(**options).enqueue() if options else task.enqueue()


def work() -> str:
    return "done"


def fail() -> None:
    raise ValueError("no")


def give_up() -> None:
    raise GiveUp


@pytest.mark.parametrize(
    "function, expected",
    [(work, ["success"]), (fail, ["failure", "sad"]), (give_up, ["failure", "sad"])],
    ids=["completed", "error", "rejected"],
)
def test_jobs_that_a_worker_ends(
    app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker, function: Callable[[], Any], expected: list[str]
) -> None:
    """A worker enqueues `on_success` with a completion and `on_failure` with a death, and other queues hear of it."""
    start_worker(app, SERVED)
    parent = final(enqueue(app, tell, function))
    assert told() == expected
    for follower in app.jobs.list(name="tell"):
        assert final(follower).state is State.COMPLETED
        assert follower.meta == {"after": parent.id}
        assert (follower.queue, follower.result()) == ("news", follower.args[0][0])


def test_what_follows_sees_what_it_follows(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A follow-up finds the job before it by `current_job().meta`, and its result is there."""

    @app.task(name="after")
    def after() -> None:
        gates.note(app.jobs.get(current_job().meta["after"]).result())

    enqueued = app.task(name="parent", on_success=after.new())(work)
    start_worker(app)
    enqueued.enqueue()
    assert gates.next() == "done"


@pytest.mark.parametrize("lane", ["thread", "async", "process"])
def test_own_transactions(durable_app: Lineshaft, lane: str) -> None:
    """A job that completes in its own transaction is followed when that commits, in whichever lane it ran."""
    app, parent = durable_app, None
    if lane == "process":
        app, parent = elsewhere.app, elsewhere.own_transaction
        app.use_store(durable_app.settings.store)
    else:
        app.task(name="tell")(lambda text: text)
        parent = app.task(name="parent")(_in_transaction if lane == "thread" else _in_atransaction)
    teller = app.find("tell")
    with closing(app):
        with app.worker(SERVED):
            options = {"on_success": teller.new("success"), "on_failure": teller.new("failure")}
            assert final(parent.options(**options).enqueue()).state is State.COMPLETED
        assert [one.args[0] for one in app.jobs.list(name="tell")] == [["success"]]


def _in_transaction() -> None:
    with current_job().transaction():
        """The block writes nothing of its own."""


async def _in_atransaction() -> None:
    async with current_job().atransaction():
        """The block writes nothing of its own."""


def test_rejected_by_the_worker(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker) -> None:
    """A job whose arguments do not fit the task any more is dead, and followed: what follows stands with the job."""
    parent = app.task(name="parent", **both(tell))(lambda: None)
    new = parent.new()
    new.args = '[["too many"],{}]'
    job = app.enqueue_new(new)
    start_worker(app)
    assert final(job).reason is Reason.REJECTED
    assert told() == ["failure", "sad"]


def test_unknown_to_every_worker() -> None:
    """A job that no worker knew for an hour is dead, and followed by what was stored with it."""
    app, others = Lineshaft("memory://"), Tasks()
    tell = app.task(name="tell")(lambda text: text)
    new_job = others.task(name="newer", on_failure=tell.new("failure"))(work).new()
    with app.testing("manual") as t:
        job = app.enqueue_new(new_job)
        while not job.refresh().state.is_final:
            assert app.jobs.count(name="tell") == 0
            t.drain()
            t.travel("5m")
        assert job.reason is Reason.REJECTED
        [follower] = app.jobs.list(name="tell")
        assert follower.state is State.COMPLETED, "the same drain runs what it led to"


def test_lost_with_its_workers(app: Lineshaft, tell: Tell, told: Told) -> None:
    """The rescue that finds a job lost for good enqueues what follows it."""
    job = enqueue(app, tell, work)
    engine = app._store.engine
    for worker in (1, 2):
        assert told() == []
        now = engine.clock.now()
        engine.write(partial(claim_jobs, queue="default", limit=1, worker=worker, now=now))
        rescuer = Rescuer(engine, -1, app.settings, app.settings.retention, app._subscribers, app.runtime().features)
        rescuer._rescue(Suspect(worker, True, "away", 1))
    assert job.refresh().reason is Reason.LOST
    assert told() == ["failure", "sad"]


@pytest.mark.parametrize("is_waiting", [True, False], ids=["in the queue", "claimed too late"])
def test_expired(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker, is_waiting: bool) -> None:  # noqa: FBT001
    """A job whose deadline passes before it starts failed to run: `on_failure` follows it."""
    queue = "nobody's" if is_waiting else "default"
    job = enqueue(app, tell, work, deadline="1ms", queue=queue)
    start_worker(app, SERVED)
    assert final(job).state is State.EXPIRED
    assert told() == ["failure", "sad"]


def test_cancelled(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker, gates: Gates) -> None:
    """A job that was cancelled, waiting or running, is followed by nothing."""

    def hold() -> None:
        gates.note("running")
        gates.wait("never")

    waiting = enqueue(app, tell, hold)
    waiting.cancel()
    running = app.find("parent").enqueue()
    start_worker(app, SERVED)
    assert gates.next() == "running"
    running.cancel()
    assert [final(one).state for one in (waiting, running)] == [State.CANCELLED] * 2
    assert told() == []


def test_only_the_last_attempt(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker) -> None:
    """What only puts a job back, a retry or a snooze, is no end."""

    def third_time() -> None:
        assert told() == []
        if current_job().attempt == 1:
            raise ValueError
        if not app.jobs.count(name="mark"):
            app.enqueue("mark")
            raise Snooze(0)

    parent = app.task(name="parent", retry=Retry(max_attempts=2, backoff=lambda *_: 0), **both(tell))(third_time)
    start_worker(app, SERVED)
    assert final(parent.enqueue()).state is State.COMPLETED
    assert told() == ["success"]


def test_retried_by_a_person(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker) -> None:
    """A dead job that is tried again is followed at its next end too."""
    is_well: list[bool] = []

    def recover() -> None:
        if not is_well:
            raise ValueError

    job = enqueue(app, tell, recover)
    start_worker(app, SERVED)
    assert final(job).state is State.DEAD
    job.retry()
    eventually(lambda: len(told()) == 4)  # it died again
    is_well.append(True)
    final(job).retry()
    eventually(lambda: "success" in told())
    assert told() == ["failure", "failure", "sad", "sad", "success"]


def test_options_and_context_of_the_follow_up(app: Lineshaft, start_worker: StartWorker) -> None:
    """A follow-up has its own options, its times count from the end, and it carries what the enqueuing code did."""
    seen: list[str] = []
    app._context["request"] = request

    @app.task(name="after", retry=Retry(max_attempts=7), queue="later", keep_result="7d")
    def after(number: int) -> None:
        seen.append(request.get(""))

    chosen = after.options(
        priority=30, tags=["a"], meta={"kind": "news"}, delay="1h", deadline="2h", timeout=5, on_failure=after.new(2)
    )
    token = request.set("r-17")
    try:
        parent = app.task(name="parent", tenant="acme", on_success=[chosen.new(1), after.options(queue="news").new(3)])(
            work
        )
        done = parent.enqueue()
    finally:
        request.reset(token)
    start_worker(app, SERVED)
    final(done)
    by_number = {job.args[0][0]: job for job in app.jobs.iter(name="after")}
    late = by_number[1]
    assert (late.queue, late.priority, late.tags, late.tenant, late.state) == (
        "later", 30, ["a"], "acme", State.SCHEDULED,
    )  # fmt: skip
    assert late.meta == {"kind": "news", "after": done.id}
    assert late.max_attempts == 7
    assert done.finished_at is not None
    assert (late.run_at - late.created_at).total_seconds() == 3600
    assert late.deadline is not None
    assert (late.deadline - late.created_at).total_seconds() == 7200
    assert late.created_at == done.finished_at
    final(by_number[3])
    assert seen == ["r-17"]


def test_follow_ups_of_follow_ups(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker) -> None:
    """What follows may itself be followed, each by its own end."""
    third = tell.options(on_success=tell.new("fourth"), on_failure=tell.new("never")).new("third")
    second = tell.options(on_success=third).new("second")
    parent = app.task(name="parent", on_success=second)(work)
    start_worker(app, SERVED)
    parent.enqueue()
    eventually(lambda: told() == ["fourth", "second", "third"])


def test_follow_ups_of_a_strict_order(app: Lineshaft, start_worker: StartWorker) -> None:
    """Jobs that follow together and stand in one strict order run in the order in which they are listed."""
    ran: list[int] = []

    @app.task(name="step", concurrency=Order())
    def step(number: int) -> None:
        ran.append(number)

    parent = app.task(name="parent", on_success=[step.new(number) for number in range(12)])(work)
    start_worker(app, {"default": 4})
    final(parent.enqueue())
    eventually(lambda: len(ran) == 12)
    assert ran == sorted(ran)


def test_unique_follow_ups(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker) -> None:
    """A follow-up that is unique joins the one that waits already; nothing keeps its parent from ending."""
    only = tell.options(unique=Unique(), queue="nobody's").new("digest")
    parent = app.task(name="parent", on_success=only)(work)
    start_worker(app, SERVED)
    jobs = [final(one) for one in parent.options(queue="default").enqueue_many([(), ()])]
    assert [one.state for one in jobs] == [State.COMPLETED] * 2
    assert told() == ["digest"]


def test_full_queues_take_follow_ups(app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker) -> None:
    """A queue at its `max_depth` takes what follows a job all the same: the end of a job cannot be refused."""
    app.queues.update("full", max_depth=1)
    tell.options(queue="full").enqueue("first")
    parent = app.task(name="parent", on_success=tell.options(queue="full").new("second"))(work)
    start_worker(app, SERVED)
    assert final(parent.enqueue()).state is State.COMPLETED
    assert told() == ["first", "second"]


def test_what_cannot_be_read_harms_nobody(
    app: Lineshaft, tell: Tell, told: Told, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """A follow-up that another version stored and this one cannot read is reported; the job and its neighbours end."""
    bad = app.task(name="parent", retry=ONCE)(work)
    new = bad.new()
    new.execution = {"on_success": [{"job": 1}]}
    jobs = [app.enqueue_new(new), bad.options(on_success=tell.new("success")).enqueue()]
    start_worker(app, SERVED)
    assert [final(one).state for one in jobs] == [State.COMPLETED] * 2
    assert told() == ["success"]
    assert f"job {jobs[0].id} has ended, but its on_success cannot be read and is not enqueued" in caplog.text


def test_delayed_follow_ups_come_in_time(app: Lineshaft, tell: Tell, start_worker: StartWorker) -> None:
    """The worker that ended a job knows of the delayed one that follows, and does not sleep past its time."""
    parent = app.task(name="parent", on_success=tell.options(delay="0.2s").new("soon"))(work)
    start_worker(app, SERVED)
    final(parent.enqueue())
    [soon] = app.jobs.list(name="tell")
    done = final(soon)
    assert done.started_at is not None
    assert (done.started_at - done.run_at).total_seconds() < 5
    assert done.run_at.timestamp() * SECOND >= done.created_at.timestamp() * SECOND
