"""What stands around each attempt: middleware, providers, carried context, lifespans, and `current_job()`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from lineshaft import ConfigError, Inject, JobFailed, Lineshaft, Retry, current_job
from lineshaft.retry import Fixed
from tests.plugins.apps import StartWorker

request_id: ContextVar[str] = ContextVar("request_id", default="none")


def test_middleware_wraps_both_kinds(app: Lineshaft, start_worker: StartWorker) -> None:
    """Sync and async middleware wraps every attempt of both kinds of task, the first added outermost."""
    seen: list[str] = []

    @app.middleware
    def outer(job: Any, call_next: Callable[[], Any]) -> Any:
        seen.append(f"outer {job.name}")
        return ["outer", call_next()]

    @app.middleware
    async def inner(job: Any, call_next: Callable[[], Any]) -> Any:
        seen.append(f"inner {job.name}")
        return ["inner", await call_next()]

    @app.task(name="plain")
    def plain(number: int) -> Any:
        return number

    @app.task(name="coroutine")
    async def coroutine(number: int) -> Any:
        await asyncio.sleep(0)
        return number

    start_worker(app)
    for task in (plain, coroutine):
        assert task.enqueue(7).result(10) == ["outer", ["inner", 7]]
    assert seen == ["outer plain", "inner plain", "outer coroutine", "inner coroutine"]


def test_middleware_sees_errors_and_attempts(app: Lineshaft, start_worker: StartWorker) -> None:
    """Middleware runs once an attempt, sees its error, and may answer in its place."""
    attempts: list[int] = []

    @app.middleware
    def mend(job: Any, call_next: Callable[[], Any]) -> Any:
        attempts.append(job.attempt)
        try:
            return call_next()
        except ValueError:
            if job.attempt == 2:
                return "mended"
            raise

    @app.task(name="bad", retry=Retry(max_attempts=3, backoff=Fixed(0)))
    def bad() -> str:
        raise ValueError

    start_worker(app)
    assert bad.enqueue().result(10) == "mended"
    assert attempts == [1, 2]


def test_providers_fill_parameters(app: Lineshaft, start_worker: StartWorker) -> None:
    """`Inject` parameters are filled for each attempt, generators clean up after it, and nothing of it is stored."""
    log: list[str] = []

    def connect() -> Iterator[str]:
        log.append("open")
        yield "connection"
        log.append("close")

    async def aconnect() -> AsyncIterator[str]:
        log.append("aopen")
        yield "aconnection"
        log.append("aclose")

    async def token() -> str:
        return "token"

    @app.task(name="plain")
    def plain(number: int, connection: str = Inject(connect)) -> str:
        log.append("run")
        return f"{number} {connection}"

    @app.task(name="coroutine")
    async def coroutine(connection: str = Inject(aconnect), secret: str = Inject(token)) -> str:
        log.append("arun")
        return f"{connection} {secret}"

    start_worker(app)
    job = plain.enqueue(7)
    assert job.result(10) == "7 connection"
    assert job.args == ([7], {})
    assert coroutine.enqueue().result(10) == "aconnection token"
    assert log == ["open", "run", "close", "aopen", "arun", "aclose"]


def test_provider_cleans_up_after_an_error(app: Lineshaft, start_worker: StartWorker) -> None:
    """A generator provider sees the job's error and cleans up, in every attempt anew."""
    log: list[str] = []

    def connect() -> Iterator[str]:
        try:
            yield "connection"
        except ValueError as error:
            log.append(f"rolled back {error}")
            raise

    @app.task(name="bad", retry=Retry(max_attempts=2, backoff=Fixed(0)))
    def bad(connection: str = Inject(connect)) -> None:
        raise ValueError(current_job().attempt)

    start_worker(app)
    with pytest.raises(JobFailed):
        bad.enqueue().result(10)
    assert log == ["rolled back 1", "rolled back 2"]


def test_context_travels(store_url: str, make_app: Callable[..., Lineshaft], start_worker: StartWorker) -> None:
    """Named ContextVars travel with a job, through jobs that it enqueues too, and never into the next job."""
    app = make_app(store_url, context={"request_id": request_id})
    app.task(name="second")(lambda: request_id.get())

    @app.task(name="first")
    def first() -> tuple[str, str]:
        seen = request_id.get()
        follower = app.enqueue("second").id
        request_id.set("left behind")
        return seen, follower

    start_worker(app, {"default": 1})
    token = request_id.set("r-42")
    job = first.enqueue()
    request_id.reset(token)
    seen, follower = job.result(10)
    assert (seen, app.jobs.get(follower).result(10)) == ("r-42", "r-42")
    assert app.enqueue("second").result(10) == "none"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_lifespan_runs_once(app: Lineshaft, start_worker: StartWorker, is_async: bool) -> None:  # noqa: FBT001
    """A lifespan sets up before the first job and tears down after the last, once a worker, in reverse order."""
    log: list[str] = []

    def sync_life() -> Iterator[None]:
        log.append("up")
        yield
        log.append("down")

    async def async_life() -> AsyncIterator[None]:
        log.append("up")
        yield
        log.append("down")

    app.lifespan(async_life if is_async else sync_life)
    app.task(name="work")(lambda: log.append("work"))
    worker = start_worker(app)
    for _ in range(3):
        app.enqueue("work").result(10)
    worker.stop()
    assert log == ["up", "work", "work", "work", "down"]


def test_lifespan_that_fails_stops_the_start(app: Lineshaft) -> None:
    """A lifespan that raises keeps the worker from starting, and leaves no worker behind in the store."""
    closed: list[str] = []

    @app.lifespan
    def first() -> Iterator[None]:
        yield
        closed.append("first")

    @app.lifespan
    def second() -> Iterator[None]:
        raise OSError("no model")
        yield

    with pytest.raises(OSError, match="no model"):
        app.worker().start()
    assert closed == ["first"]
    assert app.workers.list() == []


def test_lifespan_that_fails_at_the_end(
    app: Lineshaft, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """A lifespan that raises in its tear-down is reported, and the worker signs off all the same."""

    @app.lifespan
    def life() -> Iterator[None]:
        yield
        raise OSError("cannot close")

    start_worker(app).stop()
    assert "cannot close" in caplog.text
    assert app.workers.list() == []


def test_current_job_tells_about_the_job(app: Lineshaft, start_worker: StartWorker) -> None:
    """In a job, `current_job()` knows id, name, queue, attempt and tags; outside it is a stand-in."""

    @app.task(name="who", queue="people")
    def who() -> dict[str, Any]:
        job: Any = current_job()
        return {"id": job.id, "name": job.name, "queue": job.queue, "attempt": job.attempt, "tags": job.tags}

    start_worker(app)
    job = who.options(tags=["a"]).enqueue()
    assert job.result(10) == {"id": job.id, "name": "who", "queue": "people", "attempt": 1, "tags": ["a"]}


def test_stand_in_outside_a_job() -> None:
    """Outside a job the stand-in has no id, progress and cancellation do nothing, a wrong fraction still fails."""
    job = current_job()
    assert (job.id, job.attempt, job.cancelled) == (None, 0, False)
    job.progress(0.5, "half")
    job.check_cancelled()
    with pytest.raises(ConfigError, match="0 to 1"):
        job.progress(50)
