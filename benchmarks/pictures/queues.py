"""Scenes of whole queues: how many at once, whose turn, which queue first, what does not fit in or comes too often."""

from __future__ import annotations

import random
import threading
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from benchmarks.pictures.drawing import COLOURS, RED, bars, figure, limit, running, started, steps
from benchmarks.pictures.stage import Span, Stage, serving
from lineshaft import QueueFull, State, Task, Unique
from lineshaft.app.depths import WAYS


def queue(stage: Stage) -> Figure:
    """A limit of a whole queue is raised while it is worked off."""
    seed = random.Random(7)  # noqa: S311 - a scene that comes out alike

    @stage.app.task(queue="pdf")
    async def render(seconds: float) -> None:
        await stage.work("pdf", seconds)

    stage.app.queues.update("pdf", concurrency=3)
    render.enqueue_many([seed.uniform(0.05, 0.15) for _ in range(160)])
    with serving(stage, {"pdf": 20}):
        stage.wait_until(2.5)
        stage.app.queues.update("pdf", concurrency=8)
        raised = stage.now
        stage.wait_for(160)
    made, (axes,) = figure("app.queues.update('pdf', concurrency=3), later 8; the worker has 20 slots", "at once")
    steps(axes, running(stage.spans), "running", COLOURS[0], is_filled=True)
    last = max(one.end for one in stage.spans)
    steps(axes, [(0, 3), (raised, 8), (last, 8)], "limit", RED)
    axes.set_ylim(0, 9)
    return made


def fairness(stage: Stage) -> Figure:
    """Two small tenants come while a large one has over a thousand jobs waiting."""
    made, rows = figure("1,500 jobs of one tenant; a second later two others come with 100 each", "started", rows=2)
    for axes, name in zip(rows, ("plain", "fair"), strict=True):
        _share(stage, name)
        for colour, tenant in zip(COLOURS, ("large", "small", "other small"), strict=False):
            steps(axes, started(one for one in stage.spans if one.label == tenant), tenant, colour)
        axes.set_ylabel("started")
        axes.set_ylim(0, 450)
        axes.text(0.99, 0.9, _TOLD[name], transform=axes.transAxes, ha="right", va="top")
    return made


_TOLD = {"plain": "as they come", "fair": "app.queues.update(…, fair='tenant')"}


def _share(stage: Stage, name: str) -> None:
    stage.spans = []

    @stage.app.task(name=f"{name}.work", queue=name)
    async def work(owner: str) -> None:
        await stage.work(owner, 0.01)

    if name == "fair":
        stage.app.queues.update("fair", fair="tenant")
    large = work.options(tenant="large")
    stage.app.enqueue_many([large.new("large") for _ in range(1_500)])
    with serving(stage, {name: 4}):
        stage.wait_until(1)
        for tenant in ("small", "other small"):
            theirs = work.options(tenant=tenant)
            stage.app.enqueue_many([theirs.new(tenant) for _ in range(100)])
        stage.wait_for(1_700)


def weights(stage: Stage) -> Figure:
    """Three queues share ten slots, six to three to one."""
    names = ("critical", "default", "low")
    for name in names:

        async def work(_number: int, label: str = name) -> None:
            await stage.work(label, 0.02)

        stage.app.task(name=f"work.{name}", queue=name)(work).enqueue_many(range(600))
    with serving(stage, dict.fromkeys(names, 10), {"weights": {"critical": 6, "default": 3, "low": 1}}):
        stage.wait_for(1_800)
    made, (axes,) = figure("--weights critical=6,default=3,low=1: 600 jobs of each wait, 10 slots", "started")
    for colour, label in zip(COLOURS, names, strict=False):
        steps(axes, started(one for one in stage.spans if one.label == label), label, colour)
    return made


def depth(stage: Stage) -> Figure:
    """A producer that is faster than the worker, with each way of a full queue."""
    made, rows = figure("max_depth=50: 600 jobs come, 200 a second; 100 a second are done", "waiting", rows=3)
    for axes, colour, way in zip(rows, COLOURS, WAYS, strict=False):

        @stage.app.task(name=f"work.{way}", queue=way)
        async def work(_number: int) -> None:
            await stage.work("work", 0.04)

        stage.app.queues.update(way, max_depth=50, on_full=way)
        with serving(stage, {way: 4}):
            refused: list[int] = []
            producer = threading.Thread(target=_produce, args=(stage, work, refused))
            producer.start()
            waiting = stage.sample(7, partial(_waiting, stage, way), every=0.1)
            producer.join()
        told = {
            "reject": f"reject: {len(refused)} refused",
            "drop_oldest": f"drop_oldest: {stage.app.jobs.count(queue=way, state='cancelled')} dropped",
            "block": "block: the producer waits",
        }
        steps(axes, waiting, told[way], colour, is_filled=True)
        limit(axes, 50, "max_depth")
        axes.set_ylim(0, 60)
    return made


def _produce(stage: Stage, task: Task[[int], Any, None], refused: list[int]) -> None:
    for number in range(600):
        stage.wait_until(number / 200)
        try:
            task.enqueue(number)
        except QueueFull:
            refused.append(number)


def _waiting(stage: Stage, queue: str) -> int:
    return stage.app.queues.get(queue).counts.get(State.QUEUED, 0)


def pace(stage: Stage) -> Figure:
    """The same calls, debounced and throttled."""

    @stage.app.task(unique=Unique.debounce("1s", by=()))
    async def debounced(_number: int) -> None:
        stage.note(Span("debounce('1s')", stage.now, stage.now + 0.05))

    @stage.app.task(unique=Unique.throttle("1s", by=()))
    async def throttled(_number: int) -> None:
        stage.note(Span("throttle('1s')", stage.now, stage.now + 0.05))

    seed = random.Random(7)  # noqa: S311 - a scene that comes out alike
    moments = sorted([seed.uniform(0.1, 2.2) for _ in range(14)] + [seed.uniform(4, 6.5) for _ in range(12)])
    with serving(stage, {"default": 4}):
        for number, moment in enumerate(moments):
            stage.wait_until(moment)
            stage.note(Span("enqueued", stage.now, stage.now + 0.03))
            debounced.enqueue(number)
            throttled.enqueue(number)
        stage.wait_until(9)
    made, (axes,) = figure("When 26 jobs were enqueued, and when jobs started", "")
    bars(axes, stage.spans, ["enqueued", "throttle('1s')", "debounce('1s')"])
    return made
