"""What a worker says of itself when it starts."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from lineshaft.clock import SECOND
from lineshaft.version import VERSION

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from lineshaft.worker.worker import Worker

_log = logging.getLogger("lineshaft.worker")

_MOST_TASKS_SHOWN: Final = 10


def introduce(app: Lineshaft, worker: Worker, app_path: str | None, *, is_lone: bool) -> None:
    """Log what the worker is, what it serves, and how to stop it."""
    if app.created_store:
        _log.info("worker %d created the store %s", worker.id, app.address)
    _log.info("lineshaft %s, worker %d, app %s, store %s", VERSION, worker.id, app_path, app.address)
    tasks = sorted(task.name for task in app)
    _log.info(
        "queues %s%s; %d tasks: %s", queues_text(worker.queues), _order_text(worker), len(tasks), _tasks_text(tasks)
    )
    _warn_of_idle_queues(app, worker.queues)
    _log.info("ready; %s", how_to_stop() if is_lone else f"process {os.getpid()}")


def queues_text(queues: Mapping[str, int]) -> str:
    """Return queues with their concurrency, as `--queues` takes them."""
    return ",".join(f"{name}:{limit}" for name, limit in queues.items())


def _order_text(worker: Worker) -> str:
    weights, ageing = worker.order.weights, worker.order.ageing
    shares = ",".join(f"{name}={weight}" for name, weight in (weights or {}).items())
    periods = ",".join(f"{name}={period / SECOND:g}s" for name, period in ageing.items())
    shown = [f"{worker.slots} slots shared by weights {shares}"] * bool(shares) + [f"ageing {periods}"] * bool(periods)
    return "".join(f", {one}" for one in shown)


def how_to_stop() -> str:
    """Return how to end this process."""
    return f"stop it with Ctrl-C or kill {os.getpid()}"


def _tasks_text(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_TASKS_SHOWN])
    return shown + (", …" if len(names) > _MOST_TASKS_SHOWN else "") if names else "none"


def _warn_of_idle_queues(app: Lineshaft, queues: Mapping[str, int]) -> None:
    used = {"default", *(task.defaults.queue for task in app)}
    for name in queues:
        if name not in used:
            _log.warning("no task names queue %s: only jobs that were sent there by options(queue=…) run from it", name)
