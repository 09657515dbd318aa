"""When jobs start: priority, time, id; delays and deadlines; paused and full queues."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from lineshaft import JobNotRun, Lineshaft, QueueFull, State, Task
from tests.plugins.apps import Gates, StartWorker, eventually


@pytest.fixture
def note(app: Lineshaft, gates: Gates) -> Task[[str], None, None]:
    """A task that notes its argument."""

    @app.task(name="note")
    def note(what: str) -> None:
        gates.note(what)

    return note


def test_priority_then_time_then_id(
    app: Lineshaft, note: Task[[str], None, None], start_worker: StartWorker, gates: Gates
) -> None:
    """One slot runs jobs by priority, those of one priority by the time they were due, those of one time by id."""
    past = datetime.now(UTC) - timedelta(hours=1)
    for what, options in {
        "low": {"priority": "low"},
        "late": {"run_at": past + timedelta(minutes=2)},
        "early": {"run_at": past},
        "early too": {"run_at": past},
        "high": {"priority": "high"},
        "99": {"priority": 99},
        "critical": {"priority": "critical", "run_at": past + timedelta(minutes=5)},
        "background": {"priority": "background", "run_at": past},
        "now": {},
    }.items():
        note.options(**options).enqueue(what)  # type: ignore[arg-type]
    start_worker(app, {"default": 1})
    order = [gates.next() for _ in range(9)]
    assert order == ["critical", "99", "high", "early", "early too", "late", "now", "low", "background"]


def test_bulk_keeps_its_order(
    app: Lineshaft, note: Task[[str], None, None], start_worker: StartWorker, gates: Gates
) -> None:
    """Hundreds of jobs of one call run in the order in which they were given."""
    expected = [f"{number}" for number in range(300)]
    note.enqueue_many(expected)
    start_worker(app, {"default": 1})
    assert [gates.next() for _ in expected] == expected


def test_delayed_job_runs_at_its_time(
    app: Lineshaft, note: Task[[str], None, None], start_worker: StartWorker, gates: Gates
) -> None:
    """A job with a delay starts no sooner than it is due, and within half a second of it."""
    start_worker(app)
    job = note.options(delay="0.4s").enqueue("delayed")
    assert job.state is State.SCHEDULED
    assert gates.next() == "delayed"
    job.wait(10)
    assert job.started_at is not None
    assert timedelta(0) <= job.started_at - job.run_at < timedelta(seconds=0.5)
    assert job.run_at - job.created_at == timedelta(seconds=0.4)


def test_rescheduled_job_runs_at_once(
    app: Lineshaft, note: Task[[str], None, None], start_worker: StartWorker, gates: Gates
) -> None:
    """`reschedule(delay=0)` of a job that is due tomorrow wakes a worker for it."""
    start_worker(app)
    job = note.options(delay="1d").enqueue("sooner")
    job.reschedule(delay=0)
    assert gates.next() == "sooner"
    assert job.wait(10).state is State.COMPLETED


def test_deadline_ends_jobs_that_have_not_started(
    app: Lineshaft, note: Task[[str], None, None], start_worker: StartWorker, gates: Gates
) -> None:
    """A job whose deadline passes before it starts ends as `expired`, and `result` says that it did not run."""
    app.queues.pause("default")
    late = note.options(deadline="0.05s").enqueue("late")
    fresh = note.options(deadline="1h").enqueue("fresh")
    start_worker(app)
    with pytest.raises(JobNotRun, match="expired"):
        late.result(10)
    assert late.state is State.EXPIRED
    app.queues.resume("default")
    assert gates.next() == "fresh"
    fresh.wait(10)
    late.retry()
    assert gates.next() == "late", "a person's retry comes without the old deadline"


def test_paused_queue_waits_and_resume_wakes(
    app: Lineshaft, note: Task[[str], None, None], start_worker: StartWorker, gates: Gates
) -> None:
    """Nothing of a paused queue starts while other queues go on; `resume` wakes the worker at once."""
    app.queues.pause("quiet")
    start_worker(app, ["quiet", "default"])
    held = note.options(queue="quiet").enqueue("held")
    note.enqueue("free")
    assert gates.next() == "free"
    assert app.queues.get("quiet").paused
    assert held.refresh().state is State.QUEUED
    app.queues.resume("quiet")
    assert gates.next() == "held"


def test_full_queue_refuses_all_or_nothing(app: Lineshaft, note: Task[[str], None, None]) -> None:
    """`max_depth` reached: `enqueue` raises `QueueFull` and stores nothing, a batch that does not fit neither."""
    app.queues.update("default", max_depth=3)
    note.enqueue_many(["one", "two"])
    with pytest.raises(QueueFull, match="default"):
        note.enqueue_many(["three", "four"])
    assert app.jobs.count() == 2
    note.enqueue("three")
    with pytest.raises(QueueFull):
        note.enqueue("four")
    note.options(queue="other").enqueue("elsewhere")
    assert app.jobs.count(queue="default") == 3
    app.queues.update("default", max_depth=None)
    note.enqueue("four")


def test_room_in_a_full_queue_comes_back(
    app: Lineshaft, note: Task[[str], None, None], start_worker: StartWorker, gates: Gates
) -> None:
    """A queue that was full takes jobs again as soon as some of it runs."""
    app.queues.update("default", max_depth=1)
    note.enqueue("one")
    with pytest.raises(QueueFull):
        note.enqueue("two")
    start_worker(app)
    assert gates.next() == "one"
    note.enqueue("two")
    assert gates.next() == "two"


def test_concurrency_of_a_queue(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A worker runs no more jobs of a queue at once than it was told, and those all at once."""

    @app.task(name="hold")
    def hold(number: int) -> None:
        gates.note(number)
        gates.wait("go")

    start_worker(app, {"default": 3})
    hold.enqueue_many(range(5))
    assert {gates.next() for _ in range(3)} == {0, 1, 2}
    eventually(lambda: app.jobs.count(state="running") == 3)
    assert gates.notes.empty()
    gates.open("go")
    assert {gates.next(), gates.next()} == {3, 4}


def test_slots_limit_all_queues_together(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """`slots` limits the jobs of all queues together, served in the order in which the queues are named."""

    @app.task(name="hold")
    def hold(what: str) -> None:
        gates.note(what)
        gates.wait("go")

    hold.options(queue="second").enqueue("s")
    hold.options(queue="first").enqueue_many(["f1", "f2"])
    start_worker(app, {"first": 5, "second": 5}, slots=2)
    assert {gates.next(), gates.next()} == {"f1", "f2"}
    assert app.jobs.count(state="running") == 2
    assert gates.notes.empty()
    gates.open("go")
    assert gates.next() == "s"


def test_start_from(durable_app: Lineshaft, make_app: Callable[..., Lineshaft], start_worker: StartWorker) -> None:
    """Jobs enqueued through one app by name run in a worker of another app on the same store."""
    other = make_app(durable_app.settings.store)

    @other.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    start_worker(other)
    assert durable_app.enqueue("double", 21).result(10) == 42
