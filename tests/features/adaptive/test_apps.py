"""Limits that learn, in apps with workers: they find what a server can take, and people see how."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Adaptive, ConfigError, Fixed, LimitNotFound, Lineshaft, Retry, RetryLater
from lineshaft.transitions import State
from tests.features.adaptive.servers import Overloadable
from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from tests.plugins.apps import Gates, StartWorker

CAPACITY = 5
OFTEN = Retry(max_attempts=50, backoff=Fixed("0.1s"))


@pytest.fixture
def server() -> Iterator[Overloadable]:
    """A server that can take five at once, a twentieth of a second each."""
    made = Overloadable(CAPACITY, 0.05)
    yield made
    made.close()


def test_it_finds_what_a_server_can_take(
    durable_url: str, make_app: Callable[..., Lineshaft], server: Overloadable, start_worker: StartWorker
) -> None:
    """Two workers share a limit that settles near the server's capacity: few requests are refused, little is unused."""
    apps = [make_app(durable_url), make_app(durable_url)]
    for app in apps:

        @app.task(name="request", concurrency=Adaptive(high=30, name="api"), retry=OFTEN)
        def request(number: int) -> None:
            with urllib.request.urlopen(f"{server.url}{number}") as answer:  # noqa: S310 - our own server
                answer.read()

        start_worker(app, {"default": 20})
    jobs = apps[0].enqueue_many([request.new(number) for number in range(400)])
    eventually(lambda: apps[0].jobs.count(state=State.COMPLETED) == len(jobs), 60)
    assert server.answers[200] == len(jobs)
    assert 0 < server.answers[429] < len(jobs) // 10
    course = [change.value for change in apps[1].limits.course("api")]
    assert max(course) >= CAPACITY - 1
    assert max(course) <= 2 * CAPACITY
    assert min(course[2:]) >= 2


def test_its_course_is_seen(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Each change is an event and a row of the course, which tells why."""
    app.on("limit_changed")(lambda event: gates.note((event.limit, event.key, event.value, event.why)))

    @app.task(concurrency=Adaptive(low=2, high=20, start=10, key="host"), retry=None, name="crawl")
    def crawl(host: str) -> None:
        if host == "busy":
            raise RetryLater("1h")

    start_worker(app, {"default": 4})
    crawl.enqueue("busy")
    rule = "crawl.adaptive.host"
    assert gates.next() == (rule, f"{rule}=busy", 7, "error")
    [change] = app.limits.course(f"{rule}=busy")
    assert (change.value, change.why) == (7, "error")
    assert app.limits.course(f"{rule}=busy", since=datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert asyncio.run(_course(app, f"{rule}=idle")) == []
    assert app.limits.update(rule, high=3).overridden == ("high",)
    ended = crawl.enqueue("busy")
    eventually(lambda: ended.refresh().state is State.DEAD)
    assert gates.next() == (rule, f"{rule}=busy", 3, "bounds")
    assert [(one.key, one.limit) for one in app.limits.get(rule).busiest] == [(f"{rule}=busy", 3)]


async def _course(app: Lineshaft, key: str) -> list[Any]:
    return await app.limits.acourse(key)


def test_who_waits_says_what_holds_it(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job in its line names the limit, who holds its places, and between what it learns."""

    @app.task(name="hold", concurrency=Adaptive(low=1, high=9, name="api"))
    def hold(number: int) -> None:
        gates.note(number)
        gates.wait("door")

    first, second = hold.enqueue_many([1, 2])
    start_worker(app, {"default": 4})
    assert gates.next() == 1
    reason = eventually(lambda: next((one for one in second.why() if one.facts.get("ahead") == 0), None))
    assert reason.kind == "limit"
    assert reason.text.startswith(f"1 of 1 places of limit 'api' are taken, longest by {first.id}")
    assert reason.text.endswith("; it is the next; it learns between 1 and 9")
    assert (reason.facts["limit"], reason.facts["low"], reason.facts["high"]) == (1, 1, 9)
    gates.open("door")
    assert gates.next() == 2


@pytest.mark.parametrize("name", ["status", "status_code", "code"])
@pytest.mark.parametrize("status", [429, 503])
def test_errors_that_say_too_much(
    make_app: Callable[..., Lineshaft], start_worker: StartWorker, name: str, status: int
) -> None:
    """An error of any HTTP client with the status 429 or 503, its own or its response's, makes the limit smaller."""
    app = make_app("memory://")

    class Response:
        pass

    class HttpError(Exception):
        def __init__(self, *, is_own: bool, value: int) -> None:
            self.response = Response()
            setattr(self if is_own else self.response, name, value)

    @app.task(name="fail", concurrency=Adaptive(low=1, high=20, start=10, key="kind"), retry=None)
    def fail(kind: str, value: int, *, is_own: bool) -> None:
        raise HttpError(is_own=is_own, value=value)

    start_worker(app, {"default": 1})
    for kind, value, is_own in (("own", status, True), ("response", status, False), ("other", 404, True)):
        job = fail.enqueue(kind, value, is_own=is_own)
        eventually(partial(_is_dead, job))
    courses = {kind: app.limits.course(f"fail.adaptive.kind={kind}") for kind in ("own", "response", "other")}
    assert {kind: [one.value for one in course] for kind, course in courses.items()} == {
        "own": [7],
        "response": [7],
        "other": [],
    }


def _is_dead(job: Any) -> bool:
    return bool(job.refresh().state is State.DEAD)


def test_what_cannot_be_asked(app: Lineshaft) -> None:
    """A course of a limit that nobody knows, or of no number of changes, is refused."""
    with pytest.raises(LimitNotFound, match="no limit is named 'api'"):
        app.limits.course("api=1")
    with pytest.raises(ConfigError, match="limit=0 must be a whole number from 1"):
        app.limits.course("api", limit=0)
