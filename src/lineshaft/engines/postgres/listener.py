"""Wake-ups on PostgreSQL: LISTEN on a session of its own."""

from __future__ import annotations

import selectors
import socket
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
from psycopg import sql

from lineshaft.engines.base import Listener
from lineshaft.engines.postgres.transaction import mapped_errors


class PostgresListener(Listener):
    """Hears the notifications of some channels."""

    def __init__(self, connection: psycopg.Connection[Any], *channels: str) -> None:
        self._connection = connection
        with ExitStack() as on_error, mapped_errors():
            on_error.callback(connection.close)
            for channel in channels:
                connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)), prepare=False)
            on_error.pop_all()
        self._waker, self._wakee = socket.socketpair()
        self._wakee.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection.fileno(), selectors.EVENT_READ)
        self._selector.register(self._wakee, selectors.EVENT_READ)

    def receive(self, timeout: float | None) -> set[str]:
        """Wait for notifications and return their payloads."""
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wakee:
                with suppress(BlockingIOError):
                    while self._wakee.recv(4096):
                        pass
        return self._notified()

    def _notified(self) -> set[str]:
        messages: set[str] = set()
        session = self._connection.pgconn
        with mapped_errors():
            session.consume_input()
            while notification := session.notifies():
                messages.add(notification.extra.decode())
        return messages

    def interrupt(self) -> None:
        """Have `receive` return."""
        with suppress(OSError):
            self._waker.send(b"!")

    def close(self) -> None:
        """Close the session."""
        self._selector.close()
        self._waker.close()
        self._wakee.close()
        self._connection.close()
