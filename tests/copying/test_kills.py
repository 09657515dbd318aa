"""A copy that is killed at any moment and begun again ends as one that was not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.copying import copy_store
from lineshaft.copying.record import closed_record
from lineshaft.store.copy import TABLES
from tests.copying.conftest import BULK
from tests.plugins.contents import Quiet, rows_of
from tests.plugins.engines import open_engine

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from tests.copying.conftest import Full

CHUNK = 400
LIMIT_SECONDS = 150
# Forks a process a run. Each run dies at the first edge of a write that no earlier run has died at, told apart by what
# the watcher heard last; the run that finds none ends the copy.
SCRIPT = """
import os, signal, sys
from lineshaft.app.store import open_engine
from lineshaft.config import parse_store
from lineshaft.copying import copy_store
from lineshaft.testing.commits import around_commits

class Run:
    def __init__(self, tell, seen):
        self.tell, self.seen, self.edges, self.at = tell, seen, 0, ("closing", 0)
    def step(self, what, total):
        self.edges, self.at = 0, (what, 0)
    def reached(self, done):
        self.edges, self.at = 0, (self.at[0], done)

class Edges:
    def __init__(self, run, role):
        self.run, self.role = run, role
    def opening(self):
        pass
    def committing(self):
        self.edge("before")
    def committed(self):
        self.edge("after")
    def edge(self, when):
        self.run.edges += 1
        name = f"{self.run.edges} {when} {self.role} {self.run.at[0]} {self.run.at[1]}"
        if name not in self.run.seen:
            os.write(self.run.tell, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)

def copy(tell, seen):
    run = Run(tell, seen)
    source, target = (open_engine(parse_store(one)) for one in sys.argv[1:3])
    with around_commits(source, Edges(run, "source")), around_commits(target, Edges(run, "target")):
        copy_store(source, target, run, chunk=int(sys.argv[3]))

seen = []
while True:
    ours, its = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        copy(its, seen)
        os._exit(0)
    os.close(its)
    name = os.read(ours, 1_000).decode()
    os.close(ours)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print("ended with", status)
        break
    seen.append(name)
    print(name)
"""


@pytest.mark.timeout(LIMIT_SECONDS + 30)
def test_killed_at_every_commit(full: Full, empty: Engine, empty_address: str) -> None:
    """Killed before and after each commit of both stores in turn, the copy is equal in the end and open once."""
    full.add_bulk()
    source_was = full.engine.read(rows_of)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, full.address, empty_address, str(CHUNK)],
        capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    *killed, last = done.stdout.splitlines()
    assert last == "ended with 0", done.stderr
    for table in ("finished jobs", "unfinished jobs"):
        chunks = [f"2 after target {table} {number}" for number in range(0, BULK // 2, CHUNK)]
        assert set(chunks) <= {_rounded(one) for one in killed}, f"{table}: {killed}"
    for table in TABLES:
        assert {f"{edge} target {table.title} 0" for edge in ("1 before", "2 after")} <= set(killed), table.title
    for role in ("source", "target"):
        assert {f"1 before {role} closing 0", f"2 after {role} closing 0"} <= set(killed), f"as the {role} is closed"
    opened = f"2 after target comparing {TABLES[-1].title}"
    assert any(one.startswith(opened) for one in killed), "as the target is opened"
    assert {"3 before source closing 0", "4 after source closing 0"} <= set(killed), "when all was done"

    there = full.engine.read(rows_of)
    assert empty.read(rows_of) == there
    assert {name: len(rows) for name, rows in there.items()} == {name: len(rows) for name, rows in source_was.items()}
    assert full.engine.read(closed_record) is not None
    assert empty.read(closed_record) is None


def _rounded(edge: str) -> str:
    """Return an edge with its count of rows rounded down to a chunk: pages are whole."""
    words, _, number = edge.rpartition(" ")
    return f"{words} {int(number) // CHUNK * CHUNK}"


def test_two_copies_at_once_take_turns(full: Full, empty: Engine, empty_address: str, race: Any) -> None:
    """Begun twice at once, a copy brings each row over once, and both runs say the same."""
    full.add_bulk()

    def run(_: int) -> Any:
        source, target = open_engine(full.address), open_engine(empty_address)
        try:
            return copy_store(source, target, Quiet(), chunk=CHUNK)
        finally:
            source.close()
            target.close()

    first, second = race(2, run)
    assert first == second
    assert empty.read(rows_of) == full.engine.read(rows_of)
