"""A PostgreSQL server that is killed at chosen points, restarts again and again, refuses to write, or rolls back."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import psutil
import psycopg
import pytest

from lineshaft import Lineshaft
from lineshaft.clock import SECOND
from lineshaft.errors import StoreUnavailableError
from tests.chaos.conftest import Chaos
from tests.chaos.proxy import Link
from tests.chaos.test_kill_points import POINTS, assert_all_ran_once, load, run_to_the_end
from tests.plugins.apps import StartProcess, eventually
from tools.temporary_postgres import TemporaryPostgres

OwnServer = Callable[..., TemporaryPostgres]
MakeApp = Callable[..., Lineshaft]
# A server may take its time to recover, and a worker that died before that is rescued when its lease is over.
SLOW = {"heartbeat": "0.2s", "silence": "2s", "lease": "15s"}
AT_THE_END = ("set_draining", "sign-off")
SERVER_POINTS = [
    one for one in POINTS["postgres"] if not one.startswith(("child", "register_worker", "declare_worker"))
]
# What the tests with a second worker that comes back late have to outlast is the silence.
ALERT = {"heartbeat": "0.1s", "silence": "0.5s", "lease": "60s"}
QUICK_POINTS = ["claim_jobs: after", "complete_jobs: after"]


@pytest.fixture
def server(own_postgres_server: OwnServer) -> TemporaryPostgres:
    return own_postgres_server()


@pytest.fixture
def own_chaos(server: TemporaryPostgres, tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> Chaos:
    """A store on a server that the test may kill."""
    return Chaos(server.url, tmp_path, make_app, start_process)


def kill_all(server: TemporaryPostgres) -> None:
    """Kill a server with all its processes, and start it again."""
    kill(server)
    (server._data / "postmaster.pid").unlink(missing_ok=True)
    server.start()


def kill(server: TemporaryPostgres) -> None:
    """Kill the postmaster and its children as the system would."""
    postmaster = psutil.Process(server.pid)
    everybody = [postmaster, *postmaster.children(recursive=True)]
    for one in everybody:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    psutil.wait_procs(everybody, timeout=20)
    server.stop("immediate")


def kill_server_at(chaos: Chaos, server: TemporaryPostgres, point: str, *, with_orphan: bool = True) -> None:
    load(chaos, with_orphan=with_orphan)
    worker = chaos.start_worker(points=str(chaos.points), target=point, act="ask", **SLOW)
    is_told_to_stop = point.startswith(AT_THE_END)
    if is_told_to_stop:
        chaos.settle(60)
        worker.send(signal.SIGTERM)
    worker.expect("reached")
    kill_all(server)
    worker.say("go on")
    chaos.settle(60)
    code = worker.end() if is_told_to_stop else run_to_the_end(chaos, worker)
    assert code == 0, worker.errors()
    assert_all_ran_once(chaos)


@pytest.mark.parametrize("point", QUICK_POINTS)
def test_server_killed_at_a_decisive_point(own_chaos: Chaos, server: TemporaryPostgres, point: str) -> None:
    """A server killed with all its processes while a transaction is open costs no job and repeats no effect."""
    kill_server_at(own_chaos, server, point, with_orphan=False)


@pytest.mark.chaos
@pytest.mark.timeout(180)
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
        wanted = setting.rpartition(" ")[2].strip("'")
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


STRICT = ("default_transaction_isolation = 'serializable'", "default_transaction_isolation = 'repeatable read'")
HASTY = ("lock_timeout = '50ms'", "statement_timeout = '2s'")


@pytest.mark.parametrize("setting", STRICT)
def test_isolation_that_somebody_set(own_chaos: Chaos, setting: str) -> None:
    """Whatever isolation the role or the database has by default, concurrent workers lose no job and no attempt."""
    chaos = own_chaos
    set_role(chaos.url, setting)
    chaos.make_effects()
    workers = [chaos.worker() for _ in range(3)]
    for task in ("plain", "coroutine", "transactional", "parent", "talking"):
        chaos.enqueue_many(task, [f"{task}{number}" for number in range(20)])
    chaos.settle()
    chaos.assert_in_order()
    assert {(job.state, job.attempt) for job in chaos.app.jobs.iter()} == {("completed", 1)}
    assert [worker._popen.poll() for worker in workers] == [None] * 3


@pytest.mark.parametrize("setting", HASTY)
def test_limits_that_somebody_set(own_chaos: Chaos, server: TemporaryPostgres, setting: str) -> None:
    """A role's short limits, hit while another program holds the table, cost time, no job, no attempt and no worker."""
    chaos = own_chaos
    set_role(chaos.url, setting)
    chaos.make_effects()
    workers = [chaos.worker() for _ in range(2)]
    with psycopg.connect(server.url, options="-c lock_timeout=0 -c statement_timeout=0") as connection:
        connection.execute("lock table lineshaft.job")
        sent = threading.Thread(target=lambda: [chaos.enqueue("plain", f"during{number}") for number in range(20)])
        sent.start()
        eventually(lambda: all("does not answer" in worker.errors() for worker in workers))
    sent.join(30)
    chaos.settle()
    chaos.assert_in_order()
    assert {(job.state, job.attempt) for job in chaos.app.jobs.iter()} == {("completed", 1)}
    assert len(chaos.rows()) == 20
    assert [worker._popen.poll() for worker in workers] == [None] * 2


def set_role(url: str, setting: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"alter role current_user set {setting}")


def test_backend_killed(own_chaos: Chaos, server: TemporaryPostgres) -> None:
    """A session's process that the system kills ends all sessions; a worker that comes back late keeps its jobs."""
    own_chaos.make_effects()
    link = Link(server.url)
    late = own_chaos.worker("elsewhere:1", url=link.url, **ALERT)
    own_chaos.enqueue("held", "held", "gate", queue="elsewhere")
    late.expect("start held")
    prompt = own_chaos.worker(**ALERT)
    with psycopg.connect(server.url) as connection:
        victim = connection.info.backend_pid
        link.refuse()
        os.kill(victim, signal.SIGKILL)
    eventually(lambda: heartbeats_differ(server) > 2 * SECOND)
    link.lead_to(server.url)
    late.say("gate")
    own_chaos.settle()
    own_chaos.assert_in_order()
    assert [row.claim for row in own_chaos.rows()] == [1]
    assert [worker._popen.poll() for worker in (late, prompt)] == [None, None]
    link.close()


class SmallDisk(TemporaryPostgres):
    """A server whose data lie on a small file system of their own."""

    def close(self) -> None:
        """Stop the server and remove its disk."""
        self.stop("immediate")
        subprocess.run(["umount", str(self._data)], check=True)
        super().close()

    def fill(self) -> None:
        """Leave no byte free."""
        with (self._data / "ballast").open("wb") as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(1 << 16))
                ballast.flush()

    def free(self) -> None:
        """Give the space back; a server that died for want of it is started again."""
        (self._data / "ballast").unlink()
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return
        self.restart("immediate")

    def _initialize(self) -> None:
        self._data.mkdir()
        options = f"size=160m,mode=700,uid={self._user}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._data)], check=True)
        super()._initialize()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_disk_full(tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> None:
    """A full disk refuses an enqueue in one line and loses nothing; with space again, all goes on by itself."""
    with SmallDisk(max_wal_size="48MB", min_wal_size="32MB") as server:
        chaos = Chaos(server.url, tmp_path, make_app, start_process)
        chaos.make_effects()
        worker = chaos.worker(**SLOW)
        chaos.enqueue("held", "held", "gate")
        worker.expect("start held")
        server.fill()
        impatient = make_app(server.url, patience="0.2s")
        impatient.jobs.count()
        numbers = itertools.count()
        while chaos.enqueue("plain", f"during{next(numbers)}", app=impatient, meta={"pad": token_hex(20_000)}):
            """Until there is no room for another one."""
        with pytest.raises(StoreUnavailableError) as refused:
            impatient.enqueue("work.plain", "refused", meta={"pad": token_hex(20_000)})
        assert "\n" not in str(refused.value)
        worker.say("gate")
        server.free()
        chaos.enqueue("plain", "after")
        chaos.settle()
        chaos.assert_in_order()
        assert set(chaos.states().values()) == {"completed"}
        assert worker._popen.poll() is None
        chaos.app.close()
        impatient.close()


def heartbeats_differ(server: TemporaryPostgres) -> int:
    """Return by how many microseconds one worker has been silent for longer than the other."""
    with suppress(psycopg.OperationalError), psycopg.connect(server.url) as connection:
        found = connection.execute("select max(heartbeat_at) - min(heartbeat_at) from lineshaft.worker").fetchone()
        return int(found[0]) if found else 0
    return 0
