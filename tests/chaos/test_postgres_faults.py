"""A PostgreSQL server that is killed at chosen points, restarts again and again, refuses to write, or rolls back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from lineshaft import Lineshaft
from tests.chaos.conftest import Chaos
from tests.chaos.test_kill_points import POINTS, assert_all_ran_once, load, run_to_the_end
from tests.plugins.apps import StartProcess, eventually
from tools.temporary_postgres import TemporaryPostgres

pytestmark = pytest.mark.chaos

OwnServer = Callable[..., TemporaryPostgres]
MakeApp = Callable[..., Lineshaft]
SLOW = {"heartbeat": "0.2s", "silence": "2s", "lease": "6s"}
SERVER_POINTS = [one for one in POINTS["postgres"] if not one.startswith(("child", "register_worker", "sign-off"))]
QUICK_POINTS = ["claim_jobs: after", "complete_jobs: after"]


@pytest.fixture
def server(own_postgres_server: OwnServer) -> TemporaryPostgres:
    return own_postgres_server()


@pytest.fixture
def own_chaos(server: TemporaryPostgres, tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> Chaos:
    """A store on a server that the test may kill."""
    return Chaos(server.url, tmp_path, make_app, start_process)


def kill_all(server: TemporaryPostgres) -> None:
    """Kill the postmaster and its children as the system would, and start the server again."""
    postmaster = psutil.Process(server.pid)
    everybody = [postmaster, *postmaster.children(recursive=True)]
    for one in everybody:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    psutil.wait_procs(everybody, timeout=20)
    server.stop("immediate")
    (server._data / "postmaster.pid").unlink(missing_ok=True)
    server.start()


def kill_server_at(chaos: Chaos, server: TemporaryPostgres, point: str) -> None:
    load(chaos)
    worker = chaos.start_worker(points=str(chaos.points), target=point, act="ask", **SLOW)
    worker.expect("reached")
    kill_all(server)
    worker.say("go on")
    assert run_to_the_end(chaos, worker) == 0, worker.errors()
    assert_all_ran_once(chaos)


@pytest.mark.parametrize("point", QUICK_POINTS)
def test_server_killed_at_a_decisive_point(own_chaos: Chaos, server: TemporaryPostgres, point: str) -> None:
    """A server killed with all its processes while a transaction is open costs no job and repeats no effect."""
    kill_server_at(own_chaos, server, point)


@pytest.mark.chaos
@pytest.mark.parametrize("point", SERVER_POINTS)
def test_server_killed(own_chaos: Chaos, server: TemporaryPostgres, point: str) -> None:
    """Whichever point of the worker's cycle the server is killed at, every job ends once and every effect is there."""
    kill_server_at(own_chaos, server, point)


@contextmanager
def load_going_on(chaos: Chaos) -> Iterator[None]:
    """Enqueue jobs one by one in a thread for the length of the block."""
    is_over = threading.Event()

    def enqueue() -> None:
        number = 0
        while not is_over.wait(0.005):
            chaos.enqueue("plain", f"load{number}")
            number += 1

    client = threading.Thread(target=enqueue)
    client.start()
    try:
        yield
    finally:
        is_over.set()
        client.join(60)


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_server_restarted_again_and_again(own_chaos: Chaos, server: TemporaryPostgres) -> None:
    """Six restarts under load, in order and as crashes, lose nothing and double nothing, and the workers live on."""
    own_chaos.make_effects()
    workers = [own_chaos.worker(**SLOW) for _ in range(2)]
    finished = 0
    with load_going_on(own_chaos):
        for mode in ("fast", "immediate") * 3:
            wanted = finished + 100
            eventually(lambda wanted=wanted: own_chaos.app.jobs.count(state="completed") >= wanted, 40)
            finished = own_chaos.app.jobs.count(state="completed")
            server.restart(mode)
    own_chaos.settle(40)
    own_chaos.assert_in_order()
    assert [worker._popen.poll() for worker in workers] == [None, None]


def test_read_only_server(own_chaos: Chaos, server: TemporaryPostgres) -> None:
    """A server that becomes read-only keeps what runs, takes nothing, and all goes on once it may write again."""
    own_chaos.make_effects()
    worker = own_chaos.worker(**SLOW)
    held = own_chaos.enqueue("held", "held", "gate")
    worker.expect("start held")
    set_server(server, "default_transaction_read_only = on")
    worker.say("gate")
    impatient = Lineshaft(own_chaos.url, patience="0.2s")
    impatient.jobs.count()
    assert own_chaos.enqueue("plain", "refused", app=impatient) is None
    impatient.close()
    eventually(lambda: "does not answer" in worker.errors())
    assert held.refresh().state == "running"
    set_server(server, "default_transaction_read_only = off")
    own_chaos.enqueue("plain", "after")
    own_chaos.settle()
    own_chaos.assert_in_order()
    assert own_chaos.states() == {"held": "completed", "after": "completed"}


def set_server(server: TemporaryPostgres, setting: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute(f"alter system set {setting}")
        connection.execute("select pg_reload_conf()")
        name = setting.partition(" ")[0]
        wanted = setting.rpartition(" ")[2]
    with psycopg.connect(server.url, autocommit=True) as connection:
        eventually(lambda: connection.execute(f"show {name}").fetchone() == (wanted,))


def test_deadlocks_and_serialization_failures(postgres_url: str, chaos_on_postgres: Chaos) -> None:
    """Another program that locks the store's rows crosswise costs time, no job and no attempt."""
    chaos = chaos_on_postgres
    chaos.make_effects()
    url, schema = postgres_url.rpartition("?")[0], postgres_url.rpartition("schema=")[2]
    is_over, deadlocks = threading.Event(), []

    def disturb() -> None:
        with psycopg.connect(url, autocommit=True, options="-c deadlock_timeout=10ms") as connection:
            while not is_over.is_set():
                try:
                    with connection.transaction():
                        for order in ("desc", "asc"):
                            connection.execute(
                                f"update {schema}.job set meta = meta where id in"
                                f" (select id from {schema}.job where worker is not null order by id {order} limit 5)"
                            )
                except psycopg.errors.DeadlockDetected:
                    deadlocks.append(1)

    disturbers = [threading.Thread(target=disturb) for _ in range(2)]
    workers = [chaos.worker() for _ in range(2)]
    for one in disturbers:
        one.start()
    for batch in range(10):
        chaos.enqueue_many("plain", [f"job{batch}-{number}" for number in range(50)])
    chaos.settle()
    is_over.set()
    for one in disturbers:
        one.join(20)
    chaos.assert_in_order()
    assert {job.attempt for job in chaos.app.jobs.iter()} == {1}
    assert len(workers) == 2


@pytest.fixture
def chaos_on_postgres(postgres_url: str, tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> Chaos:
    """A store on the shared server."""
    return Chaos(postgres_url, tmp_path, make_app, start_process)
