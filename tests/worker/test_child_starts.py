"""Children that cannot start for a reason that passes cost no job anything but time."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lineshaft import Lineshaft, State
from tests.plugins.apps import QUICK, StartProcess, eventually

SCRIPT = Path(__file__).parent / "slow_to_start.py"


@pytest.mark.parametrize("failures", [2, 5])
def test_a_lifespan_that_fails_for_a_while(
    durable_url: str, tmp_path: Path, make_app: Callable[..., Lineshaft], start_process: StartProcess, failures: int
) -> None:
    """Jobs whose children fail in their lifespan wait for it to pass, in the lane or put back, and run uncounted."""
    app = make_app(durable_url)
    jobs = [app.enqueue("add", 1, number) for number in range(3)]
    worker = start_process(SCRIPT, durable_url, json.dumps(QUICK), str(tmp_path / "starts"), str(failures))
    eventually(lambda: all(job.refresh().state.is_final for job in jobs))
    worker.send(signal.SIGTERM)
    assert worker.end() == 0, worker.errors()
    assert [(job.state, job.attempt, job.result()) for job in jobs] == [(State.COMPLETED, 1, 1 + n) for n in range(3)]
    texts = {error["message"] for job in jobs for error in job.errors}
    why = "no child process could be started: ConnectionError: the service does not answer"
    assert texts <= {why}, "and what put them back is told"
