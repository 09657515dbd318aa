"""`Unique.debounce` and `Unique.throttle` through an app: enqueued directly, by others, and in users' tests."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from lineshaft import ConfigError, Lineshaft, Task, Unique
from lineshaft.options import job_of, template_of
from tests.plugins.apps import StartWorker, eventually, own_connection

Index = Task[..., Any, Any]
PACED = {
    "debounce": Unique.debounce("5s", by="page"),
    "at_most": Unique.debounce("5s", by="page", at_most="1m"),
    "throttle": Unique.throttle("1m", by=()),
}
each_pace = pytest.mark.parametrize("unique", PACED.values(), ids=list(PACED))


@pytest.fixture
def index(app: Lineshaft) -> Index:
    """A task that debounces by one of its arguments."""
    return _index(app)


@pytest.fixture
def durable_index(durable_app: Lineshaft) -> Index:
    """The same, in stores that a caller can connect to."""
    return _index(durable_app)


def _index(app: Lineshaft) -> Index:
    @app.task(name="index", unique=Unique.debounce("1h", by="page"))
    def index(page: str, version: int = 0) -> str:
        return f"{page}{version}"

    return index


def test_existing_tells(index: Index) -> None:
    """The first of a burst is a new job, put off; those that only gave it their arguments are told by `.existing`."""
    first = index.enqueue("a", 1)
    second = index.enqueue("a", 2)
    other = index.enqueue("b", 3)
    assert (first.existing, second.existing, other.existing) == (False, True, False)
    assert (second.id, second.args, second.state) == (first.id, (["a", 2], {}), "scheduled")
    assert first.state == "scheduled"
    assert first.run_at - first.created_at == timedelta(hours=1)
    assert second.run_at >= first.run_at


def test_async_twin(index: Index) -> None:
    """`aenqueue` debounces as `enqueue` does."""

    async def both() -> bool:
        first, second = await index.aenqueue("a", 1), await index.aenqueue("a", 2)
        return first.id == second.id and second.existing

    assert asyncio.run(both())


def test_many_at_once(index: Index) -> None:
    """One call stores a job for each key, with the last arguments of it."""
    jobs = index.enqueue_many([("a", 1), ("b", 2), ("a", 3)])
    assert jobs[0].id == jobs[2].id != jobs[1].id
    assert jobs[0].refresh().args == (["a", 3], {})


def test_joined_transaction(index: Index, app: Lineshaft) -> None:
    """In `app.transaction()` arguments and time change if, and only if, the transaction commits."""
    first = index.enqueue("a", 1)

    def fail() -> None:
        with app.transaction():
            assert index.enqueue("a", 2).id == first.id
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert first.refresh().args == (["a", 1], {})
    with app.transaction():
        assert index.enqueue("a", 3).id == first.id
    assert first.refresh().args == (["a", 3], {})


def test_callers_connection(durable_index: Index, durable_app: Lineshaft) -> None:
    """On a caller's connection too, and what it says is undone with the caller's transaction."""
    first = durable_index.enqueue("a", 1)
    with own_connection(durable_app) as connection:
        assert durable_index.enqueue("a", 2, connection=connection).id == first.id
        connection.rollback()
        assert first.refresh().args == (["a", 1], {})
        assert durable_index.enqueue("a", 3, connection=connection).id == first.id
        connection.commit()
    assert first.refresh().args == (["a", 3], {})


def test_wrong_options_name_the_place(app: Lineshaft) -> None:
    """A task that says a delay and a debounce is refused where it is defined."""
    with pytest.raises(ConfigError, match=r"delay cannot stand beside Unique\.debounce"):
        app.task(name="late", delay="5m", unique=Unique.debounce("5s"))(print)


@each_pace
def test_stored_templates(index: Index, unique: Unique) -> None:
    """What a job is debounced or throttled by is stored with a job that will be enqueued later, and read back."""
    job = index.options(unique=unique).new("a")
    again = job_of(template_of(job), meta={}).options.unique
    assert again is not None
    assert again.pace is not None
    assert template_of(job) == template_of(index.options(unique=again).new("a"))
    assert again.names == unique.names


def test_follow_ups(app: Lineshaft, index: Index, start_worker: StartWorker) -> None:
    """Many jobs that are followed by a debounced one are followed by one job, with the arguments of the last."""
    parents = [app.task(name=f"parent{number}", on_success=index.new("a", number))(_nothing) for number in range(3)]
    start_worker(app)
    for parent in parents:
        job = parent.enqueue()
        eventually(lambda job=job: job.refresh().state == "completed")  # type: ignore[misc]
    [only] = app.jobs.list(name="index")
    assert (only.args, only.state) == ((["a", 2], {}), "scheduled")


def test_schedules(app: Lineshaft) -> None:
    """Ticks of a schedule that are closer together than the quiet time are one job, until `at_most` is over."""
    digest = app.task(name="digest", unique=Unique.debounce("15m", at_most="25m"))(_nothing)
    with app.testing("inline") as t:
        app.schedules.create("often", digest.new(), every="10m")
        [first] = app.schedules.next("often", 1)
        t.travel("65m")
        ran = sorted(
            job.started_at - first for job in app.jobs.list(name="digest", state="completed") if job.started_at
        )
    assert ran == [timedelta(minutes=25), timedelta(minutes=55)]


class TestInTests:
    """`app.testing()` with a moved clock."""

    def test_debounce(self, app: Lineshaft) -> None:
        """A debounced job runs once its quiet time has been travelled, with the newest arguments."""
        index = app.task(name="index", unique=Unique.debounce("5s", by=()))(_same)
        with app.testing("manual") as t:
            for number in range(3):
                index.enqueue(number)
                t.travel("4s")
            assert t.drain() == []
            t.travel("1s")
            [job] = t.drain()
            assert job.args == ([2], {})

    def test_throttle(self, app: Lineshaft) -> None:
        """The first throttled job runs at once, and one a minute afterwards, with the newest arguments."""
        index = app.task(name="index", unique=Unique.throttle("1m", by=()))(_same)
        ran: list[tuple[int, int]] = []
        with app.testing("manual") as t:
            began = t.now
            for number in range(19):
                index.enqueue(number)
                ran += [((t.now - began).seconds, job.args[0][0]) for job in t.drain()]
                t.travel("10s")
            ran += [((t.now - began).seconds, job.args[0][0]) for job in t.drain()]
        assert ran == [(0, 0), (60, 6), (120, 12), (180, 18)]

    def test_inline(self, app: Lineshaft) -> None:
        """Inline, the first throttled job runs in its call, and the next when its time is travelled."""
        ran: list[int] = []
        index = app.task(name="index", unique=Unique.throttle("1m", by=()))(ran.append)
        with app.testing("inline") as t:
            index.enqueue(1)
            index.enqueue(2)
            index.enqueue(3)
            assert ran == [1]
            t.travel("1m")
            assert ran == [1, 3]


def _same(version: int) -> int:
    return version


def _nothing() -> None:
    """What others follow."""
