"""Running a prepared statement with little work around it.

`Connection.execute` makes a cursor, adapts each parameter by its type and looks the statement up among those that are
prepared: 50 µs where the whole commit takes 200. An enqueue of one job is nothing but that (docs/decisions/0009).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, generators
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg.pq.abc import PGresult

    from lineshaft.engines.base import Row

Scalar = str | int | bool | None

_DONE: Final = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
_PARAMETER: Final = re.compile(r"%%|%\((?P<name>\w+)\)s(?P<json>::jsonb?\b)?")
_numbers: Final = count()  # a name is used once: whoever let its statement go may have let go of others only
_loading: Final[WeakKeyDictionary[psycopg.Connection[Any], Any]] = WeakKeyDictionary()
_prepared: Final[WeakKeyDictionary[psycopg.Connection[Any], dict[bytes, bytes]]] = WeakKeyDictionary()


def execute_prepared(connection: psycopg.Connection[Any], text: bytes, params: Mapping[str, Scalar]) -> list[Row]:
    """Run a statement on a connection that nobody else uses, and return its rows.

    Each parameter goes as text; its type must show in the statement: `%(queue)s::text`, or by what it is compared with.
    Raises psycopg's errors.
    """
    numbered, names = number_parameters(text.decode())
    values = [_as_text(params[one]) for one in names]
    try:
        return _execute(connection, numbered, values)
    except errors.InvalidSqlStatementName:
        # Nothing ran. psycopg deallocates every statement of a session after a rollback, as a pooler may at any time.
        _prepared.pop(connection, None)
        return _execute(connection, numbered, values)


def _execute(connection: psycopg.Connection[Any], text: str, values: Sequence[bytes | None]) -> list[Row]:
    session = connection.pgconn
    session.send_query_prepared(_prepare(connection, text), values, result_format=Format.BINARY)
    result = connection.wait(generators.execute(session))[-1]
    if result.status not in _DONE:
        raise _error(connection, result)
    if not result.ntuples:
        return []
    loading = _loading.get(connection)
    if loading is None:  # a new one would look up the loader of each type again
        loading = _loading[connection] = Transformer()  # of no connection: it would keep its key alive
    loading.set_pgresult(result)
    return loading.load_rows(0, result.ntuples, tuple)


def _prepare(connection: psycopg.Connection[Any], text: str) -> bytes:
    """Have the server parse a statement once a session, and return its name there."""
    names = _prepared.get(connection)
    if names is None:
        names = _prepared[connection] = {}
    encoded = text.encode()
    name = names.get(encoded)
    if name is None:
        name = b"lineshaft_%d" % next(_numbers)
        connection.pgconn.send_prepare(name, encoded)
        result = connection.wait(generators.execute(connection.pgconn))[-1]
        if result.status not in _DONE:
            raise _error(connection, result)
        names[encoded] = name
    return name


def _error(connection: psycopg.Connection[Any], result: PGresult) -> psycopg.Error:
    """Return why nothing came back; a connection that broke has no code of the server's to tell it by."""
    error = errors.error_from_result(result, connection.info.encoding)
    return psycopg.OperationalError(str(error)) if connection.closed else error


def _as_text(value: Scalar) -> bytes | None:
    if value is None:
        return None
    text = str(value).encode()
    if 0 in text:  # libpq would send what stands before it
        msg = f"{value!r} holds a NUL character, which PostgreSQL's texts cannot"
        raise errors.DataError(msg)
    return text


@lru_cache(maxsize=1024)
def number_parameters(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement with `$1` in place of `%(name)s`, and the names in order.

    JSON goes as text: the caller may have set a codec on the connection that would encode it once more.
    """
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name, as_json = found["name"], found["json"]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}" + (f"::text{as_json}" if as_json else "")

    return _PARAMETER.sub(number, text), tuple(names)
