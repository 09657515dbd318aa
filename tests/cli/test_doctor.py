"""`doctor`: what it prints, and its exit codes."""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import click
import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran


def test_a_well_store(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Where nothing is wrong, one line says what was looked for, and the exit code is 0."""
    store.migrate()
    ran = call("doctor", "--held", "1h", "--free", "1KB", "--waiting", "90s", "--store", address)
    assert ran.code == 0
    assert ran.out.startswith(f"{store.address}: nothing is wrong; looked for a newer schema, an old schema, ")
    bounds = (
        "held open for more than 1h",
        "without a worker for more than 1m30s",
        "almost full (less than 0.0 MB left)",
    )
    for bound in bounds:
        assert bound in ran.out
    ran = call("doctor", "--held", "1h", "--store", address, "--json")
    assert {key: ran.json[key] for key in ("is_well", "store", "findings")} == {
        "is_well": True, "store": store.address, "findings": [],
    }  # fmt: skip
    assert "a transaction held open for more than 1h" in ran.json["looked_for"]
    assert all(one.keys() == {"ailment", "reason"} for one in ran.json["unseen"])


def test_the_gravest_comes_first(
    call: Callable[..., Ran], terminal: Callable[..., Ran], store: Lineshaft, address: str
) -> None:
    """Findings are in the order of the ailments; on a terminal they fit into 80 columns, but commands stay whole."""
    store.enqueue("work.add", 1)
    store.queues.pause("default")
    found = call("doctor", "--waiting", "0s", "--free", "1024GiB", "--store", address, "--json")
    assert found.code == 1
    assert [one["ailment"] for one in found.json["findings"]] == ["disk-almost-full"]
    store.queues.resume("default")
    found = call("doctor", "--waiting", "0s", "--free", "1024GiB", "--store", address, "--json")
    assert [one["ailment"] for one in found.json["findings"]] == ["disk-almost-full", "no-worker"]
    shown = terminal("doctor", "--waiting", "0s", "--free", "1024GiB", "--store", address)
    lines = click.unstyle(shown.out).splitlines()
    assert all(len(line) <= 80 for line in lines if "/" not in line), "paths are not broken"
    [cure] = [line for line in lines if "worker --queues" in line]
    printed = shlex.quote(store.address)
    assert cure == f"   cure   lineshaft --app MODULE:NAME --store {printed} worker --queues default"


def test_commands_name_the_app_as_it_was_given(call: Callable[..., Ran], work: Path) -> None:
    """Where the app is found by itself it is not named; a task that it knows is told from one that nobody knows."""
    (work / "pyproject.toml").write_text('[tool.lineshaft]\napp = "work:app"\n')
    assert call("jobs", "enqueue", "work.add", "--args", "[1]").code == 0
    assert "cure   lineshaft worker --queues sums\n" in call("doctor", "--waiting", "0s").out
    said = call("--app", "work:app", "doctor", "--waiting", "0s").out
    assert "cure   lineshaft --app work:app worker --queues sums\n" in said


def test_a_password_is_not_printed(call: Callable[..., Ran], postgres_url: str) -> None:
    """The commands name the store without the password of its address."""
    call("migrate", "--store", postgres_url)
    url = postgres_url.replace("postgres@", "postgres:geheim@", 1)
    ran = call("doctor", "--free", "1024GiB", "--store", url)
    assert "geheim" not in ran.out + ran.err


def test_transactions_held_open(call: Callable[..., Ran], terminal: Callable[..., Ran], postgres_url: str) -> None:
    """Every problem is printed at once with cause, cure and what to change, and the exit code is 1."""
    call("migrate", "--store", postgres_url)
    plain = postgres_url.partition("?")[0]
    with closing(psycopg.connect(plain)) as one, closing(psycopg.connect(plain)) as another:
        for each in (one, another):
            each.execute("select txid_current()")
        pids = {one.info.backend_pid, another.info.backend_pid}
        ran = call("doctor", "--held", "0s", "--store", postgres_url)
        assert (ran.code, ran.err) == (1, "")
        for pid in pids:
            assert f"session {pid} (" in ran.out
            assert f"   cure   select pg_terminate_backend({pid});\n" in ran.out
        assert "problems; looked for" in ran.out.splitlines()[-1]
        found = call("doctor", "--held", "0s", "--store", postgres_url, "--json")
        assert found.code == 1
        assert not found.json["is_well"]
        assert pids <= {finding["facts"].get("pid") for finding in found.json["findings"]}
        shown = terminal("doctor", "--held", "0s", "--store", postgres_url)
        assert shown.code == 1
        assert "\x1b[31m" in shown.out


def test_log_held_back(call: Callable[..., Ran], tmp_path: Path) -> None:
    """A reader of a SQLite store that holds back more than 4,000 pages is named by its process."""
    path = tmp_path / "jobs.db"
    address = f"sqlite:///{path}"
    call("migrate", "--store", address)
    with closing(sqlite3.connect(path)) as reader, closing(sqlite3.connect(path)) as writer:
        reader.execute("begin")
        reader.execute("select * from lineshaft_queue").fetchall()
        writer.execute("create table other (blob)")
        writer.execute("insert into other values (zeroblob(20000000))")
        writer.commit()
        ran = call("doctor", "--store", address)
        assert ran.code == 1
        assert "-wal has 20." in ran.out
        assert f"   cure   kill {os.getpid()}\n" in ran.out


def test_no_store(call: Callable[..., Ran], postgres_url: str, tmp_path: Path) -> None:
    """Where there is no store, the doctor says so and creates none."""
    for address in (postgres_url, f"sqlite:///{tmp_path / 'missing.db'}", "memory://"):
        assert "holds no Lineshaft store" in call("doctor", "--store", address).complaint
    assert "there is no store" in call("doctor").complaint
    assert list(tmp_path.iterdir()) == []
