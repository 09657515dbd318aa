"""What a worker costs that has nothing to do."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from lineshaft import Lineshaft
from tests.plugins.apps import StartProcess, eventually

CPU_SHARE = 0.01
RSS_BYTES = 60 << 20
BEATS = 4


def test_idle_worker_is_cheap(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """Between jobs a worker uses less than 1 % of one core, and its process less than 60 MiB."""
    app = make_app(durable_url)
    worker = worker_process(durable_url, heartbeat="1s", silence="3s")
    app.enqueue("work.quick", "warm").result(20)
    process = psutil.Process(worker.pid)
    [before] = app.workers.list()
    start, created = process.cpu_times(), before.heartbeat_at
    eventually(lambda: (app.workers.list()[0].heartbeat_at - created).total_seconds() >= BEATS)
    end = process.cpu_times()
    seconds = (app.workers.list()[0].heartbeat_at - created).total_seconds()
    used = (end.user + end.system - start.user - start.system) / seconds
    rss = process.memory_info().rss
    print(f"idle: {used:.2%} of a core, {rss / (1 << 20):.1f} MiB")  # noqa: T201 - the figure that is promised
    assert used < CPU_SHARE
    assert rss < RSS_BYTES
