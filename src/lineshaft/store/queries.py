"""Loads the named statements that stand in `.sql` files beside the store's modules.

A file holds one dialect of one module's statements. A statement begins with `-- name: NAME [flags]`, a comment
under it says why, and both dialects give the same names and parameters (`tests/architecture`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from typing import Final

from lineshaft.engines.base import Dialect, Sql, Statement

_HEADER: Final = re.compile(r"^-- name: (\w+)([^\n]*)\n", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*--[^\n]*\n", re.MULTILINE)


class Statements:
    """The statements of one module, by name."""

    def __init__(self, module: str, package: str = "lineshaft.store") -> None:
        sqlite = dict(_read(package, module, "sqlite"))
        postgres = dict(_read(package, module, "postgres"))
        if sqlite.keys() != postgres.keys():
            msg = f"{module}.sqlite.sql and {module}.postgres.sql name different statements"
            raise AssertionError(msg)
        self.by_name = {name: Statement(name, sqlite[name], postgres[name]) for name in sqlite}

    def __getattr__(self, name: str) -> Statement:
        """Return the statement of this name."""
        try:
            return self.by_name[name]
        except KeyError:
            raise AttributeError(name) from None


def _read(package: str, module: str, dialect: Dialect) -> Iterator[tuple[str, Sql]]:
    text = resources.files(package).joinpath(f"{module}.{dialect}.sql").read_text("utf-8")
    pieces = _HEADER.split(text)[1:]
    for name, flags, body in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        yield name, Sql.parse(_COMMENT.sub("", body).strip().removesuffix(";"), dialect, flags.split())
