"""A worker that was away for longer than its lease, and comes back with results that nobody waits for."""

from __future__ import annotations

import signal
from collections.abc import Callable

from lineshaft import Lineshaft, State
from tests.plugins.apps import StartProcess, eventually

SHORT_LEASE = {"lease": "2s", "silence": "0.6s", "heartbeat": "0.2s", "stop_patience": "10s"}


def test_late_result_of_a_stopped_worker_changes_nothing(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A worker stopped beyond its lease finds its job finished elsewhere; what it still delivers is refused."""
    app = make_app(durable_url)
    sleeper = worker_process(durable_url, "hold", **SHORT_LEASE)
    job = app.enqueue("work.report_pid", "gate")
    sleeper.expect("start")
    other = worker_process(durable_url, "pass", **SHORT_LEASE)
    sleeper.freeze(durable_url)
    assert job.result(20) != sleeper.pid
    before = job.refresh()
    finished_at, result = before.finished_at, before.value
    sleeper.send(signal.SIGCONT)
    sleeper.say("gate")
    sleeper.expect("end")
    sleeper.end()
    after = job.refresh()
    assert (after.state, after.value, after.finished_at) == (State.COMPLETED, result, finished_at)
    assert [one.pid for one in app.workers.list()] == [other.pid]


def test_locked_but_silent_worker_is_left_alone_until_its_lease_ends(
    durable_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A worker that is silent and still holds its lock keeps its job, which completes once it goes on."""
    app = make_app(durable_url)
    sleeper = worker_process(durable_url, "hold", lease="60s", silence="0.6s", heartbeat="0.2s")
    job = app.enqueue("work.report_pid", "gate")
    sleeper.expect("start")
    other = worker_process(durable_url, "pass", lease="60s", silence="0.6s", heartbeat="0.2s")
    sleeper.freeze(durable_url)
    eventually(lambda: "silent" in {one.state for one in app.workers.list()})
    assert [app.enqueue("work.quick", f"q{n}").result(20) for n in range(3)] == ["q0", "q1", "q2"]
    assert job.refresh().state is State.RUNNING
    sleeper.send(signal.SIGCONT)
    sleeper.say("gate")
    assert job.result(20) == sleeper.pid
    assert other.count("start") == 0


def test_lost_lease_rolls_back_what_the_job_wrote(
    postgres_url: str, make_app: Callable[..., Lineshaft], worker_process: StartProcess
) -> None:
    """A transaction still open when the lease is lost is rolled back: the effect is there once, the heir's.

    On SQLite an open transaction holds the one writer, so that nobody can rescue the job beside it.
    """
    app, schema = make_app(postgres_url), postgres_url.rpartition("schema=")[2]
    with app.transaction() as connection:
        connection.execute(f"create table {schema}.effect (name text)")
    url = f"{postgres_url}&options=-csearch_path%3D{schema}"
    sleeper = worker_process(url, "hold", **SHORT_LEASE)
    job = app.enqueue("work.write_once", "effect", "gate")
    sleeper.expect("wrote")
    heir = worker_process(url, "pass", **SHORT_LEASE)
    sleeper.send(signal.SIGSTOP)
    heir.expect("wrote")
    assert job.result(20) == "effect"
    sleeper.send(signal.SIGCONT)
    sleeper.say("gate")
    sleeper.end()
    with app.transaction() as connection:
        found = connection.execute(f"select name from {schema}.effect").fetchall()
    assert found == [("effect",)]
