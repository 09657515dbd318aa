"""Recognising what a caller hands over, without importing a driver that they have not, and finding the driver in it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lineshaft.errors import ConfigError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.engines.base import Dialect
    from lineshaft.engines.callers.loop import Loop


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of connection, named by the package and class that it comes from."""

    package: str
    name: str
    dialect: Dialect | None = None
    """What a driver's connection speaks; None for what only wraps one."""
    is_async: bool = False
    is_bound_to_thread: bool = False
    """Whether another thread may not use it, or would find another connection behind it."""

    def __str__(self) -> str:
        """Name it as its users do."""
        return f"{self.package}.{self.name}"


_KINDS: Final = {
    str(kind): kind
    for kind in (
        Kind("sqlite3", "Connection", "sqlite", is_bound_to_thread=True),
        Kind("aiosqlite", "Connection", "sqlite", is_async=True),
        Kind("psycopg", "Connection", "postgres"),
        Kind("psycopg", "AsyncConnection", "postgres", is_async=True),
        Kind("asyncpg", "Connection", "postgres", is_async=True),
        Kind("asyncpg", "PoolConnectionProxy", "postgres", is_async=True),
        Kind("sqlalchemy", "Connection"),
        Kind("sqlalchemy", "Session"),
        Kind("sqlalchemy", "scoped_session", is_bound_to_thread=True),
        Kind("sqlalchemy", "AsyncConnection", is_async=True),
        Kind("sqlalchemy", "AsyncSession", is_async=True),
        Kind("django", "ConnectionProxy", is_bound_to_thread=True),
        Kind("django", "BaseDatabaseWrapper", is_bound_to_thread=True),
    )
}


def kind_of(connection: Any) -> Kind | None:
    """Return the kind of a connection or session, by the names of its classes; None for anything else."""
    names = (f"{one.__module__.partition('.')[0]}.{one.__name__}" for one in type(connection).__mro__)
    return next((_KINDS[name] for name in names if name in _KINDS), None)


def is_async_connection(connection: Any) -> bool:
    """Tell whether this is a known kind of async connection, which only async calls can use."""
    kind = kind_of(connection)
    return kind is not None and kind.is_async


def needs_calling_thread(connection: Any) -> bool:
    """Tell whether this sync connection has to be used on the very thread that handed it over.

    So it is for sqlite3, alone or under SQLAlchemy, and for what finds its connection by the current thread.
    """
    kind = kind_of(connection)
    if kind is None or kind.is_async:
        return False
    if kind.package == "sqlalchemy" and not kind.is_bound_to_thread:
        with _sqlalchemy_errors():
            return bool(_sqlalchemy_dialect(connection).name == "sqlite")
    return kind.is_bound_to_thread


def driver_connection_under(connection: Any, kind: Kind, loop: Loop) -> Any:
    """Return the driver's connection that a session or wrapper uses now, in the transaction that it has begun.

    Raises `ConfigError` when it is closed or bound to no database, `StoreError` when it cannot connect.
    """
    match kind.package:
        case "sqlalchemy":
            with _sqlalchemy_errors():
                return loop.wait(connection.run_sync(_begun)) if kind.is_async else _begun(connection)
        case "django":
            return _checked_by_django(connection)
        case _:
            return connection


def _begun(session: Any) -> Any:
    """Return the driver's connection after SQLAlchemy has begun its transaction, as any statement makes it."""
    connection = session.connection() if hasattr(session, "get_bind") else session
    if not connection.in_transaction():
        connection.begin()
    if connection.dialect.driver == "asyncpg":
        connection.exec_driver_sql("select 1").close()  # this dialect begins with the first statement only
    return connection.connection.driver_connection


def _sqlalchemy_dialect(session: Any) -> Any:
    return session.get_bind().dialect if hasattr(session, "get_bind") else session.dialect


@contextmanager
def _sqlalchemy_errors() -> Iterator[None]:
    from sqlalchemy import exc  # there already: the connection is SQLAlchemy's

    try:
        yield
    except exc.InvalidRequestError as error:
        msg = f"SQLAlchemy cannot use the connection given: {_first_line(error)}; give one that is open"
        raise ConfigError(msg) from error
    except exc.SQLAlchemyError as error:
        msg = f"SQLAlchemy cannot reach the database: {_first_line(error)}; check the server and the engine's URL"
        raise StoreUnavailableError(msg) from error


def _checked_by_django(wrapper: Any) -> Any:
    errors, exceptions = sys.modules["django.db.utils"], sys.modules["django.core.exceptions"]  # loaded with Django
    try:
        wrapper.ensure_connection()
        wrapper.validate_thread_sharing()
        wrapper.validate_no_broken_transaction()
    except exceptions.SynchronousOnlyOperation as error:
        msg = "Django's connections cannot be used on an event loop: call enqueue in a function under sync_to_async"
        raise ConfigError(msg) from error
    except errors.Error as error:
        msg = f"Django refuses to use the connection given: {_first_line(error)}"
        raise StoreError(msg) from error
    return wrapper.connection


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
