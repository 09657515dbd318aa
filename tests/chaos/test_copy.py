"""A large store moved from SQLite to PostgreSQL and on to SQLite, killed on the way, equal by checksum at each end."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.ids import new_id
from lineshaft.store.copy import FINISHED, LOGS, TABLES, UNFINISHED, UNIQUE_KEYS, Digest, load_rows, take_rows
from lineshaft.transitions import State
from tests.plugins.engines import NOW, _Maker, open_engine

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Tx

LIVE = 100_000
ENDED = 1_000_000
MADE = (
    State.QUEUED, State.SCHEDULED, State.RETRYING, State.COMPLETED, State.DEAD, State.CANCELLED, State.EXPIRED,
)  # fmt: skip
ARGS = f'[[1],{{"page":"{"ü" * 60}"}}]'
KILLS = (("finished jobs", 40_000), ("finished jobs", ENDED * 7 // 10), ("unfinished jobs", LIVE // 2))
"""When the copy is killed: at which table, behind how many rows."""
KILLED = """
import os, signal, sys
from lineshaft.app.store import open_engine
from lineshaft.config import parse_store
from lineshaft.copying import copy_store

class Killer:
    def step(self, what, total):
        self.what = what
    def reached(self, done):
        if self.what == sys.argv[3] and done >= int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

source, target = (open_engine(parse_store(one)) for one in sys.argv[1:3])
copy_store(source, target, Killer())
"""
LIMIT_SECONDS = 600


@pytest.fixture
def large(sqlite_engine: Engine) -> Engine:
    """A SQLite store of 1,100,000 jobs in all states: copies, with ids of their own, of jobs that were really run."""
    make_job = _Maker(sqlite_engine)
    for state in MADE:
        make_job(state, queue=f"in-{state}", args=ARGS)

    def multiply(tx: Any) -> None:
        ids = []
        for table, count in ((FINISHED, ENDED), (UNFINISHED, LIVE)):
            templates = list(take_rows(tx, table))
            ids = [new_id() for _ in range(count - len(templates))]
            load_rows(tx, table, ((one, *row[1:]) for one, row in zip(ids, cycle(templates), strict=False)))
        load_rows(tx, LOGS, ((one, 1, 1, '{"it":"ran"}', NOW) for one in ids[:20_000]))
        load_rows(tx, UNIQUE_KEYS, ((f"{one:0>64}", one, None) for one in ids[:20_000]))

    sqlite_engine.write(multiply)
    return sqlite_engine


def checksums(tx: Tx) -> dict[str, dict[str, Any]]:
    """Return the count and checksum of each table."""
    found = {}
    for table in TABLES:
        digest = Digest()
        for _ in digest.over(take_rows(tx, table)):
            continue
        found[table.name] = {"rows": digest.count, "digest": digest.text}
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip


def move(source: str, target: str) -> dict[str, Any]:
    """Copy, killed on the way, and return what the command that ended it said."""
    for table, behind in KILLS:
        assert run("-c", KILLED, source, target, table, str(behind)).returncode == -9
    done = run("-m", "lineshaft", "copy", source, target, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.chaos
@pytest.mark.timeout(4 * LIMIT_SECONDS)
def test_a_million_jobs_there_and_back(large: Engine, postgres_url: str, tmp_path: Path) -> None:
    """SQLite → PostgreSQL → SQLite, killed three times each way: the stores are equal, the last one is open."""
    before = large.read(checksums)
    assert (before["unfinished"]["rows"], before["finished"]["rows"]) == (LIVE, ENDED)
    there = move(large.address, postgres_url)
    assert there["tables"] == before
    back = move(postgres_url, f"sqlite:///{tmp_path / 'back.db'}")
    assert back["tables"] == before
    last = open_engine(f"sqlite:///{tmp_path / 'back.db'}")
    assert last.read(checksums) == before
    last.close()
