"""A worker that is killed while it ends a job: what follows is there once, whichever statement it died at."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from lineshaft import Lineshaft, NewJob, Retry, Tasks
from tests.plugins.apps import QUICK, Process, StartProcess, eventually

FOLDER: Final = Path(__file__).parent
POINTS: Final = (
    *(f"complete_jobs: {when}" for when in ("before", "after", "committed")),
    *(f"close_jobs: {when}" for when in ("before", "after", "committed")),
    *(f"follow-ups: {when}" for when in ("before", "after")),
    *(f"child complete_jobs: {when}" for when in ("before", "after", "committed")),
    *(f"child follow-ups: {when}" for when in ("before", "after")),
)

QUICK_POINTS: Final = ("complete_jobs: committed", "follow-ups: after", "child follow-ups: after")


def run_to_the_end(app: Lineshaft, worker: Process) -> int:
    """Let a worker run until everything is finished or it dies; then stop it, and return its exit code."""
    eventually(lambda: worker._popen.poll() is not None or not app.jobs.count(state=["queued", "running", "retrying"]))
    if worker._popen.poll() is None:
        worker.send(signal.SIGTERM)
    return worker.end()


@pytest.mark.parametrize(
    "point", [pytest.param(one, marks=() if one in QUICK_POINTS else pytest.mark.chaos) for one in POINTS]
)
def test_killed_while_it_ends_a_job(
    durable_url: str, tmp_path: Path, make_app: Callable[..., Lineshaft], start_process: StartProcess, point: str
) -> None:
    """Each of three jobs ends once and is followed once by the right job, wherever the worker was killed."""
    app = make_app(durable_url)
    for name in ("good", "bad", "separate"):
        app.enqueue_new(_new(name))
    points = tmp_path / "points"
    points.touch()
    script = FOLDER / "crashing.py"
    doomed = start_process(script, durable_url, json.dumps(QUICK), str(points), point)
    code = run_to_the_end(app, doomed)
    assert point in points.read_text().splitlines(), "the worker did not come by this point"
    assert code == (0 if point.startswith("child ") else -signal.SIGKILL), doomed.errors()
    heir = start_process(script, durable_url, json.dumps(QUICK), str(points), "none")
    heir.expect("ready")
    assert run_to_the_end(app, heir) == 0, heir.errors()
    parents = {job.id: job for name in ("good", "bad", "separate") for job in app.jobs.iter(name=name)}
    assert {job.name: job.state.value for job in parents.values()} == {
        "good": "completed", "bad": "dead", "separate": "completed",
    }  # fmt: skip
    followers = [(parents[job.meta["after"]].name, job.args[0][0], job.state) for job in app.jobs.iter(name="tell")]
    expected = [("bad", "failure"), ("good", "success"), ("separate", "success")]
    assert sorted(followers) == [(*one, "completed") for one in expected]


def _new(name: str) -> NewJob[str]:
    tasks = Tasks()
    tell = tasks.task(name="tell")(_nothing)
    task = tasks.task(
        name=name, retry=Retry(max_attempts=1), on_success=tell.new("success"), on_failure=tell.new("failure")
    )(_nothing)
    return task.new(name)


def _nothing(text: str) -> str:
    return text
