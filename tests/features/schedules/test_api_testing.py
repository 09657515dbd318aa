"""Schedules in users' tests: they tick as the test's clock travels."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from lineshaft import Lineshaft, current_job
from lineshaft.app.testing import ticking
from lineshaft.errors import LineshaftError
from lineshaft.testing import assert_enqueued, refute_enqueued

app = Lineshaft("postgresql://nobody@127.0.0.1:1/nowhere")
ran: list[tuple[str, datetime | None]] = []


@app.schedule(cron="0 * * * *", name="hourly", args=("hour",))
@app.schedule(at=datetime(2999, 1, 1, tzinfo=UTC), name="someday", args=("then",))
@app.task(name="note")
def note(what: str) -> None:
    """Note what ran, and for which tick."""
    ran.append((what, current_job().tick))


@app.task(name="wait", queue="slow")
def wait() -> None:
    """Do nothing."""


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    """Begin with no notes."""
    ran.clear()


def test_declared_ones_are_known() -> None:
    """A block begins with what the code declares, its ticks counted from the block's own time."""
    with app.testing("manual") as t:
        assert [one.name for one in app.schedules.list()] == ["hourly", "someday"]
        assert app.schedules.next("hourly", 1)[0] > t.now
        assert t.drain() == []


def test_manual() -> None:
    """A journey has each tick enqueue its job at its time; the jobs are kept until `drain`."""
    with app.testing("manual") as t:
        first = app.schedules.next("hourly", 1)[0]
        assert t.travel("3h") == []
        assert_enqueued(note, args=("hour",), count=3)
        refute_enqueued(note, args=("then",))
        assert ran == []
        assert t.jobs[0].created_at == first
        assert t.drain().counts == {"completed": 3}
        assert [tick for _, tick in ran] == [first, *(one.at for one in app.schedules.history("hourly")[1::-1])]


def test_inline() -> None:
    """Inline, each job runs at its tick."""
    with app.testing("inline") as t:
        first, second = app.schedules.next("hourly", 2)
        assert len(t.travel(second)) == 2
        assert ran == [("hour", first), ("hour", second)]


def test_overlap() -> None:
    """What waits for a job to end goes on when the job has ended: in `drain`, or at once inline."""
    with app.testing("manual") as t:
        app.schedules.create("line", wait.new(), every="10m", overlap="queue")
        app.schedules.create("only", wait.new(), every="10m", overlap="skip")
        t.travel("30m")
        assert_enqueued(wait, count=2)
        t.drain("slow")
        assert_enqueued(wait, count=4)
        assert [one.state for one in app.schedules.history("only")] == ["skipped", "skipped", "enqueued"]


def test_since_finish() -> None:
    """A rule that counts from the end of its job begins at once, and goes on when that job has run."""
    with app.testing("manual") as t:
        app.schedules.create("serial", wait.new(), every="10m", since="finish")
        t.travel("50m")
        assert_enqueued(wait, count=1)
        t.drain("slow")
        t.travel("10m")
        assert_enqueued(wait, count=2)
    with app.testing("inline") as t:
        app.schedules.create("serial", wait.new(), every="10m", since="finish")
        t.travel("50m")
        assert app.jobs.count(name="wait", state="completed") == 6


def test_with_scheduled() -> None:
    """`drain(with_scheduled=True)` ends although schedules never do; it passes the ticks before a delayed job."""
    with app.testing("manual") as t:
        wait.options(delay="90m").enqueue()
        t.drain(with_scheduled=True)
        assert 1 <= len(ran) <= 2
        assert app.jobs.count(state="completed") == len(ran) + 1


def test_run_now() -> None:
    """A run on purpose is a job like any other: kept in one mode, run in the other."""
    with app.testing("manual"):
        assert app.schedules.run("someday").state == "queued"
    with app.testing("inline"):
        assert app.schedules.run("someday").state == "completed"
    assert [what for what, _ in ran] == ["then"]


def test_a_changed_one_is_new_again() -> None:
    """What one block does to a schedule, the next one does not see."""
    with app.testing("manual"):
        app.schedules.update("hourly", every="5m")
        app.schedules.pause("someday")
    with app.testing("manual"):
        assert [(one.state, one.overridden) for one in app.schedules.list()] == [("active", ()), ("active", ())]


def test_a_long_journey_beside_an_unfinished_job() -> None:
    """A schedule that heeds its unfinished job is looked at each minute, and only its ticks count on a journey."""
    with app.testing("manual") as t:
        app.schedules.create("seldom", wait.new(), every="24h", overlap="skip")
        t.travel("10d")
        assert len(app.schedules.history("seldom", limit=100)) == 10


def test_too_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journey over more ticks than a test could want says so, and does not go on for hours."""
    monkeypatch.setattr(ticking, "_MOST", 50)
    with app.testing("manual") as t:
        app.schedules.create("often", wait.new(), every="1s", overlap="skip")
        with pytest.raises(LineshaftError, match="past 50 ticks of schedules: travel less far, or pause some"):
            t.travel("1d")


def test_async() -> None:
    """Travelling from a coroutine has the schedules tick too."""

    async def journey() -> None:
        with app.testing("inline") as t:
            assert len(await t.atravel("2h")) == 2

    asyncio.run(journey())
