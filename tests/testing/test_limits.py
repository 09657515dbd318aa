"""Limits under `app.testing()`: a manual block obeys them, an inline one does not."""

from __future__ import annotations

from typing import Any

import pytest

from lineshaft import Concurrency, Lineshaft, Order, Rate, Retry
from lineshaft.retry import Fixed
from lineshaft.transitions import State
from lineshaft.worker.admission import Admission


@pytest.fixture
def app() -> Lineshaft:
    """An app; its own store is never opened."""
    return Lineshaft("memory://")


@pytest.fixture
def rated(app: Lineshaft) -> Any:
    """A task of which one job may start an hour."""

    @app.task(name="rated", rate=Rate(1, "1h", burst=1))
    def rated(number: int) -> int:
        return number

    return rated


def test_a_job_waits_for_its_token_until_the_clock_has_moved(app: Lineshaft, rated: Any) -> None:
    """What a rate holds back is not drained; when the clock comes to its time, it is."""
    with app.testing("manual") as t:
        jobs = [rated.enqueue(number) for number in (1, 2)]
        assert [job.id for job in t.drain()] == [jobs[0].id]
        assert (jobs[1].refresh().state, jobs[1].attempt) == (State.QUEUED, 0)
        t.travel("59m")
        assert not t.drain()
        t.travel("61s")
        assert [job.id for job in t.drain()] == [jobs[1].id]


def test_draining_what_is_scheduled_waits_for_tokens_too(app: Lineshaft, rated: Any) -> None:
    """Such a drain moves the clock to each token in turn."""
    with app.testing("manual") as t:
        began = t.now
        jobs = [rated.enqueue(number) for number in range(3)]
        assert [job.id for job in t.drain(with_scheduled=True)] == [job.id for job in jobs]
        assert 2 * 3600 <= (t.now - began).total_seconds() < 2 * 3600 + 60


def test_jobs_of_a_key_run_although_one_is_let_in_at_a_time(app: Lineshaft) -> None:
    """Places are free again when a job has run: a drain runs them all."""

    @app.task(name="lone", concurrency=Concurrency(1, key="key"))
    def lone(key: int) -> int:
        return key

    with app.testing("manual") as t:
        lone.enqueue_many([{"key": number % 2} for number in range(6)])
        assert len(t.drain()) == 6


def test_a_strict_order_holds_what_is_behind_a_retry(app: Lineshaft) -> None:
    """Jobs behind one that is to be tried again wait for it, and a drain that moves the clock comes to an end."""
    tries: list[int] = []

    @app.task(name="ordered", concurrency=Order(), retry=Retry(2, backoff=Fixed("1d")))
    def ordered(number: int) -> None:
        tries.append(number)
        if tries == [1]:
            raise ValueError

    with app.testing("manual") as t:
        ordered.enqueue_many([{"number": number} for number in (1, 2)])
        t.drain()
        assert tries == [1]
        t.drain(with_scheduled=True)
        assert tries == [1, 1, 2]


@pytest.mark.parametrize("is_brought", [False, True], ids=["declared", "brought"])
def test_a_drain_does_not_look_at_a_line_for_each_second_of_a_long_wait(
    app: Lineshaft, monkeypatch: pytest.MonkeyPatch, *, is_brought: bool
) -> None:
    """Whether the code declares the limit or a job brings it: 30 looks get through 29 days."""
    looks: list[int] = []
    look = Admission.open_due
    monkeypatch.setattr(Admission, "open_due", lambda self, tx, now: looks.append(now) or look(self, tx, now))

    @app.task(name="ordered", retry=Retry(2, backoff=Fixed("29d")), **({} if is_brought else {"concurrency": Order()}))
    def ordered(number: int) -> None:
        tries.append(number)
        if tries == [1]:
            raise ValueError

    tries: list[int] = []
    with app.testing("manual") as t:
        for number in (1, 2):
            (ordered.options(concurrency=Order()) if is_brought else ordered).enqueue(number)
        t.drain(with_scheduled=True)
        assert tries == [1, 1, 2]
    assert len(looks) < 30


def test_a_job_that_is_performed_asks_no_limit(app: Lineshaft, rated: Any) -> None:
    """`perform` runs the one job that it is given."""
    with app.testing("manual") as t:
        assert [t.perform(rated.new(number)) for number in (1, 2)] == [1, 2]


def test_an_inline_block_has_no_limits(app: Lineshaft, rated: Any) -> None:
    """Inline a job runs where it is enqueued, as a function that is called."""
    with app.testing("inline"):
        assert [rated.enqueue(number).result() for number in (1, 2, 3)] == [1, 2, 3]


def test_jobs_of_a_paused_queue_do_not_keep_the_places_of_others(app: Lineshaft) -> None:
    """Others of the same limit pass them by when the clock moves, and they follow once their queue is resumed."""

    @app.task(name="elsewhere", queue="elsewhere", concurrency=Concurrency(1, name="crm"))
    def elsewhere(number: int) -> int:
        return number

    @app.task(name="here", concurrency=Concurrency(1, name="crm"))
    def here(number: int) -> int:
        return number

    with app.testing("manual") as t:
        app.queues.pause("elsewhere")
        before = elsewhere.enqueue_many([{"number": number} for number in range(9)])
        behind = here.enqueue_many([{"number": number} for number in range(3)])
        assert [job.id for job in t.drain(with_scheduled=True)] == [job.id for job in behind]
        app.queues.resume("elsewhere")
        assert {job.id for job in t.drain()} == {job.id for job in before}
