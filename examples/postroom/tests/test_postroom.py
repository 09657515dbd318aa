"""The application's tests: jobs in memory, a fake post, and a clock that they move."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import postroom
import pytest

from lineshaft.testing import Testing, assert_enqueued, perform, refute_enqueued


class FakePost:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.strikes = 0

    def send(self, letter: str) -> str:
        """Keep a letter, unless the post is on strike."""
        if self.strikes:
            self.strikes -= 1
            raise ConnectionError("the post is on strike")
        self.sent.append(letter)
        return f"receipt {len(self.sent)}"


@pytest.fixture
def post() -> FakePost:
    return FakePost()


@pytest.fixture
def lineshaft_overrides(post: FakePost) -> dict[object, object]:
    return {postroom.get_post: lambda: post}


def test_order_enqueues_the_invoice(lineshaft_manual: Testing, post: FakePost) -> None:
    """An order enqueues its invoice, and nothing else."""
    postroom.order("Ada")
    assert_enqueued(postroom.send_letter, args=("Ada",), queue="letters", count=1)
    refute_enqueued(postroom.greet)
    assert post.sent == []


def test_invoice_and_reminder(lineshaft_inline: Testing, post: FakePost) -> None:
    """Two weeks after the invoice comes a reminder, and only one."""
    postroom.order("Ada")
    assert post.sent == ["invoice to Ada (1)"]
    lineshaft_inline.travel("14d")
    assert post.sent[1:] == ["reminder to Ada (1)"]


def test_strike(lineshaft_manual: Testing, post: FakePost) -> None:
    """A strike of the post delays the invoice by five minutes."""
    post.strikes = 1
    job = lineshaft_manual.app.jobs.get(postroom.order("Ada"))
    assert lineshaft_manual.drain().counts == {"retrying": 1}
    lineshaft_manual.travel("5m")
    lineshaft_manual.drain()
    assert job.result() == "receipt 1"
    assert post.sent == ["invoice to Ada (2)"]


def test_last_attempt(post: FakePost) -> None:
    """The last attempt sends and enqueues the reminder as the first does."""
    with postroom.app.testing("manual", overrides={postroom.get_post: lambda: post}):
        assert perform(postroom.send_letter, "Ada", attempt=3) == "receipt 1"
        assert_enqueued(postroom.send_letter, kwargs={"reminder": True}, delay="14d")


def test_letterbox(lineshaft_inline: Testing) -> None:
    """The letterbox is emptied on every working day, in the morning, in Berlin."""
    lineshaft_inline.travel("7d")
    mornings = lineshaft_inline.app.schedules.history("morning")
    assert len(mornings) == 5
    assert {tick.at.astimezone(ZoneInfo("Europe/Berlin")).hour for tick in mornings} == {7}
    assert {tick.job_state for tick in mornings} == {"completed"}


def test_awaited(lineshaft_inline: Testing) -> None:
    """An awaited job has run when the view goes on."""

    async def view() -> str:
        job = await postroom.greet.aenqueue("Ada")
        return await job.aresult()

    assert asyncio.run(view()) == "hello Ada"
    assert lineshaft_inline.jobs[0].state == "completed"


@pytest.mark.parametrize("number", range(20))
def test_each_test_begins_empty(lineshaft_manual: Testing, number: int) -> None:
    """No test sees another one's jobs."""
    assert lineshaft_manual.jobs == []
    postroom.order(f"customer {number}")
