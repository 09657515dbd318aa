"""A SQLite file with many writers, a killed writer, a full disk, a reader that never ends."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lineshaft import Lineshaft
from tests.chaos.conftest import Chaos
from tests.plugins.apps import StartProcess, eventually

MakeApp = Callable[..., Lineshaft]
PRODUCER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from history import Kind, Recorder
from lineshaft import Lineshaft
app, recorder = Lineshaft(sys.argv[2]), Recorder(sys.argv[3])
for number in range(int(sys.argv[5])):
    key = f"{sys.argv[4]}-{number}"
    recorder.note(Kind.SENT, key)
    recorder.note(Kind.ACKNOWLEDGED, key, app.enqueue("work.plain", key).id)
print("done", flush=True)
"""
HALF_A_WRITE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size = 1")
connection.execute("begin immediate")
connection.execute("create table half (text)")
for _ in range(2000):
    connection.execute("insert into half values (randomblob(1000))")
print("written", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def chaos(tmp_path: Path, make_app: MakeApp, start_process: StartProcess) -> Chaos:
    """A store on a SQLite file."""
    return Chaos(f"sqlite:///{tmp_path / 'jobs.db'}", tmp_path, make_app, start_process)


def produce(chaos: Chaos, start_process: StartProcess, name: str, count: int) -> None:
    # A script each: one that is written anew while another Python starts to read it is empty.
    script = chaos.folder / f"producer_{name}.py"
    script.write_text(PRODUCER)
    start_process(script, str(Path(__file__).parent), chaos.url, str(chaos.history), name, str(count))


def test_many_processes_contend(chaos: Chaos, start_process: StartProcess) -> None:
    """Three processes that enqueue and three workers on one file lose nothing and run nothing twice."""
    chaos.make_effects()
    workers = [chaos.worker() for _ in range(3)]
    for name in "abc":
        produce(chaos, start_process, name, 150)
    eventually(lambda: chaos.app.jobs.count(state="completed") == 450)
    chaos.assert_in_order()
    assert [worker._popen.poll() for worker in workers] == [None] * 3


def test_writer_killed_in_the_middle_of_a_write(chaos: Chaos, start_process: StartProcess) -> None:
    """A process killed inside a transaction that had spilled to the log leaves no lock, no half write, no damage."""
    chaos.make_effects()
    chaos.worker()
    script = chaos.folder / "half.py"
    script.write_text(HALF_A_WRITE)
    for number in range(3):
        writer = start_process(script, str(chaos.folder / "jobs.db"))
        chaos.enqueue("plain", f"during{number}")
        writer.expect("written")
        assert writer.end() == -signal.SIGKILL
        assert chaos.enqueue("plain", f"after{number}").result(20) == f"after{number}"
    chaos.settle()
    chaos.assert_in_order()
    with sqlite3.connect(chaos.folder / "jobs.db") as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) from sqlite_master where name = 'half'").fetchone() == (0,)
    connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be set on Linux only")
def test_full_disk(chaos: Chaos, make_app: MakeApp) -> None:
    """A disk that fills up under running jobs stops the writes, and all goes on by itself once there is room.

    A limit to the size of files stands for it: SQLite is told the same at a write that does not fit.
    """
    chaos.make_effects()
    worker = chaos.worker()
    chaos.enqueue("held", "held", "gate")
    worker.expect("start held")
    impatient = make_app(chaos.url, patience="0.2s")
    impatient.jobs.count()
    with full_disk(chaos.folder, worker.pid, os.getpid()):
        assert chaos.enqueue("plain", "refused", app=impatient) is None
        worker.say("gate")
        eventually(lambda: "does not answer" in worker.errors())
        assert chaos.states() == {"held": "running"}
    chaos.enqueue("plain", "after")
    chaos.settle()
    chaos.assert_in_order()
    assert chaos.states().keys() - {"refused"} == {"held", "after"}
    assert worker._popen.poll() is None
    with sqlite3.connect(chaos.folder / "jobs.db") as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()


@contextmanager
def full_disk(folder: Path, *processes: int) -> Iterator[None]:
    """Let these processes write nothing behind the present end of the store's log; Python ignores SIGXFSZ."""
    size = (folder / "jobs.db-wal").stat().st_size
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in processes}
    try:
        for pid, (_, hard) in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_reader_that_never_ends_starves_the_checkpoint(chaos: Chaos) -> None:
    """While a reader holds an old snapshot the log grows and jobs go on; once it is gone the log is written back."""
    chaos.make_effects()
    worker = chaos.worker()
    reader = sqlite3.connect(chaos.folder / "jobs.db", isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from lineshaft_job").fetchone()
    for batch in range(20):
        chaos.enqueue_many("plain", [f"{batch}-{number}" for number in range(300)])
    chaos.settle()
    log = chaos.folder / "jobs.db-wal"
    grown = log.stat().st_size
    assert reader.execute("select count(*) from lineshaft_job").fetchone() == (0,)
    reader.close()
    chaos.app._store.engine.vacuum()
    assert log.stat().st_size < grown
    chaos.assert_in_order()
    assert worker._popen.poll() is None
