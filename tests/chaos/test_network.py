"""Networks between Lineshaft and PostgreSQL that are silent without breaking, or slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lineshaft import Lineshaft
from lineshaft.errors import StoreUnavailableError
from tests.chaos.conftest import Chaos
from tests.chaos.proxy import Link
from tests.plugins.apps import StartProcess, StartWorker, eventually

MakeApp = Callable[..., Lineshaft]
LEASE = {"heartbeat": "0.2s", "silence": "1s", "lease": "4s", "stop_patience": "0.4s"}
IMPATIENT = "&connect_timeout=2"


@pytest.fixture
def chaos_on_postgres(postgres_url: str, tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> Chaos:
    """A store whose test reaches the server without a link."""
    return Chaos(postgres_url, tmp_path, make_app, start_process)


@pytest.fixture
def link(postgres_url: str) -> Iterator[Link]:
    one = Link(postgres_url)
    yield one
    one.close()


@pytest.mark.chaos
def test_worker_behind_a_silent_network(chaos_on_postgres: Chaos, link: Link) -> None:
    """A worker whose network swallows everything stops its jobs before others may take them; they complete once."""
    chaos = chaos_on_postgres
    chaos.make_effects()
    cut_off = chaos.worker(url=link.url + IMPATIENT, **LEASE)
    for number in range(3):
        chaos.enqueue("held", f"held{number}", "never")
        cut_off.expect("start")
    link.go_silent()
    heir = chaos.worker(**LEASE)
    chaos.settle()
    assert cut_off._popen.wait(30) == 75, cut_off.errors()
    chaos.assert_in_order()
    assert set(chaos.states().values()) == {"completed"}
    assert heir._popen.poll() is None
    assert cut_off.errors().count("stops its jobs: its lease is about to end") == 1


def test_worker_whose_connections_went_silent(chaos_on_postgres: Chaos, link: Link) -> None:
    """A worker whose connections are swallowed, as by a router that forgot them, takes new ones and goes on."""
    chaos = chaos_on_postgres
    chaos.make_effects()
    worker = chaos.worker(url=link.url + IMPATIENT, **{**LEASE, "lease": "60s"})
    chaos.enqueue("held", "held", "gate")
    worker.expect("start held")
    link.go_silent()
    link.recover()
    chaos.enqueue("plain", "after")
    worker.say("gate")
    chaos.settle()
    chaos.assert_in_order()
    assert chaos.states() == {"held": "completed", "after": "completed"}
    assert chaos.app.jobs.get(next(row.job for row in chaos.rows() if row.key == "held")).attempt == 1
    assert worker._popen.poll() is None


def test_client_behind_a_silent_network(chaos_on_postgres: Chaos, link: Link) -> None:
    """An enqueue into a silent network says in one line that no answer came, and works on a new connection."""
    chaos = chaos_on_postgres
    chaos.worker()
    client = Lineshaft(link.url + IMPATIENT, patience="0.1s")
    chaos.enqueue("plain", "before", app=client)
    link.go_silent()
    with pytest.raises(StoreUnavailableError, match=r"no answer for 2 s|connection timeout expired") as caught:
        client.enqueue("work.plain", "nobody")
    assert "\n" not in str(caught.value)
    link.recover()
    chaos.enqueue("plain", "after", app=client)
    client.close()
    chaos.settle()
    chaos.assert_in_order()
    assert chaos.states() == {"before": "completed", "after": "completed"}


def test_statement_that_takes_long_is_waited_for(postgres_url: str, link: Link, make_app: MakeApp) -> None:
    """A server that works on an answer for longer than a network may be silent is not taken for one that is gone."""
    app = make_app(link.url + IMPATIENT)
    app.jobs.count()
    with app.transaction() as connection:
        assert connection.execute("select 'done' from pg_sleep(2.5)").fetchone() == ("done",)


@pytest.mark.chaos
def test_slow_network(chaos_on_postgres: Chaos, link: Link) -> None:
    """Over a network in which each small piece takes its time, for worker and client, everything ends once."""
    chaos = chaos_on_postgres
    chaos.make_effects()
    link.delay, link.piece = 0.05, 1_024
    worker = chaos.worker(url=link.url)
    client = Lineshaft(link.url)
    for task in ("plain", "coroutine", "failing", "snoozing", "transactional", "parent"):
        chaos.enqueue(task, task, app=client)
    client.close()
    chaos.settle()
    chaos.assert_in_order()
    assert set(chaos.states().values()) == {"completed"}
    assert worker._popen.poll() is None


def test_far_database(postgres_url: str, link: Link, make_app: MakeApp, start_worker: StartWorker) -> None:
    """A worker far from its database claims short jobs by hundreds: the way is not taken for the jobs' own time."""
    app, near = make_app(link.url), make_app(postgres_url)

    @app.task(name="short")
    def short(number: int) -> int:
        return number

    worker = start_worker(app, {"default": 10})
    link.delay = 0.03
    # The worker notices at its heartbeats how far the store is.
    eventually(lambda: app._store.engine.clock.round_trip > link.delay)
    near.enqueue_many([short.new(number) for number in range(3_000)])
    eventually(lambda: near.jobs.count(state="completed") == 3_000)
    rounds = len({job.finished_at for job in near.jobs.iter()})
    assert rounds < 60, f"3,000 jobs were written in {rounds} transactions"
    floor = worker.worker.claimer.queues["default"].floor
    eventually(lambda: floor.place is None)  # one answer on a busy machine may come late; no floor stays for that
