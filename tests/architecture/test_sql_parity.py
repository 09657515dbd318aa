"""Both dialects say the same: every statement has a twin that takes the same parameters."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lineshaft
from lineshaft.store.queries import Statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.engines.base import Statement

PACKAGE = Path(lineshaft.__file__).parent
RECORD = re.compile(r"json_to_recordset\(%\(rows\)s::json\) as \w+ \(([^)]*)\)")
# The rows of a bulk statement, and what the part of a statement before has answered on SQLite.
OWN = {"previous", "rows"}
FILES = sorted(path for path in PACKAGE.rglob("*.sqlite.sql") if path.parent.name != "migrations")


def statements() -> Iterator[tuple[str, Statement]]:
    """Yield every named statement of the package, the features' too."""
    for path in FILES:
        package = ".".join(("lineshaft", *path.parent.relative_to(PACKAGE).parts))
        module = path.name.removesuffix(".sqlite.sql")
        for name, statement in Statements(module, package).by_name.items():
            yield f"{module}.{name}", statement


ALL = dict(statements())
every_statement = pytest.mark.parametrize("statement", ALL.values(), ids=ALL)


def row_keys(statement: Statement) -> set[str]:
    """Return the keys that SQLite's text reads off each row; it finds a job by its private `key` in place of the id."""
    keys = set(statement.sqlite.columns)
    return keys - {"key"} | {"id"} if "seq = r.value ->>" in "\n".join(statement.sqlite.parts) else keys


def record_columns(statement: Statement) -> set[str]:
    """Return the columns that PostgreSQL's text reads off each row, where the rows come as one JSON text."""
    found = RECORD.search(statement.postgres.parts[0])
    return {column.split()[0] for column in found[1].split(",")} if found else set()


@every_statement
def test_dialects_take_the_same_parameters(statement: Statement) -> None:
    """Plain parameters are equal; what SQLite reads off each row is an array or a record's column on PostgreSQL."""
    sqlite = (statement.sqlite.names | row_keys(statement)) - OWN
    postgres = (statement.postgres.names | record_columns(statement)) - OWN
    assert sqlite == postgres


@every_statement
def test_bulk_statements_are_bulk_in_both(statement: Statement) -> None:
    """A statement that takes many rows on one engine takes them on the other."""
    is_bulk_on_postgres = bool(record_columns(statement)) or "[])[" in statement.postgres.parts[0]
    assert ("rows" in statement.sqlite.names) == is_bulk_on_postgres


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_has_its_twin(path: Path) -> None:
    """A file of one dialect never comes alone."""
    assert path.with_name(path.name.replace(".sqlite.", ".postgres.")).exists()


def test_statements_are_found() -> None:
    """The test looks at the store's statements, and the package that is installed carries their files."""
    assert {"claim.claim_jobs", "enqueue.insert_jobs", "finish.complete_jobs"} <= ALL.keys()
    assert resources.files("lineshaft.store").joinpath("claim.sqlite.sql").is_file()
