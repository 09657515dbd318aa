"""`doctor`: what it prints, and its exit codes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran


def test_a_well_store(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """Where nothing is wrong, one line says what was looked for, and the exit code is 0."""
    store.migrate()
    ran = call("doctor", "--held", "1h", "--store", address)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{store.address}: nothing is wrong; looked for a transaction held open for more than 1h\n"
    ran = call("doctor", "--held", "1h", "--store", address, "--json")
    assert ran.json == {
        "is_well": True, "store": store.address, "findings": [], "unseen": [],
        "looked_for": ["a transaction held open for more than 1h"],
    }  # fmt: skip


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
