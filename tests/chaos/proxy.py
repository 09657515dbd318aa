"""A proxy before PostgreSQL that breaks one chosen connection at one chosen message."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit, urlunsplit

LIMIT: Final = 20.0


class Cut(StrEnum):
    """When the connection breaks, as seen from the next message of the client."""

    BEFORE = "before"  # the message never reaches the server
    DURING = "during"  # the server does what it says, its answer is lost
    AFTER = "after"  # the answer arrives, then the connection breaks
    LATE = "late"  # the client sees a broken connection, and the message reaches the server long after


class CuttingProxy:
    """Passes everything on until a connection, named by the client's port, is armed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{self._server.getsockname()[1]}"))
        self._armed: dict[int, Cut] = {}
        self.has_cut = threading.Event()
        self.may_deliver = threading.Event()
        self.has_delivered = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, port: int, cut: Cut) -> None:
        """Break the connection from this port at its next message."""
        self._armed[port] = cut

    def close(self) -> None:
        """Take no more connections."""
        self.may_deliver.set()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, (_, port) = self._server.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._pump_requests, args=(client, server, port), daemon=True).start()
                threading.Thread(target=self._pump_answers, args=(client, server, port), daemon=True).start()

    def _pump_requests(self, client: socket.socket, server: socket.socket, port: int) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                cut = self._armed.get(port)
                if cut in (Cut.BEFORE, Cut.LATE):
                    _break(client)
                    self.has_cut.set()
                    if cut is Cut.LATE and self.may_deliver.wait(LIMIT):
                        server.sendall(data)
                        return  # the answers' pump hears the server's answer and closes both
                    break
                server.sendall(data)
        _break(server)

    def _pump_answers(self, client: socket.socket, server: socket.socket, port: int) -> None:
        with suppress(OSError), client, server:
            while data := server.recv(65_536):
                cut = self._armed.get(port)
                if cut is Cut.LATE:
                    self.has_delivered.set()
                    return
                if cut is not Cut.DURING:
                    client.sendall(data)
                if cut is not None:
                    _break(client)
                    _break(server)
                    self.has_cut.set()
                    return


def _break(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
