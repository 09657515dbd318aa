"""How users' code type-checks. mypy and pyright read this file in strict mode; nothing runs it.

A line marked as an error must be one: both checkers report a mark that is not needed.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from lineshaft import (
    Breaker,
    Calendar,
    Concurrency,
    Job,
    Limit,
    LimitKey,
    Lineshaft,
    NewJob,
    Order,
    Rate,
    Retry,
    Schedule,
    Tasks,
    Tick,
)
from lineshaft.events import JobEvent, JobProgressed
from lineshaft.explaining import Hold

app = Lineshaft("memory://")


@app.task
def bare(document_id: int, *, draft: bool = False) -> str:
    return f"{document_id} {draft}"


@app.task(queue="documents", priority="high", retry=Retry(max_attempts=5), timeout=120)
def configured(name: str) -> list[int]:
    return [len(name)]


@app.task
async def asynchronous(amount: float) -> bytes:
    return str(amount).encode()


@app.task
def without() -> None:
    return


def a_plain_call_keeps_its_signature() -> None:
    assert_type(bare(7, draft=True), str)
    assert_type(configured("x"), list[int])


def enqueue_gives_a_job_of_the_result() -> None:
    assert_type(bare.enqueue(7, draft=True), Job[str])
    assert_type(bare.enqueue(7).result(timeout=30), str)
    assert_type(bare.enqueue(7).why()[0], Hold)
    assert_type(configured.enqueue("x"), Job[list[int]])
    assert_type(bare.new(7), NewJob[str])
    assert_type(bare.enqueue_many([7, 8, 9]), list[Job[str]])


def a_coroutine_is_unwrapped() -> None:
    assert_type(asynchronous.enqueue(1.5), Job[bytes])
    assert_type(asynchronous.new(1.5), NewJob[bytes])


def an_item_is_one_argument_or_a_tuple_or_a_dict() -> None:
    bare.enqueue_many(range(3))
    bare.enqueue_many([7, (8,), {"document_id": 9, "draft": True}])
    bare.options(delay=5).enqueue_many([7])
    without.enqueue_many([(), {}])
    app.enqueue_many([bare.new(7), bare.new(8, draft=True)])


async def and_so_do_the_twins() -> None:
    assert_type(await bare.aenqueue_many([7, (8,)]), list[Job[str]])


def options_keep_the_signature() -> None:
    assert_type(bare.options(delay="10m", priority="low", tags=["q3"]).enqueue(7, draft=True), Job[str])


@app.task(on_success=bare.new(7), on_failure=[bare.new(7, draft=True), configured.new("x")])
def followed() -> int:
    return 1


def follow_ups_are_checked_jobs() -> None:
    assert_type(followed.enqueue(), Job[int])
    bare.options(on_success=followed.new(), on_failure=None).enqueue(7)
    bare.options(on_success=bare.enqueue(7))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare.options(on_failure=bare.new("seven"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def the_twins_are_awaited() -> None:
    job = await bare.aenqueue(7)
    assert_type(job, Job[str])
    assert_type(await job.aresult(timeout=30), str)
    assert_type(await app.agather([job, job], timeout="30s"), list[str])
    async for ended in app.aas_completed([job]):
        assert_type(ended, Job[str])
    async for event in job.aevents():
        assert_type(event, JobEvent)


def many_jobs_are_waited_for() -> None:
    jobs = bare.enqueue_many([7, 8])
    assert_type(app.gather(jobs), list[str])
    assert_type(app.gather(iter(jobs), timeout=5, return_exceptions=False), list[str])
    assert_type(app.gather(jobs, return_exceptions=True), list[str | Exception])
    assert_type([job.value for job in app.as_completed(jobs, timeout="5s")], list[str])
    for event in jobs[0].events():
        assert_type(event, JobEvent)
        if isinstance(event, JobProgressed):
            assert_type(event.fraction, float)


def several_kinds_of_jobs_are_waited_for() -> None:
    mixed: list[Job[str] | Job[list[int]]] = [bare.enqueue(7), configured.enqueue("x")]
    results: list[str | list[int]] = app.gather(mixed)
    assert_type(results, list[str | list[int]])
    app.gather(bare.enqueue(7))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    app.gather([bare.new(7)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    app.as_completed(bare.enqueue(7))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_arguments_are_errors() -> None:
    bare.enqueue("seven")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare.enqueue()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare.enqueue(7, typo=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare.new("seven")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare.options(delay=5).enqueue("seven")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare.options(typo=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare.new()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare.enqueue_many(["seven"])  # type: ignore[list-item]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bare.enqueue_many(7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bare.options(delay=5).enqueue_many(["seven"])  # type: ignore[list-item]  # pyright: ignore[reportCallIssue, reportArgumentType]
    without.enqueue_many([7])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    app.enqueue_many([7])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    app.enqueue_new(bare)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def wrong_arguments_are_errors_of_the_twins_too() -> None:
    await bare.aenqueue("seven")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bare.aenqueue_many(["seven"])  # type: ignore[list-item]  # pyright: ignore[reportCallIssue, reportArgumentType]


more = Tasks()


@app.schedule(cron="0 6 * * *", timezone="Europe/Berlin", calendar=Calendar(country="DE"), catch_up="all")
@app.schedule(every="90s", name="often", args=(7,), kwargs={"draft": True}, jitter=5, overlap="skip", queue="slow")
@app.task
def scheduled(document_id: int = 1, *, draft: bool = False) -> str:
    return f"{document_id} {draft}"


@more.schedule(days="last working day of the month", time=["09:00", "18:00"], priority="high", tags=["q3"])
@more.task(queue="documents")
async def collected() -> int:
    return 1


def a_schedule_leaves_the_task_as_it_is() -> None:
    assert_type(scheduled(7, draft=True), str)
    assert_type(scheduled.enqueue(7).result(), str)
    assert_type(collected.enqueue(), Job[int])


def schedules_are_checked() -> None:
    app.schedule(crn="0 6 * * *")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    app.schedule(every="1h", overlap="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    app.schedule(every="1h")(len)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    app.schedules.create("nightly", bare.new(7), cron="0 6 * * *", queue="q")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def schedules_are_listed_and_changed() -> None:
    assert_type(app.schedules.create("nightly", bare.new(7), cron="0 6 * * *", exist_ok=True), Schedule)
    assert_type(app.schedules.list(), list[Schedule])
    assert_type(app.schedules.get("nightly").overridden, tuple[str, ...])
    assert_type(app.schedules.update("nightly", every="1h", paused=True, new_job=bare.new(8), queue="q"), Schedule)
    assert_type(app.schedules.next("nightly", 5), list[datetime])
    assert_type(app.schedules.history("nightly", limit=5), list[Tick])
    assert_type(app.schedules.sync().added, tuple[str, ...])


async def schedules_have_twins() -> None:
    assert_type(await app.schedules.alist(), list[Schedule])
    assert_type(await app.schedules.anext("nightly", 5), list[datetime])
    assert_type(await app.schedules.aupdate("nightly", every="1h", paused=True), Schedule)
    assert_type(await app.schedules.acreate("nightly", bare.new(7), cron="0 6 * * *"), Schedule)


@app.task(
    concurrency=[5, Concurrency(2, key="customer"), Order(("customer", "region"))],
    rate=["100/m", Rate(5, "1s", cost="weight")],
    breaker="crm",
)
def limited(customer: int, region: str, weight: int = 1) -> str:
    return f"{customer} {region} {weight}"


def limits() -> None:
    assert_type(limited.options(concurrency=None, rate="1/s", breaker=Breaker("crm")).enqueue(7, "eu"), Job[str])
    assert_type(app.limits.get("crm"), Limit)
    assert_type(app.limits.update("crm", limit=3).busiest, tuple[LimitKey, ...])
    limited.options(rate=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def alimits() -> None:
    assert_type(await app.limits.alist(), list[Limit])
