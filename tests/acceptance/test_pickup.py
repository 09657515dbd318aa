"""How soon an idle worker starts a job that another process enqueues."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from lineshaft import Lineshaft
from tests.plugins.apps import StartProcess

MEDIAN_SECONDS = 0.010
JOBS = 60
ROUNDS = 3
"""Of these the best one counts: what is promised is how soon it is, not that the machine has nothing else to do."""


def test_idle_worker_picks_up_at_once(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """From the call of `enqueue` in one process to the job's first line in another the median is under 10 ms."""
    app = make_app(durable_url)
    worker_process(durable_url)
    medians = []
    for _ in range(ROUNDS):
        delays = sorted(app.enqueue("work.when", time.monotonic()).result(20) for _ in range(JOBS))
        medians.append(statistics.median(delays) * 1000)
        print(f"picked up after {medians[-1]:.2f} ms at the median, {delays[int(JOBS * 0.95)] * 1000:.2f} ms at 95 %")  # noqa: T201 - the promised figure
    assert min(medians) < MEDIAN_SECONDS * 1000
