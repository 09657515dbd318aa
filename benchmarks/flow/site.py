"""A new, empty store to be measured, and a line of the table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.load.stores import TITLES, Kind
from tools.temporary_postgres import TemporaryPostgres


class Line(NamedTuple):
    """One figure of one store."""

    store: str
    figure: str
    value: str
    target: str
    is_reached: bool = True


class Site(NamedTuple):
    """One store."""

    title: str
    address: str
    server: int | None = None
    """The process of its server, where it has one."""

    def cpu_seconds(self) -> float:
        """Return the processor time of this process and of the server with its children so far."""
        used = time.process_time()
        if self.server is None:
            return used
        root = psutil.Process(self.server)
        reaped = root.cpu_times()
        used += reaped.children_user + reaped.children_system
        for one in (root, *root.children()):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                used += times.user + times.system
        return used


@contextmanager
def new_site(kind: Kind) -> Iterator[Site]:
    """Give a new store that is gone after the block."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="lineshaft-flow-") as folder:
            yield Site(TITLES[kind], f"sqlite:///{Path(folder).resolve() / 'jobs.db'}")
        return
    with TemporaryPostgres(max_wal_size="4GB", shared_buffers="512MB") as server:
        yield Site(TITLES[kind], server.url, server.pid)
