"""A real PostgreSQL for tests: one server a test process, one schema a test, and servers that a test may break.

`$LINESHAFT_TEST_POSTGRES`, a URL, names a running server to use instead; `own_postgres_server` always starts its own.
Where no server can be had, tests that need one are skipped with the reason, and fail under `CI=true`.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tools.temporary_postgres import PostgresMissingError, TemporaryPostgres, server_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIVEN_SERVER = os.environ.get("LINESHAFT_TEST_POSTGRES")


class PostgresServer(Protocol):
    """What tests know of a server that they share."""

    @property
    def url(self) -> str:
        """The address of its database, for a user who may create schemas."""


class GivenPostgres:
    """The server that `$LINESHAFT_TEST_POSTGRES` names."""

    def __init__(self, url: str) -> None:
        self.url = url


def pytest_report_header() -> list[str]:
    """Name the engines, so that a report tells what it was made on."""
    return [f"engines: SQLite {sqlite3.sqlite_version}, PostgreSQL {_postgres_in_use()}"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server that all tests of this process share; none may stop it."""
    if GIVEN_SERVER:
        yield GivenPostgres(GIVEN_SERVER)
        return
    with _start_or_give_up() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a schema of the test's own; it does not exist yet, and is dropped afterwards."""
    yield from _new_schema(postgres_server)


@pytest.fixture
def other_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a second schema, for tests that move a store."""
    yield from _new_schema(postgres_server)


@pytest.fixture
def own_postgres_server() -> Iterator[Callable[..., TemporaryPostgres]]:
    """A factory of running servers that the test may stop, restart and kill; its keywords are server settings."""
    with ExitStack() as servers:
        yield lambda **settings: servers.enter_context(_start_or_give_up(**settings))


def _new_schema(server: PostgresServer) -> Iterator[str]:
    schema = f"t_{uuid4().hex[:12]}"
    joint = "&" if urlsplit(server.url).query else "?"
    yield f"{server.url}{joint}schema={schema}"
    _drop_schema(server.url, schema)


def _start_or_give_up(**settings: str) -> TemporaryPostgres:
    try:
        return TemporaryPostgres(**settings)
    except PostgresMissingError as missing:
        _give_up(f"no PostgreSQL to test on: {missing}")


def _give_up(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _drop_schema(server: str, schema: str) -> None:
    """Drop what the test left; a lock that stays for ten seconds is a connection that the code under test forgot."""
    with psycopg.connect(server, autocommit=True, options="-c lock_timeout=10s") as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _postgres_in_use() -> str:
    try:
        return f"of $LINESHAFT_TEST_POSTGRES, {_ask_version(GIVEN_SERVER)}" if GIVEN_SERVER else server_version()
    except (PostgresMissingError, psycopg.OperationalError) as error:
        return f"missing: {error}"


def _ask_version(url: str) -> str:
    with psycopg.connect(url) as connection:
        return connection.info.parameter_status("server_version") or "of unknown version"
