"""Jobs that do what no job should: each ends as the documentation says, and its neighbours finish."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from lineshaft import Lineshaft
from tests.plugins.apps import QUICK, Process, StartProcess, eventually

NEIGHBOURS = ("neighbour", "async_neighbour", "separate_neighbour")
ZOO = [
    ("out_of_memory", (), "dead", "error"),
    ("segfault", (), "dead", "lost"),
    ("leave", (), "dead", "lost"),
    ("kill_the_group", (), "dead", "lost"),
    ("loop_for_ever", (), "dead", "timeout"),
    ("breed", (), "dead", "timeout"),
    ("recurse", (), "dead", "error"),
    ("return_a_lock", (), "dead", "rejected"),
    ("return_100_megabytes", (), "dead", "rejected"),
    ("block_the_loop", (2.5,), "completed", None),
    ("leak_threads", (), "completed", None),
    ("close_descriptors", (), "dead", "lost"),
    ("change_folder", (), "completed", None),
    ("raise_base_exception", (), "dead", "error"),
    ("exit_the_interpreter", (), "dead", "error"),
    ("interrupt", (), "dead", "error"),
]


def start(url: str, start_process: StartProcess, **settings: Any) -> Process:
    said = {**QUICK, "lease": "2s", **settings}
    worker = start_process(Path(__file__).with_name("zoo.py"), url, "default:10", json.dumps(said))
    worker.expect("ready")
    return worker


@pytest.mark.timeout(90)
def test_zoo_in_one_worker(durable_url: str, make_app: Callable[..., Lineshaft], start_process: StartProcess) -> None:
    """All misdeeds at once in one worker end as they should; jobs beside and after them complete; the worker lives."""
    app = make_app(durable_url)
    worker = start(durable_url, start_process)
    beside = [app.enqueue(f"zoo.{name}", "before") for name in NEIGHBOURS]
    misdeeds = {name: app.enqueue(f"zoo.{name}", *args) for name, args, _, _ in ZOO}
    beside += [app.enqueue(f"zoo.{name}", "beside") for name in NEIGHBOURS]
    for job in misdeeds.values():
        job.wait(60)
    after = [app.enqueue(f"zoo.{name}", "after") for name in NEIGHBOURS]
    assert [job.result(20) for job in (*beside, *after)] == [
        one for when in ("before", "beside", "after") for one in [when] * 3
    ]
    ends = {name: (str(job.state), job.reason and str(job.reason)) for name, job in misdeeds.items()}
    assert ends == {name: (state, reason) for name, _, state, reason in ZOO}
    assert {job.attempt for job in beside + after} == {1}
    assert [one.pid for one in app.workers.list()] == [worker.pid]
    assert not [one for one in psutil.Process(worker.pid).children(recursive=True) if one.name() == "sleep"]


@pytest.mark.chaos
def test_blocked_event_loop_keeps_its_lease(
    durable_url: str, make_app: Callable[..., Lineshaft], start_process: StartProcess
) -> None:
    """A job that blocks the event loop for ten leases keeps its job, beside a worker that looks for dead ones."""
    app = make_app(durable_url)
    lease = {"lease": "0.6s", "silence": "0.5s", "heartbeat": "0.1s"}
    worker = start(durable_url, start_process, **lease)
    job = app.enqueue("zoo.block_the_loop", 6.0)
    eventually(lambda: job.refresh().state == "running")
    start(durable_url, start_process, **lease)
    assert job.result(20) == "blocked"
    assert job.refresh().attempt == 1
    assert worker.pid in {one.pid for one in app.workers.list()}
