"""`copy`."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lineshaft import Blob, Lineshaft, StoreClosedError
from lineshaft.store.upkeep import register_worker
from lineshaft.transitions import State

if TYPE_CHECKING:
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

Call = Callable[..., "Ran"]


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest) -> str:
    """The address of a store that is not there yet, on each engine in turn."""
    if request.param == "sqlite":
        return "sqlite:///moved.db"
    found: str = request.getfixturevalue("other_postgres_url")
    return found


def test_moved(call: Call, store: Lineshaft, address: str, target: str, make_job: MakeJob) -> None:
    """The command says what it moved, that both are equal, and where to go on; in a pipe a line a step."""
    running = make_job(State.RUNNING, queue="pdf").id
    make_job(State.COMPLETED, queue="done")
    ran = call("copy", address, target)
    assert ran.code == 0
    assert ran.err.splitlines()[:2] == ["finished jobs: 1", "unfinished jobs: 1"]
    assert "\x1b" not in ran.out + ran.err
    first, head, *table, held, last = ran.out.splitlines()
    assert first.startswith("moved 1 unfinished job and 1 finished job from ")
    assert head.split() == ["table", "rows", "checksum", "of", "both"]
    assert [re.sub(r"  +", "|", line).split("|")[:2] for line in table] == [
        ["finished jobs", "1"], ["unfinished jobs", "1"], ["queues", "0"], ["logs of jobs", "0"], ["unique keys", "0"],
        ["schedules", "0"], ["ticks of schedules", "0"], ["backfills", "0"], ["limits", "0"], ["gates of limits", "0"],
        ["turns of fair queues", "0"], ["courses of limits", "0"],
    ]  # fmt: skip
    assert held == "1 job was held by a worker that had died; it waits again and no attempt was used up"
    assert " is closed since 20" in last
    assert "start the workers on " in last
    moved = Lineshaft(target)
    assert moved.jobs.get(running).state == "queued"
    moved.close()
    with pytest.raises(StoreClosedError, match="was closed to be moved to"):
        store.queues.pause("pdf")


def test_large_values_are_named(call: Call) -> None:
    """Of a file with large values beside it, the command says where they stay and how to go on."""
    app = Lineshaft("sqlite:///old.db")

    @app.task(name="keep")
    def keep(content: Blob) -> None:
        """Do nothing."""

    keep.enqueue(Blob(b"large"))
    app.close()
    ran = call("copy", "sqlite:///old.db", "sqlite:///new.db")
    assert ran.code == 0
    folder = Path("old.db-blobs").resolve()
    assert f"its large values stay in {folder}: copy them too" in ran.err
    moved = Lineshaft("sqlite:///new.db", blobs=str(folder))
    [job] = moved.jobs.list(name="keep")
    assert job.state == "queued"
    moved.close()


def test_json(call: Call, store: Lineshaft, address: str, target: str, make_job: MakeJob) -> None:
    """`--json` gives rows and checksum of each table and the jobs that were held, and nothing on standard error."""
    running = make_job(State.RUNNING).id
    ran = call("copy", address, target, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["interrupted"] == [running]
    assert ran.json["tables"]["unfinished"]["rows"] == 1
    assert re.fullmatch("[0-9a-f]{32}", ran.json["tables"]["unfinished"]["digest"])
    assert call("copy", address, target, "--json").json == ran.json, "the same line once more says the same"


def test_bar_on_a_terminal(terminal: Call, store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """On a terminal a bar shows the table and how many of its rows are copied."""
    make_job(State.COMPLETED)
    ran = terminal("copy", address, "sqlite:///moved.db")
    assert ran.code == 0
    assert "\x1b[" in ran.out
    assert re.search(r"unique keys.*━", ran.out)
    assert "moved 0 unfinished jobs and 1 finished job from " in ran.out


def test_reopen(call: Call, terminal: Call, store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """A closed store is opened again by a person who was told what that means."""
    make_job()
    assert "is not closed" in call("copy", address, "--reopen", "--yes").complaint
    assert call("copy", address, "sqlite:///moved.db").code == 0
    refused = call("jobs", "enqueue", "shop.render", "--store", address)
    assert refused.code == 1
    assert re.match(r"the store .* was closed to be moved to .*moved\.db; use that one", refused.complaint)
    assert "there is no terminal to ask on" in call("copy", address, "--reopen").complaint
    asked = terminal("copy", address, "--reopen", answer="n\n")
    assert asked.code == 1
    assert "jobs run in both" in asked.out
    assert call("copy", address, "--reopen", "--yes", "--json").json["target"].endswith("moved.db")
    assert call("jobs", "enqueue", "shop.render", "--store", address).code == 0


def test_worker_of_a_closed_store(process: Call, call: Call, work: Path) -> None:
    """A worker that is started on a store that has moved ends with the line that says where to."""
    assert call("migrate", "--store", "sqlite:///jobs.db").code == 0
    assert call("copy", "sqlite:///jobs.db", "sqlite:///moved.db").code == 0
    ran = process("--app", "work:app", "worker")
    assert ran.code == 1
    assert re.search(r"^lineshaft: the store .*jobs\.db was closed to be moved to .*moved\.db", ran.err, re.MULTILINE)


WRONG = {
    "nothing": ((), 2, "Missing argument 'FROM'"),
    "no target": (("sqlite:///jobs.db",), 2, "name FROM and TO, or FROM alone with --reopen"),
    "reopen with a target": (("sqlite:///jobs.db", "sqlite:///b.db", "--reopen"), 2, "FROM alone with --reopen"),
    "no address": (("jobs.db", "sqlite:///b.db"), 2, "'jobs.db' is not a store address"),
    "memory": (("sqlite:///jobs.db", "memory://"), 2, "memory:// ends with its process and cannot be copied"),
    "itself": (("sqlite:///jobs.db", "sqlite:///./jobs.db"), 2, "are the same store"),
    "no store": (("sqlite:///nosuch.db", "sqlite:///b.db"), 1, "nosuch.db holds no Lineshaft store"),
    "no folder": (("sqlite:///jobs.db", "sqlite:///no/such/b.db"), 1, "cannot be opened"),
    "a target that is in use": (("sqlite:///jobs.db", "sqlite:///other.db"), 1, "other.db holds jobs or settings"),
    "a target that is no store": (("sqlite:///jobs.db", "sqlite:///text"), 1, "file is not a database"),
    "nobody there": (("sqlite:///jobs.db", "postgresql://x@127.0.0.1:{port}/x"), 1, "PostgreSQL cannot be reached"),
    "a source that nobody serves": (("postgresql://x@127.0.0.1:{port}/x", "sqlite:///b.db"), 1, "cannot be reached"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use(call: Call, case: str) -> None:
    """What cannot be is told in one line, and the source stays open."""
    for name in ("jobs.db", "other.db"):
        assert call("migrate", "--store", f"sqlite:///{name}").code == 0
    assert call("jobs", "enqueue", "shop.render", "--store", "sqlite:///other.db").code == 0
    Path("text").write_text("no store " * 2_000)
    given, code, words = WRONG[case]
    ran = call("copy", *(one.format(port=_free_port()) for one in given))
    assert ran.code == code
    assert words in ran.complaint
    assert call("jobs", "enqueue", "shop.render", "--store", "sqlite:///jobs.db").code == 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_live_worker(call: Call, store: Lineshaft, address: str) -> None:
    """A worker that runs is named, with the command that ends it."""
    engine = store._store.engine
    now = engine.clock.now()
    engine.write(
        lambda tx: register_worker(tx, host="web-3", pid=1, version="1", queues={"default": 1}, tasks=[], now=now)
    )
    complaint = call("copy", address, "sqlite:///moved.db").complaint
    assert re.search(
        r"has live workers \(\d+ on web-3\); end them, by 'lineshaft workers drain --all --wait'", complaint
    )
