"""Running named statements on a sqlite3 connection: ours, or a caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from lineshaft.engines.base import ConflictError, Dialect, Params, Role, Row, Sql, Statement
from lineshaft.errors import SchemaError, StoreClosedError, StoreError, StoreUnavailableError

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Row]).decode
_CLOSED = "closed: "


class SqliteTx:
    """An open transaction on a SQLite connection; it notes who has to be woken after its commit."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.to_ring: set[tuple[Role, str]] = set()
        """Each role to wake with the queue that has jobs, or with none: there may be anything."""

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run a statement's parts in order; a part sees the first value of the one before as `:previous`."""
        sql = statement.sqlite
        bound = {k: _encode(v).decode() if isinstance(v, list | tuple) else v for k, v in params.items()}
        if rows is not None:
            bound["rows"] = _encode([[row[key] for key in sql.columns] for row in rows]).decode()
        found: list[Row] = []
        with mapped_errors():
            for part in sql.parts:
                cursor = self.connection.execute(part, bound)
                if cursor.description is not None:
                    found = cursor.fetchall()
                    bound["previous"] = found[0][0] if found else None
        if not found or found[0][0] not in (0, "[]"):  # what changed nothing wakes nobody
            self.note_rings(sql, params)
        if not sql.is_json:
            return found
        return _decode(found[0][0] or "[]")

    def note_rings(self, sql: Sql, params: Params) -> None:
        """Note who has to hear of a statement that changed something."""
        for role in sql.rings:
            self.to_ring.add((role, params.get("queue", "") if role == "worker" else ""))

    def load(self, statement: Statement, rows: Iterable[Row]) -> None:
        """Insert rows as they come, by one prepared statement."""
        with mapped_errors():
            self.connection.executemany(statement.sqlite.parts[0], rows)

    def run_script(self, text: str) -> None:
        """Run a migration's statements one by one, so that they stay inside the transaction."""
        statement = ""
        with mapped_errors():
            for line in text.splitlines(keepends=True):
                statement += line
                if sqlite3.complete_statement(statement):
                    self.connection.execute(statement)
                    statement = ""


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the driver's errors into the store's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_busy(error):
            msg = "the SQLite store is busy: another connection is writing; try again"
            raise ConflictError(msg) from error
        raise _translated(error) from error
    except sqlite3.IntegrityError as error:
        if str(error).startswith(_CLOSED):  # said by a trigger of store/closure.sqlite.sql
            raise StoreClosedError(str(error).removeprefix(_CLOSED)) from error
        raise _refused(error) from error
    except sqlite3.Error as error:
        raise _refused(error) from error


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Tell whether the database was locked by somebody else."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_ADVICE: dict[int, str] = {
    sqlite3.SQLITE_FULL: "the disk that holds the SQLite store is full; make room and it goes on by itself",
    sqlite3.SQLITE_READONLY: "the SQLite store is read-only; check the permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "the SQLite store cannot be opened; check that its folder exists and may be written",
    sqlite3.SQLITE_IOERR: "the disk that holds the SQLite store failed; check it, then restart",
}


def _translated(error: sqlite3.OperationalError) -> StoreError:
    code = _primary_code(error)
    if code != sqlite3.SQLITE_ERROR:
        return StoreUnavailableError(f"{_ADVICE.get(code, 'the SQLite store refused the operation')} ({error})")
    if "no such table" in str(error) or "no such column" in str(error) or "has no column named" in str(error):
        return SchemaError(f"the store's schema is missing or older than this code: {error}; run 'lineshaft migrate'")
    return _refused(error)


def _refused(error: sqlite3.Error) -> StoreError:
    return StoreError(f"the SQLite store refused the operation: {error}")


def _primary_code(error: sqlite3.OperationalError) -> int:
    # The module's own errors, such as text that is not UTF-8, carry no code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
