"""Scenes of what a task says: how many at once, how often, in which order, and what is behind it."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing

from matplotlib.figure import Figure

from benchmarks.load.stores import LoadedStore
from benchmarks.pictures.drawing import COLOURS, GREY, RED, bars, figure, limit, running, started, steps
from benchmarks.pictures.stage import Span, Stage, serving
from lineshaft import Adaptive, Breaker, Concurrency, Fixed, Order, Rate, Retry
from lineshaft.features.adaptive.kind import load_learnt
from lineshaft.options.adaptive import AdaptiveTerms
from lineshaft.store.gates import read_gates

_LEARNING = AdaptiveTerms(low=1, high=40, start=4)


def concurrency(stage: Stage) -> Figure:
    """Three at once for each customer; one of them has far more jobs."""
    seed = random.Random(7)  # noqa: S311 - a scene that comes out alike

    @stage.app.task(concurrency=Concurrency(3, key="customer"))
    async def report(customer: str, seconds: float) -> None:
        await stage.work(customer, seconds)

    customers = ["acme"] * 45 + ["zenith"] * 12
    report.enqueue_many([{"customer": one, "seconds": seed.uniform(0.1, 0.3)} for one in customers])
    with serving(stage, {"default": 20}):
        stage.wait_for(len(customers))
    made, rows = figure("Concurrency(3, key='customer'): 45 jobs of acme, 12 of zenith, 20 slots", "at once", rows=2)
    for axes, colour, customer in zip(rows, COLOURS, ("acme", "zenith"), strict=False):
        chosen = [one for one in stage.spans if one.label == customer]
        steps(axes, running(chosen), customer, colour, is_filled=True)
        limit(axes, 3, "limit")
        axes.set_ylim(0, 4)
    return made


def rate(stage: Stage) -> Figure:
    """Ten a second for one task; the queue's other jobs go past it."""

    @stage.app.task(rate=Rate(10, per="1s"))
    async def call_api(_number: int) -> None:
        await stage.work("call_api", 0)

    @stage.app.task
    async def resize(_number: int) -> None:
        await stage.work("resize", 0.02)

    call_api.enqueue_many(range(60))
    resize.enqueue_many(range(400))
    with serving(stage, {"default": 4}):
        stage.wait_for(460)
    made, (axes,) = figure("Rate(10, per='1s') on 60 jobs that came first; 400 others behind them", "started")
    for colour, label in zip(COLOURS, ("call_api", "resize"), strict=False):
        steps(axes, started(one for one in stage.spans if one.label == label), label, colour)
    last = max(one.end for one in stage.spans)
    axes.plot([0, last], [0, 10 * last], color=RED, linestyle="--", linewidth=1.2, label="10 a second")
    return made


def order(stage: Stage) -> Figure:
    """One at a time and in order for each account, also through a retry."""
    tries: dict[tuple[str, int], int] = {}

    @stage.app.task(concurrency=Order("account"), retry=Retry(backoff=Fixed("0.4s")))
    async def post(account: str, number: int) -> None:
        tries[account, number] = tries.get((account, number), 0) + 1
        start = stage.now
        if (account, number) == ("B", 2) and tries[account, number] == 1:
            await asyncio.sleep(0.15)
            stage.note(Span(account, start, stage.now, is_ok=False, text=str(number)))
            msg = "the bank is busy"
            raise ConnectionError(msg)
        await stage.work(account, 0.3, str(number))

    post.enqueue_many([{"account": account, "number": number} for number in range(1, 6) for account in "ABC"])
    with serving(stage, {"default": 10}):
        stage.wait_for(16)
    made, (axes,) = figure("Order('account'): the second job of B fails, and is tried again 0.4 s later", "account")
    bars(axes, stage.spans, list("ABC"))
    return made


def breaker(stage: Stage) -> Figure:
    """A dependency that is down for four seconds."""

    @stage.app.task(breaker=Breaker("smtp", failures=5, within="10s", reset="1s"))
    async def send(_number: int) -> None:
        is_down = 2 <= stage.now < 6  # noqa: PLR2004 - the story of this scene
        start = stage.now
        if is_down:
            stage.note(Span("attempts", start, start, is_ok=False))
            msg = "connection refused"
            raise ConnectionError(msg)
        await stage.work("attempts", 0.02)

    with serving(stage, {"default": 4}):
        for number in range(180):
            stage.wait_until(number / 20)
            send.enqueue(number)
        stage.wait_until(10)
    failed = sum(not one.is_ok for one in stage.spans)
    made, (axes,) = figure(
        f"Breaker('smtp', failures=5, reset='1s'), 20 jobs a second come: {failed} attempts failed", "attempts"
    )
    for colour, is_ok, label in ((COLOURS[2], True, "went well"), (RED, False, "failed")):
        chosen = [one for one in stage.spans if one.is_ok is is_ok]
        steps(axes, [*started(chosen), (stage.now, len(chosen))], label, colour)
    axes.axvspan(2, 6, color=GREY, alpha=0.25, label="the server is down")
    return made


def adaptive(stage: Stage) -> Figure:
    """A service that refuses more than it can take, and can take less for a while."""
    busy = 0
    seed = random.Random(7)  # noqa: S311 - a scene that comes out alike

    class TooManyRequestsError(Exception):
        """What the service answers."""

        status = 429

    def capacity() -> int:
        return 10 if 8 <= stage.now < 16 else 25  # noqa: PLR2004 - the story of this scene

    @stage.app.task(concurrency=Adaptive(low=1, high=40, start=4, name="service"))
    async def fetch(seconds: float) -> None:
        nonlocal busy
        busy += 1
        try:
            if busy > capacity():
                raise TooManyRequestsError
            await stage.work("fetch", seconds)
        finally:
            busy -= 1

    fetch.enqueue_many([seed.uniform(0.03, 0.07) for _ in range(12_000)])
    store = LoadedStore(stage.address)
    with closing(store), serving(stage, {"default": 50}):
        seen = stage.sample(24, lambda: (busy, _learned(store, "service")), every=0.04)
    made, (axes,) = figure("Adaptive(low=1, high=40): the service takes 25 at once, for a while only 10", "at once")
    axes.plot(
        [x for x, _ in seen], [y for _, (y, _) in seen], color=COLOURS[0], linewidth=0.6, alpha=0.6, label="running"
    )
    steps(axes, [(x, y) for x, (_, y) in seen], "what the limit has learned", COLOURS[1])
    steps(axes, [(0, 25), (8, 10), (16, 25), (24, 25)], "what the service takes", RED)
    return made


def _learned(store: LoadedStore, key: str) -> float:
    """Return a limit as it is at this moment: `app.limits.course` has a value a second at most."""
    gate = store.engine.read(lambda tx: read_gates(tx, [key])).get(key)
    return load_learnt(gate and gate.state, _LEARNING).limit
