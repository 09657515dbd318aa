"""How users' code type-checks. mypy and pyright read this file in strict mode; nothing runs it.

A line marked as an error must be one: both checkers report a mark that is not needed.
"""

from __future__ import annotations

from typing import assert_type

from lineshaft import Job, Lineshaft, NewJob, Retry

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


def a_plain_call_keeps_its_signature() -> None:
    assert_type(bare(7, draft=True), str)
    assert_type(configured("x"), list[int])


def enqueue_gives_a_job_of_the_result() -> None:
    assert_type(bare.enqueue(7, draft=True), Job[str])
    assert_type(bare.enqueue(7).result(timeout=30), str)
    assert_type(configured.enqueue("x"), Job[list[int]])
    assert_type(bare.new(7), NewJob[str])
    assert_type(bare.enqueue_many([7, 8, 9]), list[Job[str]])


def a_coroutine_is_unwrapped() -> None:
    assert_type(asynchronous.enqueue(1.5), Job[bytes])
    assert_type(asynchronous.new(1.5), NewJob[bytes])


def options_keep_the_signature() -> None:
    assert_type(bare.options(delay="10m", priority="low", tags=["q3"]).enqueue(7, draft=True), Job[str])


async def the_twins_are_awaited() -> None:
    job = await bare.aenqueue(7)
    assert_type(job, Job[str])
    assert_type(await job.aresult(timeout=30), str)


def wrong_arguments_are_errors() -> None:
    bare.enqueue("seven")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare.enqueue()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare.enqueue(7, typo=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare.new("seven")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare.options(delay=5).enqueue("seven")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare.options(typo=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
