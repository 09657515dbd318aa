"""Why a job does not run: each reason is brought about by the real thing and then named."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from lineshaft import Fixed, JobNotFound, Lineshaft, Retry, Snooze, State, current_job
from lineshaft.app.why.place import FARTHEST
from lineshaft.engines.base import Statement, Tx
from lineshaft.explaining import Explanation, Hold
from lineshaft.feature import Feature
from lineshaft.ids import new_id
from lineshaft.job import Job, JobRow
from lineshaft.store.claim import claim_jobs
from lineshaft.store.upkeep import register_worker
from tests.plugins.apps import Gates, StartProcess, StartWorker, eventually

CALM: Final = {"heartbeat": "0.2s", "silence": "20s", "lease": "60s"}
"""A worker that is held up for some seconds does not count as silent."""
SHORT: Final = {"heartbeat": "0.2s", "silence": "0.6s", "lease": "60s"}
MakeApp = Callable[..., Lineshaft]


def nothing() -> None:
    """Do nothing."""


def kinds(job: Job[Any]) -> list[str]:
    """Which reasons there are, in their order."""
    return [hold.kind for hold in job.why()]


def hold_of(job: Job[Any], kind: str) -> Hold:
    """The reason of this kind, once it is there."""
    found: Hold = eventually(lambda: next((hold for hold in job.why() if hold.kind == kind), None))
    return found


@pytest.fixture
def calm(store_url: str, make_app: MakeApp) -> Lineshaft:
    """An app on each engine in turn, whose workers do not count as silent soon."""
    return make_app(store_url, **CALM)


# --- the job itself ---------------------------------------------------------------------------------------------------


def test_scheduled_job_says_when_it_is_due(calm: Lineshaft) -> None:
    """A job for later names its time, which is when the reason ends."""
    job = calm.task(name="work.add")(nothing).options(delay="1h").enqueue()
    hold = job.why()[0]
    assert (hold.kind, hold.until, hold.facts) == ("scheduled", job.run_at, {"run_at": job.run_at})
    assert hold.text.startswith(f"It is scheduled and not due before {job.run_at:%Y-%m-%dT%H:%M:%SZ} (in 59m")


def test_retrying_job_says_why_and_which_attempt(calm: Lineshaft, start_worker: StartWorker) -> None:
    """A job between attempts names the next one, its time, and the last error's type and first line."""

    @calm.task(name="work.fail", retry=Retry(max_attempts=3, backoff=Fixed("1h")))
    def fail() -> None:
        raise ValueError("no ink\nat all")

    job = fail.enqueue()
    start_worker(calm)
    hold = hold_of(job, "retrying")
    assert hold.until == job.refresh().run_at
    assert hold.text.startswith("Attempt 2 of 3 waits until ")
    assert hold.text.endswith(" because attempt 1 failed with ValueError: no ink")
    assert hold.facts["error"] == {"attempt": 1, "type": "ValueError", "message": "no ink\nat all"}


def test_snoozed_job_is_told_from_one_that_never_ran(calm: Lineshaft, start_worker: StartWorker) -> None:
    """A job that put itself back says that it ran before."""

    @calm.task(name="work.nap")
    def nap() -> None:
        raise Snooze("1h")

    job = nap.enqueue()
    start_worker(calm)
    hold = hold_of(job, "snoozed")
    assert hold.until == job.refresh().run_at
    assert hold.text.startswith("It ran and was put back until ")


def test_unknown_task_is_put_back_and_says_when_it_is_given_up(calm: Lineshaft, start_worker: StartWorker) -> None:
    """A task that the worker which claimed the job does not know is named, and so is the time of its rejection."""
    job = calm.enqueue("no.such")
    start_worker(calm, {"default": 1})
    [only] = calm.workers.list()
    hold = hold_of(job, "unknown-task")
    assert hold.facts["task"] == "no.such"
    assert hold.facts["rejected_at"] - hold.facts["since"] == timedelta(hours=1)
    assert "did not know the task 'no.such'" in hold.text
    unknown = hold_of(job, "unknown-to-workers")
    assert unknown.facts["workers"] == [only.id]
    assert unknown.text.startswith(f"The only live worker, number {only.id}, that takes jobs of its queue 'default' ")
    assert unknown.text.endswith(" does not know the task 'no.such'")


def test_deadline_ahead_and_passed(calm: Lineshaft) -> None:
    """A deadline is told while it lies ahead, and once it has passed it is the one reason."""
    add = calm.task(name="work.add")(nothing)
    later, soon = add.options(deadline="1h").enqueue(), add.options(deadline="300ms").enqueue()
    assert kinds(later) == ["no-worker", "deadline"]
    assert later.why()[1].until == later.deadline
    eventually(lambda: kinds(soon) == ["deadline-passed"])
    [hold] = soon.why()
    assert hold.text.endswith("the next worker that starts ends it, as expired")
    assert hold.cure == "lineshaft --app MODULE:NAME worker"


# --- its queue and the workers ----------------------------------------------------------------------------------------


def test_paused_queue_names_who_and_why(calm: Lineshaft) -> None:
    """A paused queue comes with its time, whoever paused it, the reason and the command that resumes it."""
    job = calm.task(name="work.add", queue="print shop")(nothing).enqueue()
    calm.queues.pause("print shop", by="ann@desk", reason="no ink")
    hold = job.why()[0]
    paused_at = calm.queues.get("print shop").paused_at
    assert hold.facts == {"queue": "print shop", "paused_at": paused_at, "paused_by": "ann@desk", "reason": "no ink"}
    assert hold.text.endswith(" by ann@desk: no ink")
    assert (hold.kind, hold.until, hold.cure) == ("paused", None, "lineshaft queues resume 'print shop'")
    calm.queues.pause("print shop")
    assert job.why()[0].facts["paused_by"] is None
    calm.queues.resume("print shop")
    assert kinds(job) == ["no-worker"]


def test_no_worker_at_all_and_only_for_others(calm: Lineshaft, start_worker: StartWorker) -> None:
    """Without a live worker for the queue, the reason tells whether none runs or which queues are served."""
    job = calm.task(name="work.add")(nothing).enqueue()
    [none] = job.why()
    assert none.text == "No live worker takes jobs of its queue 'default': none runs"
    assert none.cure == "lineshaft --app MODULE:NAME worker --queues default"
    start_worker(calm, {"mail": 1})
    [others] = job.why()
    assert others.text.endswith("'default': 1 live worker for other queues: 'mail'")
    assert (others.kind, others.facts["live_workers"]) == ("no-worker", 1)


def test_only_worker_is_silent(durable_url: str, make_app: MakeApp, worker_process: StartProcess) -> None:
    """A frozen worker takes nothing: the reason names it and how long it has not been heard of."""
    app = make_app(durable_url, **SHORT)
    frozen = worker_process(durable_url, "hold", **SHORT)
    frozen.freeze(durable_url)
    eventually(lambda: {one.state for one in app.workers.list()} == {"silent"})
    job = app.enqueue("work.quick", "waits")
    [hold] = job.why()
    assert hold.kind == "no-worker"
    assert f"(process {frozen.pid} on " in hold.text
    assert " does, and was last heard of " in hold.text


def test_draining_worker_takes_no_more(calm: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """While the only worker of a queue drains, what waits there says so."""

    @calm.task(name="work.hold")
    def hold() -> None:
        gates.note("started")
        gates.wait("end")

    running = hold.enqueue()
    start_worker(calm, {"default": 1})
    assert gates.next() == "started"
    [worker] = calm.workers.list()
    assert calm.workers.drain([worker.id]) == {worker.id}
    waiting = hold.enqueue()
    [drains] = waiting.why()
    assert drains.text.startswith(
        f"The only live worker, number {worker.id}, that takes jobs of its queue 'default' is"
    )
    assert (drains.kind, drains.facts["workers"]) == ("draining", [worker.id])
    assert hold_of(running, "running").text.endswith("is the worker's last work, for that is draining")


# --- its place --------------------------------------------------------------------------------------------------------


def test_busy_slots_and_jobs_ahead(calm: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """With every slot taken, the longest job is named, and the jobs before this one are counted by rank."""

    @calm.task(name="work.hold")
    def hold() -> None:
        gates.note("started")
        gates.wait("end")

    running = hold.enqueue()
    start_worker(calm, {"default": 1})
    assert gates.next() == "started"
    [worker] = calm.workers.list()
    first, second = hold.enqueue(), hold.enqueue()
    urgent = hold.options(priority="high").enqueue()
    assert kinds(urgent) == ["slots-busy"]
    assert [job.why()[1].facts["ahead"] for job in (first, second)] == [1, 2]
    busy, behind = second.why()
    longest = f"longest runs {running.id} (work.hold, worker {worker.id}) for 0s"
    assert busy.text == f"The only slot for its queue 'default' is busy; {longest}"
    assert [one["id"] for one in busy.facts["longest"]] == [running.id]
    assert behind.text == (
        "2 jobs come before it in its queue 'default' by priority, then time, then id; free slots: 0 of 1"
    )


def test_slots_taken_by_other_queues(calm: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A worker that runs as many jobs as it may over all its queues has no slot for this one either."""

    @calm.task(name="work.hold", queue="long")
    def hold() -> None:
        gates.note("started")
        gates.wait("end")

    hold.enqueue()
    start_worker(calm, {"long": 1, "default": 1}, slots=1)
    assert gates.next() == "started"
    job = hold.options(queue="default").enqueue()
    assert hold_of(job, "slots-busy").text == "The only slot for its queue 'default' is busy with jobs of other queues"


def test_count_of_jobs_ahead_ends(calm: Lineshaft) -> None:
    """However many jobs come before this one, no more than 10,000 are counted."""
    add = calm.task(name="work.add")(nothing)
    jobs = add.enqueue_many([()] * (FARTHEST + 5))
    exact, cut = jobs[FARTHEST].why()[1], jobs[FARTHEST + 1].why()[1]
    assert (exact.facts["ahead"], exact.facts["is_more"]) == (FARTHEST, False)
    assert (cut.facts["ahead"], cut.facts["is_more"]) == (FARTHEST, True)
    assert cut.text.startswith("More than 10,000 jobs come before it in its queue 'default'")


def test_nothing_holds_a_job_that_is_about_to_run(calm: Lineshaft) -> None:
    """A job that is due, with a live worker that knows it and a free slot, says that nothing holds it."""
    job = calm.task(name="work.add")(nothing).enqueue()
    engine = calm.runtime().engine
    engine.write(
        lambda tx: register_worker(
            tx, host="h", pid=1, version="1", queues={"default": 2}, tasks=["work.add"], now=engine.clock.now()
        )
    )
    assert kinds(job) == ["ready"]
    assert job.why()[0].text == "Nothing holds it: a worker takes it within about a second"


# --- running ----------------------------------------------------------------------------------------------------------


def test_running_job_names_worker_attempt_progress_and_timeout(
    calm: Lineshaft, start_worker: StartWorker, gates: Gates
) -> None:
    """A running job says who runs it since when, how far it is, and when its attempt times out."""

    @calm.task(name="work.hold", timeout="1h")
    def hold() -> None:
        current_job().progress(0.25, "page 1 of 4")
        gates.wait("end")

    job = hold.enqueue()
    start_worker(calm, {"default": 1})
    eventually(lambda: job.refresh().progress)
    [found], [worker] = job.why(), calm.workers.list()
    assert job.started_at is not None
    assert found.until == job.started_at + timedelta(hours=1)
    assert found.text.startswith(
        f"Attempt 1 of 3 was taken by worker {worker.id} (process {worker.pid} on {worker.host})"
    )
    assert ", is at 25% (page 1 of 4) and times out at " in found.text
    unlimited = hold.options(timeout=None).enqueue()
    gates.open("end")
    unlimited.wait(20)
    assert kinds(unlimited) == ["completed"]


def test_cancelling_job_that_ignores_it(
    store_url: str, make_app: MakeApp, start_worker: StartWorker, gates: Gates
) -> None:
    """A job that was asked to stop says when that was, and that it ignores it once its patience is over."""
    app = make_app(store_url, **CALM, stop_patience="0.1s")

    @app.task(name="work.deaf")
    def deaf() -> None:
        gates.note("started")
        gates.wait_deaf("end")

    job = deaf.enqueue()
    start_worker(app, {"default": 1})
    assert gates.next() == "started"
    job.cancel()
    asked_at = job.why()[0].facts["asked_at"]
    assert abs(asked_at - job.why().at) < timedelta(seconds=20)
    eventually(lambda: " and ignores it" in job.why()[0].text)
    job.cancel()
    assert job.why()[0].facts["asked_at"] == asked_at
    assert kinds(job) == ["cancelling", "running"]
    gates.open("end")
    job.wait(20)  # a worker that ends while a job ignores it would outlive the test


def test_worker_that_is_judged_dead(durable_url: str, make_app: MakeApp, worker_process: StartProcess) -> None:
    """The job of a frozen worker says how long that was not heard of, and when its lease ends."""
    app = make_app(durable_url, **SHORT)
    frozen = worker_process(durable_url, "hold", **SHORT)
    job = app.enqueue("work.hold", "frozen")
    frozen.expect("start frozen")
    frozen.freeze(durable_url)
    alone = hold_of(job, "worker-silent")
    assert alone.text.endswith(" and is being judged dead, but no live worker is there to put the job back")
    assert alone.until is None
    worker_process(durable_url, "hold", "mail:1", **SHORT)
    watched: Hold = eventually(lambda: (hold := job.why()[0]).until and hold)
    assert watched.until == watched.facts["heartbeat_at"] + timedelta(seconds=60)
    assert (watched.kind, watched.facts["pid"]) == ("worker-silent", frozen.pid)
    assert kinds(job) == ["worker-silent", "running"]


def test_rescued_job_runs_alone(durable_url: str, make_app: MakeApp, worker_process: StartProcess) -> None:
    """A job whose worker was killed says that its next attempt runs alone, beside what keeps it waiting."""
    app = make_app(durable_url)
    doomed = worker_process(durable_url, "hold")
    job = app.enqueue("work.hold", "doomed")
    doomed.expect("start doomed")
    worker_process(durable_url, "hold", "mail:1")
    doomed.kill()
    eventually(lambda: job.refresh().state is State.QUEUED)
    assert kinds(job) == ["no-worker", "isolated"]


def test_worker_without_a_row(calm: Lineshaft) -> None:
    """A job held by a worker that has no row says so."""
    job = calm.task(name="work.add")(nothing).enqueue()
    engine = calm.runtime().engine
    engine.write(lambda tx: claim_jobs(tx, queue="default", limit=1, worker=77, now=engine.clock.now()))
    assert kinds(job) == ["worker-gone", "running"]
    assert job.why()[0].text.startswith("Its worker 77 is not registered any more")


# --- finished ---------------------------------------------------------------------------------------------------------


def test_finished_jobs_say_how_they_ended(calm: Lineshaft, start_worker: StartWorker) -> None:
    """Of a finished job there is one reason: its end, with the last error and how to have it tried again."""

    @calm.task(name="work.fail", retry=None)
    def fail() -> None:
        raise ValueError("no ink")

    add = calm.task(name="work.add")(nothing)
    cancelled, expired = add.options(delay="1h").enqueue(), add.options(deadline="1ms").enqueue()
    cancelled.cancel()
    dead, completed = fail.enqueue(), add.enqueue()
    start_worker(calm)
    for job in (dead, completed, expired):
        job.wait(20)
    found = {job.state: job.why() for job in (dead, completed, expired, cancelled.refresh())}
    assert [[hold.kind for hold in one] for one in found.values()] == [
        ["dead"],
        ["completed"],
        ["expired"],
        ["cancelled"],
    ]
    [lost] = found[State.DEAD]
    assert lost.text.endswith("reason error: attempt 1 failed with ValueError: no ink")
    assert lost.cure == f"lineshaft jobs retry {dead.id}"
    assert found[State.COMPLETED][0].cure is None


# --- all of them ------------------------------------------------------------------------------------------------------


def test_reasons_come_in_their_order(calm: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """The job's own reasons come first, then its queue, the workers, and its place."""

    @calm.task(name="work.hold")
    def hold() -> None:
        gates.note("started")
        gates.wait("end")

    scheduled = hold.options(delay="1h", deadline="2h").enqueue()
    calm.queues.pause("default")
    assert kinds(scheduled) == ["scheduled", "paused", "no-worker", "deadline"]
    calm.queues.resume("default")
    hold.enqueue()
    start_worker(calm, {"default": 1})
    assert gates.next() == "started"
    hold.enqueue()
    last = hold.enqueue()
    calm.queues.pause("default")
    assert kinds(last) == ["paused", "slots-busy", "jobs-ahead"]
    assert kinds(scheduled) == ["scheduled", "paused", "deadline"]


class Tides(Feature):
    """A feature that holds jobs of one queue."""

    def explain(self, tx: Any, job: JobRow, now: int) -> Sequence[Hold]:  # noqa: ARG002 - the seam's
        """Hold ships."""
        return [Hold("low-tide", f"The tide is too low for {job.name}")] if job.queue == "ships" else []


def test_features_add_their_reasons(calm: Lineshaft) -> None:
    """What a feature says of a job comes after its queue and the workers, and before its place."""
    calm._features.append(Tides())
    sail = calm.task(name="work.sail", queue="ships")(nothing)
    sail.enqueue()
    assert kinds(sail.enqueue()) == ["no-worker", "low-tide", "jobs-ahead"]
    assert kinds(sail.options(queue="default").enqueue()) == ["no-worker"]


def test_explanation_is_plain_json(calm: Lineshaft) -> None:
    """An explanation turns into JSON with ISO times in UTC, its moment and its state."""
    job = calm.task(name="work.add")(nothing).options(delay="1h").enqueue()
    found = job.why()
    shown = msgspec.json.decode(msgspec.json.encode(found.to_dict()))
    assert (shown["id"], shown["state"]) == (job.id, "scheduled")
    assert datetime.fromisoformat(shown["at"]) == found.at
    assert shown["holds"][0]["until"].endswith("Z")
    assert datetime.fromisoformat(shown["holds"][0]["facts"]["run_at"]) == job.run_at.astimezone(UTC)
    assert str(found).splitlines() == [hold.text for hold in found]
    assert len(found) == len(found[:]) == len(shown["holds"]) == 2


def test_few_statements_in_one_transaction(
    calm: Lineshaft, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A due job costs nine statements of one transaction, a delayed one three; a finished one costs one."""
    start_worker(calm, {"mail": 1})
    add = calm.task(name="work.add")(nothing)
    due, later, done = add.enqueue(), add.options(delay="1h").enqueue(), add.options(delay="1h").enqueue()
    done.cancel()
    me, said = threading.get_ident(), []
    with calm.runtime().engine.reading() as tx:
        kind = type(tx)
    run = kind.run

    def note(tx: Tx, statement: Statement, *rest: Any) -> list[Any]:
        if threading.get_ident() == me:
            said.append((id(tx), statement.name))
        return run(tx, statement, *rest)

    monkeypatch.setattr(kind, "run", note)
    for job, names in (
        (due, ["explain_job", "list_workers", "queue_pause", "see_flow", *["stand"] * 3, "turn_of", "count_ahead"]),
        (later, ["explain_job", "list_workers", "queue_pause"]),
        (done, ["explain_job"]),
    ):
        said.clear()
        job.why()
        assert [name for _, name in said] == names
        assert len({transaction for transaction, _ in said}) == 1


def test_async_twins_and_jobs_that_are_not_there(calm: Lineshaft) -> None:
    """`awhy` says what `why` says, of a job and by id; an unknown id is `JobNotFound`."""
    job = calm.task(name="work.add")(nothing).options(delay="1h").enqueue()

    async def ask() -> list[Explanation]:
        return [await job.awhy(), await calm.jobs.awhy(job.id)]

    told = [[hold.kind for hold in one] for one in asyncio.run(ask())]
    assert told == [kinds(job)] * 2
    with pytest.raises(JobNotFound, match="no job has the id"):
        calm.jobs.why(new_id())
    job.delete()
    with pytest.raises(JobNotFound, match=job.id):
        job.why()


def test_in_a_test_of_an_app(calm: Lineshaft) -> None:
    """Inside `app.testing` no worker is missed, however far the clock has moved."""
    add = calm.task(name="work.add")(nothing)

    @calm.task(name="work.look")
    def look() -> list[str]:
        found = calm.jobs.why(str(current_job().id))
        return [hold.kind for hold in found]

    with calm.testing("manual") as t:
        later, now = add.options(delay="1h").enqueue(), add.enqueue()
        assert (kinds(later), kinds(now)) == (["scheduled"], ["ready"])
        calm.queues.pause("default", reason="a test")
        assert kinds(now) == ["paused"]
        calm.queues.resume("default")
        t.travel("3h")
        assert later.why()[0].cure == "t.drain()"
        inside = look.enqueue()
        t.drain()
        assert kinds(later) == ["completed"]
        assert inside.refresh().value == ["running"]
