"""How often a commit tries to move the write-ahead log into the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.engines.sqlite.log import PAGES

if TYPE_CHECKING:
    from pathlib import Path

COMMITS = 40
PAGE_BYTES = 4_096


def commit(engine: SqliteEngine, statement: str) -> int:
    """Run a statement and return from which length on its connection moves the log, in pages."""
    with engine.transaction() as tx:
        tx.connection.execute(statement)
    with engine.reading() as tx:
        return int(tx.connection.execute("pragma wal_autocheckpoint").fetchone()[0])


def test_a_log_that_a_reader_holds_is_tried_seldom(tmp_path: Path) -> None:
    """Beside an open reader the limit doubles each time the log outgrows it; without one it is the usual again."""
    engine = SqliteEngine(tmp_path / "store.db")
    commit(engine, "create table filler (bytes blob)")
    engine.vacuum()
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from filler").fetchall()
        pages = PAGES * 3 // 2
        assert commit(engine, f"insert into filler values (zeroblob({pages * PAGE_BYTES}))") == PAGES
        limits = [commit(engine, "insert into filler values (1)") for _ in range(COMMITS)]
        assert 2 * pages <= limits[-1] <= 3 * pages
    engine.vacuum()
    limits = [commit(engine, "insert into filler values (1)") for _ in range(COMMITS)]
    assert limits[-1] == PAGES
    engine.close()
