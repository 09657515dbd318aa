"""A job that kills whatever runs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lineshaft import JobFailed, Lineshaft, Retry
from tests.plugins.apps import StartProcess


def test_poison_job_ends_as_lost_and_its_neighbour_completes(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A job under which process after process dies ends `dead: lost`; the job beside it is not blamed and completes."""
    app = make_app(durable_url)
    doomed = worker_process(durable_url, "hold")
    neighbour = app.enqueue("work.hold", "neighbour")
    doomed.expect("start neighbour")
    poison = app.enqueue("work.die", "poison")
    doomed.expect("start poison")
    heir = worker_process(durable_url, "pass")
    with pytest.raises(JobFailed) as failed:
        poison.result(30)
    assert failed.value.reason == "lost"
    assert len(poison.errors) == 1 + Retry().max_attempts
    assert neighbour.result(20) == "neighbour"
    assert heir.count("start poison") == Retry().max_attempts
    assert [one.pid for one in app.workers.list()] == [heir.pid], "the poison has killed a worker again"
