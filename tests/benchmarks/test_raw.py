from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import raw, statements
from lineshaft import Lineshaft
from lineshaft.app.store import open_engine
from lineshaft.config import parse_store
from lineshaft.store.migrate import migrations

TABLE = r"create table {} \((.*?)\n\)"
COLUMN = re.compile(r"^\s*(\w+) (?:uuid|text|smallint|bigint|integer|boolean)", re.MULTILINE)


def columns(text: str, table: str) -> set[str]:
    body = re.search(TABLE.format(re.escape(table)), text, re.DOTALL)
    assert body, table
    plain = re.sub(r"--[^\n]*", "", body[1])
    return set(COLUMN.findall(re.sub(r",\s*", ",\n", plain)))


@pytest.mark.parametrize(
    "dialect, pairs",
    [
        ("sqlite", {"raw_job": "lineshaft_job"}),
        ("postgres", {"raw_job": "lineshaft.job", "raw_history": "lineshaft.history"}),
    ],
)
def test_the_bare_tables_have_lineshafts_columns(dialect: str, pairs: dict[str, str]) -> None:
    """The raw limit stores the columns that Lineshaft stores, so that it is a limit of the same work."""
    bare = (Path(raw.__file__).parent / f"raw.{dialect}.sql").read_text("utf-8")
    ours = "\n".join(one.text for one in migrations(dialect))  # type: ignore[arg-type]
    for ours_table, table in ((pairs[name], name) for name in pairs):
        assert columns(bare, table) == columns(ours, ours_table)


def test_the_bare_loop_finishes_every_row_once(tmp_path: Path) -> None:
    """What is inserted is claimed in order and finished; nothing is claimed twice."""
    bare = raw.BareSqlite(str(tmp_path / "raw.db"))
    bare.insert((bare.make_id(0), 1, 1, raw.ARGS))
    bare.insert_many([(bare.make_id(number), 1 + number, 1, raw.ARGS) for number in range(1, 250)])
    seen: list[int] = []
    running = bare.finish_and_claim([], 100)
    while running:
        seen += [row[0] for row in running]
        running = bare.finish_and_claim(running, 100)
    assert seen == list(range(1, 251))


def test_every_limit_is_measured(tmp_path: Path) -> None:
    """The bare SQL gives all figures that a peer's client and worker give, each above nought."""
    found = raw.measure(raw.BareSqlite(str(tmp_path / "raw.db")), 0.05)
    assert found.keys() == {"single_per_second", "single_p50_ms", "single_p99_ms", "bulk_per_second", "drain_one"}
    assert min(found.values()) > 0


def test_lineshafts_statements_finish_what_they_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop over Lineshaft's own statements ends with every job completed."""
    monkeypatch.setattr(statements, "JOBS", 250)
    store = f"sqlite:///{tmp_path / 'jobs.db'}"
    app = Lineshaft(store)
    statements.fill(app)
    engine = open_engine(parse_store(store))
    assert statements.measure(engine, 30) > 0
    assert app.jobs.count(state="completed") == 250
    engine.close()
    app.close()
