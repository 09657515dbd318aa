"""Statements that need not be one transaction: each commits by itself as far as it is one step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from lineshaft.engines.base import Params, Row, Statement
from lineshaft.engines.sqlite.transaction import SqliteTx, mapped_errors

Patiently = Callable[[sqlite3.Connection, str, Params], sqlite3.Cursor]


class ApartTx(SqliteTx):
    """Commits a statement of one step by itself, without `begin` and `commit` around it (docs/decisions/0009).

    A statement of several steps begins a transaction, which what follows joins. `patiently` executes a text, again
    while the file is locked.
    """

    def __init__(self, connection: sqlite3.Connection, patiently: Patiently) -> None:
        super().__init__(connection)
        self._patiently = patiently

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run a statement; one of one step that answers with no row changed nothing and wakes nobody.

        One that writes without `returning`, which costs a tenth of an enqueue, answers with how many rows it wrote.
        """
        sql = statement.sqlite
        if not self.connection.in_transaction:
            with mapped_errors():
                if len(sql.parts) == 1:
                    cursor = self._patiently(self.connection, sql.parts[0], params)
                    if cursor.description is None:
                        found = [(cursor.rowcount,)] if cursor.rowcount else []
                    else:
                        found = cursor.fetchall()
                    if found and sql.rings:
                        self.note_rings(sql, params)
                    return found
                self._patiently(self.connection, "begin immediate", {})
        return super().run(statement, params, rows)

    def commit(self) -> None:
        """Commit what statements of several steps have begun."""
        if self.connection.in_transaction:
            with mapped_errors():
                self.connection.execute("commit")
