"""Workers that share slots by weight, or let waiting jobs age: real ones, with real backlogs."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.plugins.apps import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.plugins.apps import StartWorker
    from tests.worker.conftest import StartCommand

BACKLOG = 3_000


def done(app: Lineshaft) -> dict[str, int]:
    """Return how many jobs of each queue have completed."""
    return {queue: app.jobs.count(queue=queue, state="completed") for queue in ("a", "b", "c")}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_backlogs_share_by_weight(
    start_command: StartCommand, durable_url: str, make_app: Callable[..., Lineshaft], processes: str
) -> None:
    """Three queues of weights 6, 3 and 1 with backlogs run in these shares, within a twentieth of all."""
    app = make_app(durable_url)
    task = app.task(name="whoami")(lambda: 0)
    for queue in ("a", "b", "c"):
        task.options(queue=queue).enqueue_many([()] * BACKLOG)
    command = start_command(
        durable_url, "--queues", "a:10,b:10,c:10", "--weights", "a=6,b=3,c=1", "--processes", processes
    )
    eventually(lambda: done(app)["a"] > 300)
    assert command.stop() == 0
    found = done(app)
    assert done(app)["a"] < BACKLOG, "the first queue's backlog is over, which says nothing"
    total = sum(found.values())
    assert abs(found["a"] / total - 0.6) < 0.05
    assert abs(found["b"] / total - 0.3) < 0.05


def test_strict_order_lets_no_later_queue_in(
    start_command: StartCommand, durable_url: str, make_app: Callable[..., Lineshaft]
) -> None:
    """Without weights, queues that share slots are served in the order given: later ones wait."""
    app = make_app(durable_url)
    task = app.task(name="whoami")(lambda: 0)
    for queue in ("a", "b", "c"):
        task.options(queue=queue).enqueue_many([()] * BACKLOG)
    command = start_command(durable_url, "--queues", "a:10,b:10,c:10", "--slots", "10")
    eventually(lambda: done(app)["a"] > 300)
    command.stop()
    found = done(app)
    assert found["a"] < BACKLOG, "the first queue's backlog is over, which says nothing"
    assert found["b"] == found["c"] == 0


def test_it_says_how_its_queues_share(start_command: StartCommand, sqlite_url: str) -> None:
    """The worker's first lines tell the weights, the slots that are shared, and the ageing."""
    command = start_command(sqlite_url, "--queues", "a:4,b:2", "--weights", "a=3", "--ageing", "b=10m")
    command.line("queues a:4,b:2, 4 slots shared by weights a=3,b=1, ageing b=600s;")


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize(
    "options, advice",
    [
        (("--weights", "a=0"), "Invalid value for '--weights': weights: the weight '0' of queue 'a' must be"),
        (("--ageing", "soon"), "Invalid value for '--ageing': ageing='soon' is not a duration"),
    ],
)
def test_wrong_options_are_refused(
    start_command: StartCommand, sqlite_url: str, processes: str, options: tuple[str, str], advice: str
) -> None:
    """A wrong weight or period ends the command at once with one line and exit code 2, before any process starts."""
    command = start_command(sqlite_url, *options, "--processes", processes)
    assert command.end() == 2
    assert [advice in line for line in command.lines] == [True]


def test_weights_of_a_queue_that_is_not_served(start_command: StartCommand, sqlite_url: str) -> None:
    """A weight for a queue that the worker does not serve is refused, naming both."""
    command = start_command(sqlite_url, "--queues", "a:1,b:1", "--weights", "c=1", "--processes", "1")
    assert command.end() == 2
    assert "weights names queue 'c', which this worker does not serve; it serves a, b" in command.lines[-1]


def test_a_lone_low_job_ages(durable_app: Lineshaft, start_worker: StartWorker) -> None:
    """Under a backlog of better jobs that does not end, a job of low priority starts when it has waited its period."""
    stopped = threading.Event()
    work = durable_app.task(name="work")(lambda: stopped.wait(0.02))
    low = durable_app.task(name="low", priority="normal")(lambda: None)
    work.options(priority="high").enqueue_many([()] * 600)
    job = low.enqueue()
    start_worker(durable_app, {"default": 1}, ageing="1s")
    job.result(15)
    stopped.set()
    job.refresh()
    assert job.started_at is not None
    waited = job.started_at - job.created_at
    assert timedelta(seconds=1) <= waited < timedelta(seconds=6)
    assert durable_app.jobs.count(state="queued", name="work") > 0, "nothing was left for it to go before"
