"""`backup` and `restore`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lineshaft.transitions import State

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

Call = Callable[..., "Ran"]


def test_there_and_back(call: Call, store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """A backup that is restored undoes what was done since, and says how to go on."""
    make_job(State.RUNNING, queue="pdf")
    make_job(queue="mail")
    make_job(State.COMPLETED, queue="done")
    ran = call("backup", "monday", "--store", address)
    assert ran.code == 0
    assert ran.out.startswith("backed up 2 unfinished jobs and 1 finished job of ")
    assert f" to {Path('monday').absolute()} (" in ran.out
    store.jobs.delete(queue="mail")
    ran = call("restore", "monday", "--yes", "--store", address)
    assert ran.code == 0
    first, *rest = ran.out.splitlines()
    assert first.startswith("restored 2 unfinished jobs and 1 finished job from ")
    assert rest == [
        "1 job ran when the backup was made and may have ended since; no attempt was used up",
        "the queues are paused: what waits in them may have run since the backup; look it over",
        "  lineshaft jobs list --state queued",
        "and let workers take it",
        "  lineshaft queues resume mail pdf",
    ]
    assert {job.queue: job.state for job in store.jobs.list()} == {
        "pdf": "queued", "mail": "queued", "done": "completed",
    }  # fmt: skip
    assert store.queues.get("mail").paused


def test_json(call: Call, store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """`--json` tells what there is in a backup, and which jobs were interrupted."""
    running = make_job(State.RUNNING).id
    backed_up = call("backup", "b", "--json", "--store", address).json
    assert set(backed_up) == {"file", "bytes", "store", "schema", "made_at", "rows"}
    assert {name: count for name, count in backed_up["rows"].items() if count} == {"unfinished": 1}
    assert {"finished", "queues", "logs", "unique_keys", "schedules", "ticks", "backfills"} < set(backed_up["rows"])
    assert backed_up["bytes"] == Path("b").stat().st_size
    restored = call("restore", "b", "--yes", "--resume", "--json", "--store", address).json
    assert set(restored) == {"store", "file", "backup", "paused", "interrupted"}
    assert (restored["paused"], restored["interrupted"]) == ([], [running])
    assert restored["backup"]["made_at"] == backed_up["made_at"]
    assert not store.queues.get("default").paused


def test_resume_leaves_queues_open(call: Call, store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """With `--resume` no queue is paused, and nothing is said of it."""
    make_job()
    call("backup", "b", "--store", address)
    assert len(call("restore", "b", "--yes", "--resume", "--store", address).out.splitlines()) == 1
    assert not store.queues.get("default").paused


def test_restore_asks_before_it_replaces(call: Call, terminal: Call, address: str, make_job: MakeJob) -> None:
    """Jobs that are there are replaced only if a person says so; an empty store is filled without a question."""
    make_job()
    call("backup", "b", "--store", address)
    ran = call("restore", "b", "--store", address)
    assert ran.code == 2
    assert "Replace all jobs of" in ran.complaint
    assert terminal("restore", "b", "--store", address, answer="n\n").code == 1
    shown = terminal("restore", "b", "--store", address, answer="y\n")
    assert shown.code == 0
    assert "restored 1 unfinished job" in shown.out
    assert call("restore", "b", "--store", "sqlite:///new.db").code == 0


def test_backup_replaces_backups_only(call: Call, terminal: Call, address: str, make_job: MakeJob) -> None:
    """An older backup is replaced if a person says so; any other file never is, a store least of all."""
    make_job()
    assert call("backup", "b", "--store", address).code == 0
    ran = call("backup", "b", "--store", address)
    assert ran.code == 2
    assert "Replace the backup" in ran.complaint
    assert "backed up" in terminal("backup", "b", "--store", address, answer="y\n").out
    assert call("backup", "b", "--yes", "--store", address).code == 0
    Path("notes").write_text("mine")
    assert call("backup", "notes", "--yes", "--store", address).complaint.endswith("choose another name")
    assert Path("notes").read_text() == "mine"


def test_a_store_is_no_backup_of_itself(call: Call) -> None:
    """The file of a store is neither replaced by its backup nor restored from."""
    call("migrate", "--store", "sqlite:///jobs.db")
    before = Path("jobs.db").read_bytes()
    assert (
        "is no backup that could be replaced"
        in call("backup", "jobs.db", "--yes", "--store", "sqlite:///jobs.db").complaint
    )
    assert "is not a backup" in call("restore", "jobs.db", "--yes", "--store", "sqlite:///jobs.db").complaint
    assert Path("jobs.db").read_bytes() == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_wrong_use(call: Call, command: str) -> None:
    """A command without a file, with a folder, or where there is no store says so in one line."""
    assert call(command).code == 2
    assert call(command, ".").code == 2
    assert call(command, "b").code == 1
    assert not list(Path().iterdir()), "nothing was made"


def test_memory_is_refused(call: Call) -> None:
    """A store that ends with the command has no backups."""
    assert "ends with its process" in call("backup", "b", "--store", "memory://").complaint
