"""Tasks, arguments and results across versions of the code, and waiting for what jobs return."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anyio
import pytest

from lineshaft import (
    JobCancelled,
    JobFailed,
    Lineshaft,
    ResultGone,
    ResultTimeout,
    State,
    WouldDeadlock,
    current_job,
)
from lineshaft.app import intake
from lineshaft.app.crossing import in_store_thread
from tests.plugins.apps import Gates, StartWorker, eventually


def test_arguments_that_no_longer_fit(app: Lineshaft, start_worker: StartWorker) -> None:
    """A job whose arguments the function no longer takes is `dead: rejected` with the reason; the worker goes on."""

    @app.task(name="greet")
    def greet(name: str, *, times: int) -> str:
        return name * times

    app._tasks.clear()  # an older deploy enqueues by name, without the function
    old = [app.enqueue("greet"), app.enqueue("greet", "you", times="many"), app.enqueue("greet", "you", time=2)]
    app._tasks["greet"] = greet
    start_worker(app)
    for job, words in zip(old, ["name", "times", "time"], strict=True):
        with pytest.raises(JobFailed, match=words):
            job.result(10)
        assert (job.reason, job.attempt, len(job.errors)) == ("rejected", 1, 1)
    assert greet.enqueue("you", times=2).result(10) == "youyou"


def test_result_that_cannot_be_stored(app: Lineshaft, start_worker: StartWorker) -> None:
    """A function that returns what cannot be stored has run once: its job is `dead: rejected` and says what it was."""
    runs: list[int] = []

    @app.task(name="bad")
    def bad() -> Any:
        runs.append(1)
        return threading.Lock()

    start_worker(app)
    job = bad.enqueue()
    with pytest.raises(JobFailed, match="lock"):
        job.result(10)
    assert (job.reason, len(runs)) == ("rejected", 1)


def test_result_that_is_too_large(
    store_url: str, make_app: Callable[..., Lineshaft], start_worker: StartWorker
) -> None:
    """A result over the limit makes the job `dead: rejected` and names the limit."""
    app = make_app(store_url, payload_limit=1000)
    app.task(name="big")(lambda: "x" * 2000)
    start_worker(app)
    with pytest.raises(JobFailed, match="limit of 1,000"):
        app.enqueue("big").result(10)


def test_unknown_task_waits_for_a_worker_that_knows_it(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job of a task that no worker knows is put back, uncounted, and runs when a worker that knows it has come."""
    app.on("released")(lambda event: gates.note(event))
    job = app.enqueue("newer", 7)
    worker = start_worker(app)
    assert gates.next().job_id == job.id
    job.refresh()
    assert (job.state, job.attempt, job.reason) == (State.SCHEDULED, 0, None)
    worker.stop()

    @app.task(name="newer")
    def newer(number: int) -> tuple[int, int]:
        return number, current_job().attempt

    start_worker(app)
    assert tuple(job.result(10)) == (7, 1)


def test_an_option_of_newer_code_makes_no_job_dead(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A job that newer code has stored with an option unknown here is put back, uncounted, and says which."""

    @app.task(name="plain")
    def plain() -> None: ...

    app.on("released", "dead")(lambda event: gates.note(event))
    new_job = plain.new()
    new_job.execution = {"speed": "of light"}
    job = app.enqueue_new(new_job)
    start_worker(app)
    told = gates.next()
    assert (told.job_id, told.kind) == (job.id, "released")
    assert (job.refresh().state, job.attempt) == (State.SCHEDULED, 0)


def test_result_comes_back_typed(app: Lineshaft, start_worker: StartWorker) -> None:
    """`result` rebuilds what the function returned by its annotation."""

    @app.task(name="bill")
    def bill(price: Decimal, at: datetime) -> dict[str, tuple[Decimal, datetime]]:
        return {"total": (2 * price, at + timedelta(days=1))}

    start_worker(app)
    at = datetime(2026, 11, 22, tzinfo=UTC)
    assert bill.enqueue(Decimal("1.10"), at).result(10) == {"total": (Decimal("2.20"), at + timedelta(days=1))}


def test_result_of_many_waiters(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """Several threads that wait for one job all get its result."""

    @app.task(name="hold")
    def hold() -> str:
        gates.wait("go")
        return "done"

    start_worker(app)
    job, found = hold.enqueue(), []
    threads = [threading.Thread(target=lambda: found.append(app.jobs.get(job.id).result(10))) for _ in range(5)]
    for thread in threads:
        thread.start()
    gates.open("go")
    for thread in threads:
        thread.join(20)
    assert found == ["done"] * 5


def test_wait_ends_and_the_job_goes_on(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """`result(timeout)` of a job that takes longer raises `ResultTimeout`, a `TimeoutError`; the job goes on."""

    @app.task(name="hold")
    def hold() -> str:
        gates.wait("go")
        return "done"

    start_worker(app)
    job = hold.enqueue()
    with pytest.raises(ResultTimeout, match=job.id) as raised:
        job.result("50ms")
    assert isinstance(raised.value, TimeoutError)
    gates.open("go")
    assert job.result(10) == "done"


def test_result_that_is_not_kept(app: Lineshaft, start_worker: StartWorker) -> None:
    """`keep_result=False` stores no result: the job completes and `result` raises `ResultGone`."""
    app.task(name="quiet", keep_result=False)(lambda: "secret")
    start_worker(app)
    job = app.enqueue("quiet")
    with pytest.raises(ResultGone, match="keep_result"):
        job.result(10)
    assert job.state is State.COMPLETED


def test_result_of_a_cancelled_job(app: Lineshaft) -> None:
    """`result` of a job that was cancelled before it started raises `JobCancelled` at once; cancel is idempotent."""
    job = app.enqueue("anything")
    job.cancel()
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(10)


def test_waiting_in_a_job_is_refused(app: Lineshaft, start_worker: StartWorker) -> None:
    """`result` inside a job, sync or async, raises `WouldDeadlock` and names the job that waits."""

    @app.task(name="wait", retry=None)
    def wait() -> str:
        return str(app.enqueue("nothing").result(1))

    @app.task(name="await", retry=None)
    async def await_() -> str:
        return str(await (await app.aenqueue("nothing")).aresult(1))

    start_worker(app)
    for job in (wait.enqueue(), await_.enqueue()):
        with pytest.raises(JobFailed, match="WouldDeadlock"):
            job.result(10)
        assert job.id in str(job.errors[0]["message"])


def test_waiting_on_an_event_loop_is_refused(app: Lineshaft) -> None:
    """`result` on an event loop's thread raises `WouldDeadlock` and names the call that awaits."""

    async def main() -> None:
        (await app.aenqueue("nothing")).result(1)

    with pytest.raises(WouldDeadlock, match="aresult"):
        asyncio.run(main())


def test_aenqueue_crosses_once(app: Lineshaft, monkeypatch: pytest.MonkeyPatch) -> None:
    """An asynchronous enqueue goes to a store thread once, for its checks and its storing."""
    crossings: list[object] = []

    async def counted(call: Callable[..., Any], /, *args: Any) -> Any:
        crossings.append(call)
        return await in_store_thread(call, *args)

    monkeypatch.setattr(intake, "in_store_thread", counted)
    asyncio.run(app.aenqueue("nothing"))
    assert len(crossings) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_twins(app: Lineshaft, start_worker: StartWorker, gates: Gates, backend: str) -> None:
    """The async twins enqueue, wait, time out, cancel and retry on asyncio and on trio."""

    @app.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    @app.task(name="hold")
    def hold() -> None:
        gates.note("started")
        gates.wait("go")

    async def main() -> None:
        job = await double.aenqueue(21)
        assert await job.aresult(10) == 42
        many = await double.aenqueue_many(range(5))
        assert [await one.aresult(10) for one in many] == [0, 2, 4, 6, 8]
        held = await hold.aenqueue()
        with pytest.raises(ResultTimeout):
            await held.aresult("20ms")
        await anyio.to_thread.run_sync(gates.next)
        await held.acancel()
        with pytest.raises(JobCancelled):
            await held.aresult(10)
        await held.aretry()
        gates.open("go")
        assert (await (await held.arefresh()).await_(10)).state is State.COMPLETED
        assert await app.jobs.acount(state="completed") == 7
        assert [queue.name for queue in await app.queues.alist()] == ["default"]

    start_worker(app)
    anyio.run(main, backend=backend)


def test_waiter_that_is_cancelled(app: Lineshaft, start_worker: StartWorker, gates: Gates) -> None:
    """A task that stops waiting for a job leaves nothing behind that would keep others from waiting for it."""

    @app.task(name="hold")
    def hold() -> str:
        gates.wait("go")
        return "done"

    async def main() -> str:
        job = await hold.aenqueue()
        with anyio.move_on_after(0.05):
            await job.aresult()
        assert app._waiter._watcher._waits == {}
        gates.open("go")
        return await job.aresult(10)

    start_worker(app)
    assert anyio.run(main) == "done"


def test_many_results_at_once(app: Lineshaft, start_worker: StartWorker) -> None:
    """Hundreds of jobs that are awaited together all answer, through one listener."""

    @app.task(name="double")
    async def double(number: int) -> int:
        return 2 * number

    async def main() -> list[int]:
        jobs = await double.aenqueue_many(range(300))
        waits: list[Coroutine[Any, Any, int]] = [job.aresult(20) for job in jobs]
        return await asyncio.gather(*waits)

    start_worker(app)
    assert asyncio.run(main()) == [2 * number for number in range(300)]
    eventually(lambda: app.jobs.count(state="completed") == 300)
