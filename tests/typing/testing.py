"""How tests of users' code type-check; read as `usage.py` is."""

from __future__ import annotations

from typing import assert_type

from lineshaft import Inject, Job, Lineshaft
from lineshaft.testing import Drained, Testing, all_enqueued, aperform, assert_enqueued, perform, refute_enqueued

app = Lineshaft("memory://")


def get_name() -> str:
    return "name"


@app.task
def render(document_id: int, *, name: str = Inject(get_name)) -> str:
    return f"{document_id} {name}"


@app.task
async def asynchronous(amount: float) -> bytes:
    return str(amount).encode()


def a_block_runs_jobs() -> None:
    with app.testing("manual", overrides={get_name: lambda: "fake"}) as t:
        assert_type(t, Testing)
        assert_type(t.drain(with_scheduled=True), Drained)
        assert_type(t.drain("pdf", limit=3, raise_errors=True).counts, dict[str, int])
        assert_type(t.travel("2h"), Drained)
    with app.testing("inline", raise_errors=False):
        assert_type(render.enqueue(7), Job[str])


async def the_twins_are_awaited() -> None:
    with app.testing("inline") as t:
        assert_type(await t.adrain(), Drained)
        assert_type(await t.atravel(60), Drained)
        assert_type(await aperform(asynchronous, 1.5, attempt=2), bytes)
        assert_type(await aperform(asynchronous.new(1.5)), bytes)


def assertions_give_typed_jobs() -> None:
    assert_type(assert_enqueued(render, args=(7,), queue="pdf", count=1), Job[str])
    assert_type(all_enqueued(asynchronous, state="queued"), list[Job[bytes]])
    assert_type(refute_enqueued(render, delay="10m"), None)


def perform_gives_the_result() -> None:
    assert_type(perform(render, 7, attempt=3), str)
    assert_type(perform(render.options(queue="x").new(7), attempt=3), str)


def wrong_uses_are_errors() -> None:
    app.testing("eager")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    perform(render.new("seven"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_enqueued(render, queues="pdf")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_enqueued(render, state=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
