"""Running named statements on a psycopg connection: ours, or a caller's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
from psycopg import errors, sql

from lineshaft.engines.base import ConflictError, Dialect, Params, Row, Statement, until_no_conflict
from lineshaft.engines.postgres.prepared import execute_prepared
from lineshaft.errors import SchemaError, StoreClosedError, StoreError, StoreUnavailableError

_encode = msgspec.json.Encoder().encode


class PostgresTx:
    """An open transaction on a PostgreSQL connection; statements name the schema `lineshaft`, which is replaced."""

    dialect: Dialect = "postgres"

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self.connection = connection
        self._schema = schema

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run a statement; many rows of parameters go as one JSON text or as one array a column."""
        bound = bind(statement, params, rows)
        with mapped_errors():
            return self._fetch(in_schema(statement.postgres.parts[0], self._schema), bound)

    def _fetch(self, text: bytes, bound: Params) -> list[Row]:
        cursor = self.connection.execute(text, bound, binary=True)
        return cursor.fetchall() if cursor.description is not None else []

    def load(self, statement: Statement, rows: Iterable[Row]) -> None:
        """Insert rows as they come, by COPY."""
        text = in_schema(statement.postgres.parts[0], self._schema)
        with mapped_errors(), self.connection.cursor() as cursor, cursor.copy(text) as copy:
            for row in rows:
                copy.write_row(row)

    def run_script(self, text: str) -> None:
        """Run a migration's statements; PostgreSQL takes the whole text at once."""
        with mapped_errors():
            self.connection.execute(in_schema(text, self._schema), prepare=False)


class ApartTx(PostgresTx):
    """Statements that each commit by themselves: one round trip and the least work of ours (docs/decisions/0009)."""

    def run(self, statement: Statement, params: Params, rows: Sequence[Params] | None = None) -> list[Row]:
        """Run a statement, again after a serialization failure or a deadlock: what ran before it is committed."""
        return until_no_conflict(lambda: super(ApartTx, self).run(statement, params, rows))

    def _fetch(self, text: bytes, bound: Params) -> list[Row]:
        return execute_prepared(self.connection, text, bound)


def bind(statement: Statement, params: Params, rows: Sequence[Params] | None) -> dict[str, Any]:
    """Return the parameters that the statement names."""
    names = statement.postgres.names
    bound: dict[str, Any] = {name: params[name] for name in names if name in params}
    if rows is not None:
        if "rows" in names:
            bound["rows"] = _encode(rows).decode()
        for name in rows[0] if rows else ():
            if name in names:
                bound[name] = [row[name] for row in rows]
    return bound


@lru_cache(maxsize=1024)
def in_schema(text: str, schema: str) -> bytes:
    """Return a statement's text with the store's schema in place of the name `lineshaft`."""
    quoted = sql.Identifier(schema).as_string(None)
    return (
        text.replace("'lineshaft_", f"'{schema}_")  # a channel
        .replace("lineshaft.", f"{quoted}.")
        .replace("schema if not exists lineshaft", f"schema if not exists {quoted}")
        .encode()
    )


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the driver's errors into the store's."""
    try:
        yield
    except (errors.SerializationFailure, errors.DeadlockDetected) as error:
        msg = f"two transactions were in each other's way: {_first_line(error)}"
        raise ConflictError(msg) from error
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
        msg = f"the store's schema is missing or older than this code: {_first_line(error)}; run 'lineshaft migrate'"
        raise SchemaError(msg) from error
    except errors.TriggeredActionException as error:  # raised by the schema's refuse_closed()
        raise StoreClosedError(_first_line(error)) from error
    except (errors.ReadOnlySqlTransaction, errors.DiskFull, psycopg.OperationalError, psycopg.InterfaceError) as error:
        msg = f"PostgreSQL cannot be reached or refused to work: {_first_line(error)}; check the server and the URL"
        raise StoreUnavailableError(msg) from error
    except psycopg.Error as error:
        msg = f"PostgreSQL refused the operation: {_first_line(error)}"
        raise StoreError(msg) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
