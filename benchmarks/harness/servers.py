"""The servers of a run: one PostgreSQL with a database for each subject, and a Redis for each."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.harness.environments import SetUpError
from tools.temporary_postgres import PostgresMissingError, TemporaryPostgres

_START_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.02


class Servers:
    """What has to be started once; a missing server is told of when a subject asks for it."""

    def __init__(self) -> None:
        self._postgres: TemporaryPostgres | None = None
        self._databases = 0

    @contextmanager
    def running(self) -> Iterator[Servers]:
        """Stop what was started at the end of the block."""
        try:
            yield self
        finally:
            if self._postgres is not None:
                self._postgres.close()

    @contextmanager
    def postgres(self) -> Iterator[str]:
        """Lend the address of a new, empty database; raises `SetUpError`."""
        admin = self._start_postgres()
        self._databases += 1
        name = f"bench_{self._databases}"
        _execute(admin, "create database {}", name)
        try:
            yield urlsplit(admin)._replace(path=f"/{name}").geturl()
        finally:
            _execute(admin, "drop database {} with (force)", name)

    def _start_postgres(self) -> str:
        if self._postgres is None:
            try:
                self._postgres = TemporaryPostgres()
                self._postgres.start()
            except (PostgresMissingError, RuntimeError) as error:
                msg = f"no PostgreSQL: {error}"
                raise SetUpError(msg) from error
        return self._postgres.url


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Lend the address of a new Redis that keeps nothing on disk; raises `SetUpError`."""
    program = shutil.which("redis-server")
    if program is None:
        raise SetUpError("redis-server is not installed; on Debian and Ubuntu: apt install redis-server")
    port = _free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    server = subprocess.Popen(
        [program, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _await_port(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(_START_SECONDS)


def redis_version() -> str:
    """Return the version of the Redis that would be started, or that there is none."""
    program = shutil.which("redis-server")
    if program is None:
        return "not installed"
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return said.partition("v=")[2].partition(" ")[0]


def _await_port(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    msg = f"redis-server did not answer on port {port} within {_START_SECONDS} s"
    raise SetUpError(msg)


def _execute(admin: str, statement: str, name: str) -> None:
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
