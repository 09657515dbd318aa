"""What import-linter cannot see: who calls the clock, who imports a driver, how long files grow."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "src" / "lineshaft"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
CLOCK_READERS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
DRIVERS = {"asyncpg", "psycopg", "sqlalchemy", "sqlite3"}

every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))


@every_source
def test_file_stays_short(source: Path) -> None:
    """A file that outgrows 400 lines has more than one role."""
    lines = len(source.read_text().splitlines())
    assert lines <= MAX_LINES, f"{source.name} has {lines} lines; give one of its roles a file of its own"


@every_source
def test_only_the_clock_reads_the_time(source: Path) -> None:
    """Time is an argument everywhere but in clock.py, so that tests and the simulator can move it."""
    if source == PACKAGE / "clock.py":
        return
    readings = [f"{source.name}:{line} {name}" for line, name in time_readings(ast.parse(source.read_text()))]
    assert not readings, f"take a clock or `now` instead of {', '.join(readings)}"


@every_source
def test_only_engines_import_drivers(source: Path) -> None:
    """A database driver is imported by the engine that speaks to it, and by nothing else."""
    if source.is_relative_to(PACKAGE / "engines"):
        return
    drivers = DRIVERS.intersection(imported(ast.parse(source.read_text())))
    assert not drivers, f"{source.name} imports {', '.join(sorted(drivers))}; that belongs into engines/"


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "import time as t\nt.monotonic()",
        "from time import monotonic_ns as ticks\nticks()",
        "from time import time",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "import datetime as dt\ndt.date.today()",
    ],
)
def test_time_readings_are_found(code: str) -> None:
    """However the clock is imported, reading it is noticed."""
    assert list(time_readings(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["import sqlite3", "def connect():\n    from sqlite3 import connect", "import sqlite3.dbapi2"]
)
def test_driver_imports_are_found(code: str) -> None:
    """An import inside a function, or of a submodule, counts as one of the driver."""
    assert "sqlite3" in imported(ast.parse(code))


def test_driver_types_may_be_named() -> None:
    """A driver's types may stand in annotations, which import nothing at run time."""
    assert "psycopg" not in imported(ast.parse("if TYPE_CHECKING:\n    from psycopg import Connection"))


@pytest.mark.parametrize("code", ["import time\ntime.perf_counter()", "self.clock.now()", "clock.monotonic()"])
def test_clock_arguments_are_allowed(code: str) -> None:
    """A clock that was handed in may be read, and a duration may be measured."""
    assert not list(time_readings(ast.parse(code)))


def time_readings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and name of every use of a function that reads the wall clock or the monotonic clock."""
    real_names = dict(aliases(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from ((node.lineno, alias.name) for alias in node.names if ("time", alias.name) in CLOCK_READERS)
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if (real_names.get(owner, owner), node.attr) in CLOCK_READERS:
                yield node.lineno, ast.unparse(node)


def aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each local name that an import gives, with the name that it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the top-level name of every imported package, lazy imports included, those for type checkers not."""
    for node in runtime_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree without the bodies of `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from runtime_nodes(node)
