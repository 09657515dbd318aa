"""The connections to one SQLite file: opened on demand, kept while idle, closed before the process forks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lineshaft.engines.sqlite.log import LoggedConnection

# How long a fork waits for other threads' transactions; the forking thread's own it cannot wait for.
_FORK_PATIENCE_SECONDS: Final = 5.0


class ConnectionPool:
    """Lends connections to threads.

    SQLite notes a process's locks per file and a forked child inherits the notes without the locks: connections that
    the child opened itself would then run unlocked, and a third process would delete the log under them. So a fork
    finds no connection open (sqlite.org/howtocorrupt.html, section 2.6).
    """

    def __init__(self, open_connection: Callable[[], LoggedConnection]) -> None:
        self._open = open_connection
        self._idle: list[LoggedConnection] = []
        self._lent: set[LoggedConnection] = set()
        self._borrowers: dict[int, int] = {}
        self._gate = threading.Condition()
        self._is_forking = False

    @contextmanager
    def connection(self) -> Iterator[LoggedConnection]:
        """Lend a connection for the block."""
        borrower = threading.get_ident()
        connection = self._admit(borrower)
        try:
            connection = connection or self._open()
            self._lent.add(connection)
            yield connection
        finally:
            self._give_back(borrower, connection)

    def close(self) -> None:
        """Close the idle connections."""
        with self._gate:
            while self._idle:
                self._idle.pop().close()

    def close_before_fork(self) -> None:
        """Keep everybody out until `go_on_after_fork`, and close what is open."""
        self._gate.acquire()
        self._is_forking = True
        self._gate.wait_for(self._is_left_to_me, timeout=_FORK_PATIENCE_SECONDS)
        self.close()

    def go_on_after_fork(self) -> None:
        """Let threads in again, in the process that forked."""
        self._is_forking = False
        self._gate.notify_all()
        self._gate.release()

    def _admit(self, borrower: int) -> LoggedConnection | None:
        with self._gate:
            # Who holds a connection already has to be let in: the fork waits for it to end.
            while self._is_forking and borrower not in self._borrowers:
                self._gate.wait()
            self._borrowers[borrower] = self._borrowers.get(borrower, 0) + 1
            return self._idle.pop() if self._idle else None

    def _give_back(self, borrower: int, connection: LoggedConnection | None) -> None:
        with self._gate:
            if connection is not None:
                self._lent.discard(connection)
                self._idle.append(connection)
            self._borrowers[borrower] -= 1
            if not self._borrowers[borrower]:
                del self._borrowers[borrower]
            if self._is_forking:
                self._gate.notify_all()

    def _is_left_to_me(self) -> bool:
        return not self._borrowers.keys() - {threading.get_ident()}
