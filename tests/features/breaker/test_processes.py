"""Circuit breakers across processes: children whose errors count, and a probe whose worker dies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from lineshaft import Lineshaft
from tests.features.breaker.conftest import ended
from tests.plugins.apps import QUICK, Process, StartProcess, eventually

SCRIPT = Path(__file__).with_name("work.py")
FREE_WITHIN = 5.0
"""Seconds after which a dead worker's places are free, with the settings of service; here they are shorter."""


def start(start_process: StartProcess, url: str, server: str) -> Process:
    """Start a worker for which the server does this, and wait until it is up."""
    process = start_process(SCRIPT, STORE=url, SETTINGS=json.dumps(QUICK), SERVER=server)
    process.expect("ready")
    return process


def test_errors_of_children_count(
    durable_url: str, make_app: Callable[..., Lineshaft], start_process: StartProcess
) -> None:
    """What a breaker has to know of an error reaches it from the child process in which the job ran."""
    app = make_app(durable_url)
    start(start_process, durable_url, "fails")
    assert ended([app.enqueue("call_in_child", 1)]) == ["dead"]
    assert app.breakers.get("smtp").recent_failures == 1
    assert ended([app.enqueue("call_in_child", 2)]) == ["dead"]
    eventually(lambda: app.breakers.get("smtp").error == "ConnectionResetError: ")
    assert app.breakers.get("smtp").state != "closed"


def test_a_probe_whose_worker_is_killed(
    durable_url: str, make_app: Callable[..., Lineshaft], start_process: StartProcess
) -> None:
    """One probe runs at a time; when its worker is killed its place is free within seconds, and the breaker closes."""
    app = make_app(durable_url)
    failing = start(start_process, durable_url, "fails")
    jobs = [app.enqueue("call", number) for number in range(2)]
    eventually(lambda: app.breakers.get("smtp").waiting == 2)
    failing.kill()
    jobs += [app.enqueue("call", number) for number in range(2, 12)]
    hanging = start(start_process, durable_url, "hangs")
    hanging.expect("call")
    eventually(lambda: app.breakers.get("smtp").waiting == 11)
    assert hanging.count("call") == 1
    working = start(start_process, durable_url, "works")
    assert working.count("call") == 0
    killed_at = hanging.kill()
    working.expect("call")
    assert time.monotonic() - killed_at < FREE_WITHIN
    assert ended(jobs) == ["completed"] * 12
    assert app.breakers.get("smtp").state == "closed"
