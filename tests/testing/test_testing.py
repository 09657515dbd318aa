"""`app.testing()`: jobs run by hand, on the real engine, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from lineshaft import (
    ConfigError,
    Fixed,
    GiveUp,
    Inject,
    JobFailed,
    Lineshaft,
    LineshaftError,
    ResultTimeout,
    Retry,
    RetryLater,
    Snooze,
    Unique,
    UniqueConflictError,
    current_job,
)
from lineshaft.testing import Testing, assert_enqueued

UNREACHABLE = "postgresql://nobody@192.0.2.1:1/nothing?connect_timeout=1"
ran: list[Any] = []
locale: ContextVar[str] = ContextVar("locale", default="en")


def clock_provider() -> str:
    return "the real one"


app = Lineshaft(UNREACHABLE, context={"locale": locale})


@app.task
def note(what: Any) -> Any:
    ran.append(what)
    return what


@app.task
def spread(count: int) -> None:
    for number in range(count):
        note.enqueue(number)
    ran.append("spread")


@app.task(retry=Retry(max_attempts=3, backoff=Fixed("5m")))
def flaky() -> str:
    ran.append(current_job().attempt)
    if current_job().attempt < 3:
        raise ValueError("not yet")
    return "done"


@app.task(retry=None)
def failing(why: str) -> None:
    raise RuntimeError(why)


@app.task
async def asynchronous(number: int) -> int:
    ran.append(asyncio.get_running_loop())
    await note.aenqueue(number)
    return number + 1


@app.task
def injected(source: str = Inject(clock_provider)) -> str:
    return source


@app.task
def snoozing() -> None:
    ran.append("snoozing")
    raise Snooze("1h")


@app.task
def later() -> None:
    raise RetryLater("1h")


@app.task(unique=Unique(on_conflict="error"))
def unique(number: int) -> None:
    ran.append(number)


@app.task
def transacting(number: int) -> int:
    with current_job().transaction():
        note.enqueue(number)
    if number < 0:
        raise GiveUp("negative")
    return number


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    ran.clear()
    yield
    assert app._store._engine is None, "the store of the settings was opened"


@pytest.fixture
def manual() -> Iterator[Testing]:
    with app.testing("manual") as t:
        yield t


@pytest.fixture
def inline() -> Iterator[Testing]:
    with app.testing("inline") as t:
        yield t


class TestManual:
    def test_jobs_are_kept_until_drained(self, manual: Testing) -> None:
        """Nothing runs before `drain`, which runs what is due with all that it enqueues, in order."""
        job = spread.enqueue(2)
        assert (ran, job.state) == ([], "queued")
        drained = manual.drain()
        assert ran == ["spread", 0, 1]
        assert [one.name for one in drained] == [spread.name, note.name, note.name]
        assert drained.counts == {"completed": 3}
        assert job.result() is None

    def test_order_is_the_engines(self, manual: Testing) -> None:
        """Jobs run by priority, then time, over all queues."""
        note.enqueue("normal")
        note.options(priority="high", queue="other").enqueue("high")
        manual.drain()
        assert ran == ["high", "normal"]

    def test_retry_runs_at_its_time(self, manual: Testing) -> None:
        """A retry in five minutes runs after five minutes of travel, with its error kept and none raised."""
        job = flaky.enqueue()
        first = manual.drain()
        assert (first.counts, job.refresh().state) == ({"retrying": 1}, "retrying")
        assert isinstance(first.errors[0], ValueError)
        assert job.errors[0]["type"] == "ValueError"
        manual.travel("4m59s")
        assert manual.drain() == []
        manual.travel("1s")
        assert manual.drain().counts == {"retrying": 1}
        manual.travel("5m")
        manual.drain()
        assert (ran, job.result()) == ([1, 2, 3], "done")

    def test_drain_raises_on_request(self, manual: Testing) -> None:
        """`raise_errors` raises what one job raised as it is, and several as a group, after all have run."""
        failing.enqueue("one")
        note.enqueue("after")
        with pytest.raises(RuntimeError, match="one"):
            manual.drain(raise_errors=True)
        assert ran == ["after"]
        failing.enqueue_many(["two", "three"])
        with pytest.RaisesGroup(RuntimeError, RuntimeError):
            manual.drain(raise_errors=True)

    def test_with_scheduled_moves_the_clock(self, manual: Testing) -> None:
        """`with_scheduled` runs what waits, at its time."""
        start = manual.now
        job = note.options(delay="2h").enqueue("late")
        assert manual.drain() == []
        assert manual.drain(with_scheduled=True).counts == {"completed": 1}
        assert manual.now - start == timedelta(hours=2)
        assert job.refresh().started_at == manual.now

    def test_queue_and_limit_choose(self, manual: Testing) -> None:
        """`queue` runs one queue's jobs only, `limit` no more than so many."""
        note.enqueue_many(["a", "b"])
        note.options(queue="mail").enqueue("m")
        manual.drain("mail")
        assert ran == ["m"]
        assert len(manual.drain(limit=1)) == 1
        assert ran == ["m", "a"]

    def test_a_job_without_end_is_told(self, manual: Testing, monkeypatch: pytest.MonkeyPatch) -> None:
        """A job that snoozes for ever ends the drain with an error, and is given back."""
        monkeypatch.setattr("lineshaft.app.testing.attempts._RUNAWAY", 5)
        job = snoozing.enqueue()
        with pytest.raises(LineshaftError, match="snooze for ever"):
            manual.drain(with_scheduled=True)
        assert (len(ran), job.refresh().state) == (5, "queued")

    def test_deadlines_pass(self, manual: Testing) -> None:
        """A job whose deadline passes on the way expires, and does not run."""
        job = note.options(deadline="1h").enqueue("too late")
        manual.travel("61m")
        assert job.refresh().state == "expired"
        assert (manual.drain(), ran) == ([], [])

    @pytest.mark.usefixtures("manual")
    def test_waiting_ends_at_once(self) -> None:
        """A wait for a job that nothing runs ends at once and says what to do."""
        with pytest.raises(ResultTimeout, match=r"is queued and nothing runs it.*t\.drain\(\)"):
            note.enqueue(1).result(timeout=60)
        with pytest.raises(ResultTimeout, match=r"is scheduled.*t\.travel\(\)"):
            note.options(delay="1h").enqueue(1).result()
        with pytest.raises(ResultTimeout):
            anyio.run(note.enqueue(2).aresult)

    def test_time_does_not_go_back(self, manual: Testing) -> None:
        """`travel` takes a time too, and refuses one that has passed."""
        manual.travel(manual.now + timedelta(days=1))
        with pytest.raises(ConfigError, match="does not go back"):
            manual.travel(manual.now - timedelta(seconds=1))

    @pytest.mark.usefixtures("manual")
    def test_no_worker_starts(self) -> None:
        """An application that starts a worker in its lifespan runs nothing by itself, and `run` does not block."""
        before = set(threading.enumerate())
        with app.worker():
            note.enqueue(1)
            assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("lineshaft")]
        with pytest.raises(ConfigError, match=r"app\.run\(\) would never end"):
            app.run()

    def test_close_keeps_the_jobs(self, manual: Testing) -> None:
        """An application that closes the app at its end does not take the jobs from the test."""
        note.enqueue(1)
        app.close()
        assert len(manual.jobs) == 1

    def test_jobs_do_not_drain(self, manual: Testing) -> None:
        """A job cannot run others."""

        @app.task(name="nested", retry=None)
        def nested() -> None:
            manual.drain()

        nested.enqueue()
        with pytest.raises(ConfigError, match="from the test itself"):
            manual.drain(raise_errors=True)

    def test_ctrl_c_is_the_tests(self, manual: Testing) -> None:
        """What is meant for whoever runs the test goes through, whatever the mode."""

        @app.task(name="interrupted")
        def interrupted() -> None:
            raise KeyboardInterrupt

        interrupted.enqueue()
        with pytest.raises(KeyboardInterrupt):
            manual.drain()


class TestInline:
    def test_runs_at_enqueue(self, inline: Testing) -> None:
        """A job has run when `enqueue` returns, and those that it enqueued after it."""
        job = spread.enqueue(2)
        assert ran == ["spread", 0, 1]
        assert job.result() is None
        assert inline.drain() == []

    def test_raises_the_error(self, inline: Testing) -> None:
        """What a job raises comes out of `enqueue` as it is, and the job is retried as ever."""
        with pytest.raises(ValueError, match="not yet") as caught:
            flaky.enqueue()
        assert caught.traceback[-1].name == "flaky"
        [job] = inline.jobs
        assert job.state == "retrying"
        with pytest.raises(ValueError, match="not yet"):
            inline.travel("5m")
        inline.travel("5m")
        assert (ran, job.result()) == ([1, 2, 3], "done")

    def test_errors_can_be_left_to_the_job(self) -> None:
        """Without `raise_errors` whoever enqueues hears nothing, as in service."""
        with app.testing("inline", raise_errors=False):
            job = failing.enqueue("alone")
            assert job.refresh().state == "dead"
            with pytest.raises(JobFailed, match="alone"):
                job.result()

    @pytest.mark.usefixtures("inline")
    def test_what_steers_is_no_error(self) -> None:
        """A job that snoozes or asks to be tried later does not fail whoever enqueues it."""
        assert snoozing.enqueue().refresh().state == "scheduled"
        assert later.enqueue().refresh().state == "retrying"

    def test_due_jobs_run_while_time_passes(self, inline: Testing) -> None:
        """Each delayed job runs at its own time on the way of a journey."""
        start = inline.now
        jobs = [note.options(delay=delay).enqueue(delay) for delay in ("3h", "1h", "5h")]
        assert ran == []
        inline.travel("4h")
        assert (ran, inline.now - start) == (["1h", "3h"], timedelta(hours=4))
        assert jobs[1].refresh().started_at == start + timedelta(hours=1)

    def test_transaction_is_awaited(self, inline: Testing) -> None:
        """A job enqueued in `app.transaction()` runs when that is committed, and never when it is rolled back."""
        with app.transaction():
            note.enqueue("committed")
            assert ran == []
        assert ran == ["committed"]
        with suppress(RuntimeError), app.transaction():
            note.enqueue("rolled back")
            raise RuntimeError
        inline.drain()
        assert ran == ["committed"]

    def test_callers_connection_is_left_alone(self, inline: Testing, tmp_path: Path) -> None:
        """A job on a caller's connection is kept here, until `drain` says that the caller has committed."""
        connection = sqlite3.connect(tmp_path / "shop.db")
        job = note.enqueue("bound", connection=connection)
        note.enqueue("free")
        assert (ran, job.refresh().state, connection.in_transaction) == (["free"], "queued", False)
        inline.drain()
        assert (ran, job.result(), job.attempt) == (["free", "bound"], "bound", 1)
        assert connection.execute("select count(*) from sqlite_master").fetchone() == (0,)
        connection.close()

    @pytest.mark.usefixtures("inline")
    def test_wrong_connection_is_refused(self) -> None:
        """What could not be a connection in service is none in a test."""
        with pytest.raises(ConfigError, match=r"connection= cannot be a builtins\.object"):
            note.enqueue(1, connection=object())
        assert ran == []

    @pytest.mark.usefixtures("inline")
    def test_thread_of_a_job_may_enqueue(self) -> None:
        """A job that waits for a thread which enqueues does not wait for ever; that job runs after it."""

        @app.task(name="threaded")
        def threaded() -> None:
            thread = threading.Thread(target=note.enqueue, args=("inner",))
            thread.start()
            thread.join()
            ran.append("outer")

        threaded.enqueue()
        assert ran == ["outer", "inner"]


class TestRealPath:
    def test_middleware_overrides_and_context(self) -> None:
        """Middleware, overridden providers and carried ContextVars work as in a worker; a fake may be a value."""
        seen: list[Any] = []
        shop = Lineshaft(UNREACHABLE, context={"locale": locale})

        @shop.task(name="wrapped")
        def wrapped(source: str = Inject(clock_provider)) -> str:
            return f"{source} {locale.get()}"

        @shop.middleware
        def watch(job: Any, call_next: Any) -> Any:
            seen.append(job.attempt)
            return call_next()

        token = locale.set("fr")
        with shop.testing("inline", overrides={clock_provider: lambda: "a fake"}) as t:
            assert wrapped.enqueue().result() == "a fake fr"
            assert wrapped() == "a fake" + " fr"
            assert seen == [1]
            assert t.app is shop
        with shop.testing("inline", overrides={clock_provider: "a value"}):
            assert wrapped.enqueue().result() == "a value fr"
        locale.reset(token)
        assert wrapped() == "the real one en"

    def test_lifespans_are_entered_once(self) -> None:
        """Lifespans begin before the first job, sync and async ones, and end with the block."""
        shop, steps = Lineshaft(UNREACHABLE), []

        @shop.lifespan
        def pool() -> Iterator[None]:
            steps.append("open")
            yield
            steps.append("closed")

        @shop.lifespan
        async def client() -> AsyncIterator[None]:
            steps.append(asyncio.get_running_loop())
            yield
            steps.append("left")

        @shop.task(name="looping")
        async def looping() -> None:
            steps.append(asyncio.get_running_loop())

        with shop.testing("manual") as t:
            looping.enqueue()
            assert steps == []
            t.drain()
            anyio.run(looping.aenqueue)
            anyio.run(t.adrain)
        assert [one for one in steps if isinstance(one, str)] == ["open", "left", "closed"]
        assert len({id(one) for one in steps if not isinstance(one, str)}) == 1
        assert len(steps) == 6

    def test_job_transactions(self, inline: Testing) -> None:
        """What a job enqueues in its own transaction exists if, and only if, the job completes."""
        assert transacting.enqueue(1).result() == 1
        with pytest.raises(GiveUp):
            transacting.enqueue(-1)
        assert ran == [1]
        assert inline.app.jobs.count(name=note.name) == 1

    def test_unique_events_and_logs(self, manual: Testing) -> None:
        """Unique jobs conflict, events are told, and logs are kept."""
        told: list[str] = []
        shop = Lineshaft(UNREACHABLE)
        shop.on("enqueued", "started", "completed")(lambda event: told.append(event.kind))

        @shop.task(name="logging", unique=Unique(on_conflict="error"))
        def logs() -> None:
            current_job().log.info("here")

        with shop.testing("manual") as t:
            job = logs.enqueue()
            with pytest.raises(UniqueConflictError):
                logs.enqueue()
            t.drain()
            assert [line["message"] for line in job.logs()] == ["here"]
        assert told == ["enqueued", "started", "completed"]
        unique.enqueue(1)
        manual.drain()
        unique.enqueue(1)

    @pytest.mark.usefixtures("inline")
    def test_unknown_task_waits(self) -> None:
        """A job of a task that is known elsewhere only is put back as in service."""
        assert app.enqueue("billing.charge", 7).refresh().state == "scheduled"

    def test_paused_queue_gives_nothing(self, manual: Testing) -> None:
        """A paused queue's jobs stay."""
        note.options(queue="mail").enqueue(1)
        app.queues.pause("mail")
        assert manual.drain() == []
        app.queues.resume("mail")
        assert len(manual.drain()) == 1


class TestAsync:
    @pytest.mark.usefixtures("inline")
    def test_inline_on_the_callers_loop(self) -> None:
        """An awaited enqueue runs an `async def` job on the same loop, and a plain one off it."""

        async def main() -> None:
            job = await asynchronous.aenqueue(1)
            assert await job.aresult() == 2
            assert ran == [asyncio.get_running_loop(), 1]
            with pytest.raises(RuntimeError, match="plain"):
                await failing.aenqueue("plain")

        asyncio.run(main())

    @pytest.mark.usefixtures("inline")
    def test_enqueue_on_a_loops_thread(self) -> None:
        """A plain enqueue in a coroutine runs both kinds of jobs, on a loop and a thread that are not the caller's."""

        @app.task(name="runs_a_loop")
        def runs_a_loop() -> int:
            return asyncio.run(asyncio.sleep(0, 7))

        async def main() -> None:
            asynchronous.enqueue(1)
            assert await runs_a_loop.enqueue().aresult() == 7

        asyncio.run(main())
        assert ran[1:] == [1]

    @pytest.mark.usefixtures("inline")
    def test_gathered(self) -> None:
        """Concurrent enqueues have all run when they are gathered."""

        async def main() -> None:
            await asyncio.gather(*(asynchronous.aenqueue(number) for number in range(5)))

        asyncio.run(main())
        assert sorted(one for one in ran if isinstance(one, int)) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_any_event_loop(self, manual: Testing, backend: str) -> None:
        """The awaited calls work under trio too, and time travels there."""

        async def main() -> None:
            job = await asynchronous.options(delay="1h").aenqueue(3)
            await manual.atravel("1h")
            assert (await manual.adrain()).counts == {"completed": 2}
            assert await job.aresult() == 4

        anyio.run(main, backend=backend)

    def test_cancelled_test_gives_the_job_back(self, manual: Testing) -> None:
        """A test that times out while it awaits a job is cancelled at once, and the job is put back."""

        @app.task(name="endless")
        async def endless() -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            await endless.aenqueue()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await manual.adrain()

        asyncio.run(main())
        assert [(one.state, one.attempt) for one in manual.jobs] == [("queued", 0)]


class TestIsolation:
    def test_leaves_nothing_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After the block no thread, file, handler or override is left, and the app's own store is in place again."""
        monkeypatch.chdir(tmp_path)
        shop = Lineshaft("sqlite:///jobs.db")

        @shop.task(name="real")
        async def real() -> int:
            current_job().log.info("hello")
            return 1

        log = logging.getLogger("lineshaft.job")
        before = set(threading.enumerate()), list(log.handlers), log.level, dict(shop.providers())
        with shop.testing("inline", overrides={clock_provider: 1}):
            real.enqueue()
        assert (set(threading.enumerate()), list(log.handlers), log.level, dict(shop.providers())) == before
        assert list(tmp_path.iterdir()) == []
        job = real.enqueue()
        with shop.testing("manual") as t:
            assert t.jobs == []
        assert shop.jobs.get(job.id).state == "queued"
        shop.close()

    def test_two_apps_at_once(self, manual: Testing) -> None:
        """Two apps under test do not know of each other's jobs."""
        shop = Lineshaft(UNREACHABLE)

        @shop.task(name="elsewhere")
        def elsewhere() -> None:
            note.enqueue("from the other app")

        with shop.testing("inline") as t:
            elsewhere.enqueue()
            assert ([one.name for one in t.jobs], [one.name for one in manual.jobs]) == (["elsewhere"], [note.name])
            assert_enqueued(elsewhere)
            assert_enqueued(note)

    def test_nested_blocks_have_their_own(self, manual: Testing) -> None:
        """A block inside another has its own store, clock and mode; the outer one goes on as it was."""
        note.enqueue("outer")
        outer = manual.now
        with app.testing("inline") as t:
            t.travel("1h")
            note.enqueue("inner")
            assert (ran, len(t.jobs)) == (["inner"], 1)
        assert (manual.now, len(manual.jobs)) == (outer, 1)
        manual.drain()
        assert ran == ["inner", "outer"]

    def test_over_is_over(self) -> None:
        """A block that has ended is not entered again, and never reaches for the store of the settings."""
        with app.testing("manual") as t:
            note.enqueue(1)
        for use in (t.drain, lambda: t.jobs, lambda: t.travel("1h")):
            with pytest.raises(ConfigError, match="is over"):
                use()
        with app.testing("manual") as used:
            used.drain()
            with pytest.raises(ConfigError, match="is entered once"):
                used.__enter__()

    def test_mode_is_checked(self) -> None:
        """Another mode is refused by name."""
        with pytest.raises(ConfigError, match=r"'eager'.*'inline' or 'manual'"):
            app.testing("eager")  # type: ignore[arg-type]

    def test_clock_starts_now(self, manual: Testing) -> None:
        """The clock stands at the time at which the block began, so that times can be compared exactly."""
        job = note.options(delay="10m").enqueue(1)
        assert job.created_at == manual.now
        assert job.run_at == manual.now + timedelta(minutes=10)
        assert manual.now.tzinfo is UTC
