"""What a killed, stopped or stalled worker process leaves behind, and how soon others go on with it."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from lineshaft import Lineshaft, State
from tests.plugins.apps import StartProcess, eventually

IN_FLIGHT = 8
RUN_AGAIN_SECONDS = 5.0


def test_killed_workers_jobs_run_again_within_five_seconds(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A worker killed with 8 jobs in flight loses none, repeats none that had completed, and none waits over 5 s."""
    app = make_app(durable_url)
    doomed = worker_process(durable_url, "hold", heartbeat="1s", silence="3s")
    done = [app.enqueue("work.quick", f"q{n}") for n in range(20)]
    for job in done:
        job.result(20)
    held = [app.enqueue("work.hold", f"h{n}") for n in range(IN_FLIGHT)]
    for _ in held:
        doomed.expect("start")
    heir = worker_process(durable_url, "pass", heartbeat="1s", silence="3s")
    killed_at = doomed.kill()
    started = [heir.expect("start") for _ in held]
    delays = [at - killed_at for at, _ in started]
    print(f"run again after {min(delays):.2f} to {max(delays):.2f} s")  # noqa: T201 - the figure that is promised
    assert {line.split()[1] for _, line in started} == {f"h{n}" for n in range(IN_FLIGHT)}
    assert [job.result(20) for job in held] == [f"h{n}" for n in range(IN_FLIGHT)]
    assert max(delays) < RUN_AGAIN_SECONDS
    heir.send(signal.SIGTERM)
    runs = Counter(line for line in [*doomed.all_lines(), *heir.all_lines()] if line.startswith("ran"))
    assert runs == Counter(f"ran q{n} 1" for n in range(20))
    assert {job.refresh().attempt for job in held} == {1}, "a neighbour's death must not use up an attempt"


def test_graceful_stop_finishes_what_runs(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """SIGTERM lets running jobs finish within the grace, takes no others, and ends the process with code 0."""
    app = make_app(durable_url)
    worker = worker_process(durable_url, "hold")
    running = app.enqueue("work.hold", "running", "gate")
    worker.expect("start")
    worker.send(signal.SIGTERM)
    eventually(lambda: [one.state for one in app.workers.list()] == ["draining"])
    left = app.enqueue("work.quick", "left")
    worker.say("gate")
    assert worker.end() == 0
    assert running.result(1) == "running"
    assert left.refresh().state is State.QUEUED
    assert "ran left 1" not in worker.all_lines()
    assert app.workers.list() == []


def test_second_signal_puts_jobs_back_without_using_up_an_attempt(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A second SIGTERM ends the grace: jobs that run are put back, uncounted, and run elsewhere as first attempts."""
    app = make_app(durable_url)
    worker = worker_process(durable_url, "hold")
    jobs = [app.enqueue("work.give_way", f"j{n}") for n in range(3)]
    for _ in jobs:
        worker.expect("start")
    worker.send(signal.SIGTERM)
    eventually(lambda: [one.state for one in app.workers.list()] == ["draining"])
    worker.send(signal.SIGTERM)
    assert worker.end() == 0
    rows = [job.refresh() for job in jobs]
    assert [(row.state, row.attempt, row.errors) for row in rows] == [(State.QUEUED, 0, [])] * 3
    heir = worker_process(durable_url)
    assert sorted(heir.expect("end")[1] for _ in jobs) == [f"end j{n} 1" for n in range(3)]
    assert [job.result(20) for job in jobs] == ["j0", "j1", "j2"]


def test_deaf_jobs_are_put_back_when_the_grace_is_over(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A job that ignores the stop of its worker dies with the process and is put back without counting an attempt."""
    app = make_app(durable_url)
    worker = worker_process(durable_url, "hold", grace="0.1s")
    job = app.enqueue("work.hold", "deaf")
    worker.expect("start")
    worker.send(signal.SIGTERM)
    assert worker.end() == 0
    assert (job.refresh().state, job.attempt) == (State.QUEUED, 0)


def test_restarted_worker_finds_everything(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """With no other worker alive, a worker that is started after the kill runs the lost jobs."""
    app = make_app(durable_url)
    doomed = worker_process(durable_url, "hold")
    jobs: list[Any] = [app.enqueue("work.hold", f"h{n}") for n in range(IN_FLIGHT)]
    for _ in jobs:
        doomed.expect("start")
    doomed.kill()
    worker_process(durable_url, "pass")
    assert [job.result(20) for job in jobs] == [f"h{n}" for n in range(IN_FLIGHT)]
