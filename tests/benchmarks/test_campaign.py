from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from benchmarks.harness import campaign, crash, steps
from benchmarks.harness.campaign import Campaign, Scope
from benchmarks.harness.peers import find_peers, subjects
from benchmarks.harness.results import Run
from benchmarks.harness.servers import Servers
from benchmarks.harness.steps import Sizes

TOY = '''
"""A job system of one table, which gives the jobs of a dead worker to the next one as soon as it starts."""

import os
import signal
import sqlite3
import sys
import threading
import time

import marks

TITLE = "Toy"
PACKAGES = ()
STORE = "SQLite"
KEEPS_RESULT = True
SETTINGS = "none"
DRAIN_SLOTS = {"": 2}

path = os.environ["BENCH_FOLDER"] + "/toy.db"
store = sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)
store.execute("pragma synchronous = off")
store.execute("pragma journal_mode = wal")
one_at_a_time = threading.Lock()


def prepare():
    store.execute("create table job (number integer primary key, task text, state text default 'waiting')")


def enqueue(task, number):
    store.execute("insert into job (number, task) values (?, ?)", (number, task))


def worker_commands(processes, slots, variant):
    return [[sys.executable, __file__, str(slots)]] * processes


def finished():
    return store.execute("select count(*) from job where state = 'done'").fetchone()[0]


def work():
    while True:
        with one_at_a_time:
            claimed = store.execute(
                "update job set state = 'running' where number = (select min(number) from job where state = 'waiting')"
                " returning number, task").fetchall()
        if not claimed:
            time.sleep(0.005)
        for number, task in claimed:
            (marks.hold if task == "hold" else marks.note)(number)
            with one_at_a_time:
                store.execute("update job set state = 'done' where number = ?", (number,))


if __name__ == "__main__":
    if "hold" in {task for (task,) in store.execute("select task from job where state = 'running'")}:
        store.execute("update job set state = 'waiting' where state = 'running'")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for _ in range(int(sys.argv[1])):
        threading.Thread(target=work, daemon=True).start()
    signal.pause()
'''
SIZES = Sizes(warm_up=20, pick_ups=3, singles=50, jobs=60, many_jobs=60)


@pytest.fixture
def peers(tmp_path: Path) -> Path:
    folder = tmp_path / "peers"
    folder.mkdir()
    (folder / "peer_toy.py").write_text(TOY)
    (folder / "peer_absent.py").write_text(TOY.replace("import marks", "import nowhere_to_be_found"))
    (folder / "peer_broken.py").write_text(TOY.replace("def work():", "def work():\n    os._exit(3)"))
    return folder


@pytest.fixture
def run(peers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(campaign, "LIMITS", [])
    monkeypatch.setattr(crash, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(crash, "_SETTLE_SECONDS", 0.2)
    monkeypatch.setattr(steps, "_SETTLE_SECONDS", 0.1)
    root = tmp_path / "root"
    root.mkdir()
    kept: list[Run] = []
    with Servers().running() as servers:
        scope = Scope(repetitions=1, sizes=SIZES)
        found = Campaign(subjects(find_peers(peers)), scope, servers, root, kept.append).execute()
    assert len(kept) == 1
    assert not list(root.iterdir())
    shutil.rmtree(root)
    return found


def test_a_run_measures_who_can_be_measured_and_names_the_others(run: Run) -> None:
    """A whole run over a peer that works, one that cannot be imported and one whose workers die.

    The first has every figure, the others their reason, and no process is left.
    """
    toy, absent, broken = (run.find(name) for name in ("toy", "absent", "broken"))
    assert toy
    assert absent
    assert broken
    assert toy.problems == []
    [figures] = toy.repetitions
    assert figures.keys() >= {"pick_up_p50_ms", "single_per_second", "drain_one", "drain_two", "idle_rss_mib"}
    assert min(figures[key] for key in ("pick_up_p50_ms", "single_per_second", "drain_one", "drain_two")) > 0
    assert (figures["crash_in_flight"], figures["crash_again"]) == (8, 8)
    assert (figures["crash_lost"], figures["crash_doubled"]) == (0, 0)
    assert 0 < figures["crash_again_seconds"] < 20
    assert "bulk_per_second" not in figures  # it has no call for that
    assert absent.repetitions == []
    assert [problem for problem in absent.problems if "No module named 'nowhere_to_be_found'" in problem]
    assert broken.problems[0].startswith("a worker ended")
    assert "drain_one" not in broken.repetitions[0]
    assert not [one for one in psutil.Process().children(recursive=True) if "peer_" in " ".join(one.cmdline())]


def test_a_run_that_is_late_says_what_it_left_out(peers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is up, what is not measured any more is named."""
    monkeypatch.setattr(campaign, "LIMITS", [])
    with Servers().running() as servers:
        chosen = subjects(find_peers(peers), ["toy"])
        run = Campaign(chosen, Scope(repetitions=1, minutes=0), servers, tmp_path, lambda _: None).execute()
    assert run.subjects[0].problems == ["not measured to the end: the run's 0 minutes were over"]
