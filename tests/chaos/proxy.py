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


class Link:
    """A network between clients and PostgreSQL that may go silent, grow slow, or come to lead to another server."""

    def __init__(self, url: str) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        parts = urlsplit(url)
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{self._server.getsockname()[1]}"))
        self.delay = 0.0
        """Seconds by which each piece comes later."""
        self.piece = 65_536
        """Bytes of a piece."""
        self._is_silent = False
        self._closed = threading.Event()
        self._wires: list[Wire] = []
        self._target: tuple[str, int] | None = None
        self.lead_to(url)
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, url: str) -> None:
        """Lead new connections to this server, and break those that there are."""
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._break_all()

    def refuse(self) -> None:
        """Break all connections, and new ones too, until it leads somewhere."""
        self._target = None
        self._break_all()

    def _break_all(self) -> None:
        for one in self._wires:
            one.close()

    def go_silent(self) -> None:
        """Swallow, from now on, all that connections say, new ones too, and keep them open."""
        self._is_silent = True
        for one in self._wires:
            one.is_silent = True

    def recover(self) -> None:
        """Pass on what new connections say; those that lost something stay silent."""
        self._is_silent = False

    def close(self) -> None:
        """Break all connections and take no more."""
        self._closed.set()
        _break(self._server)
        self._server.close()
        self._break_all()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._wires.append(Wire(self, client, None if self._is_silent else self._reach()))

    def _reach(self) -> socket.socket | None:
        if self._target is not None:
            with suppress(OSError):
                return socket.create_connection(self._target, LIMIT)
        return None

    def hold_up(self) -> None:
        """Wait as long as a piece takes."""
        if self.delay:
            self._closed.wait(self.delay)


class Wire:
    """One connection through a link."""

    def __init__(self, link: Link, client: socket.socket, server: socket.socket | None) -> None:
        self._link, self._client, self._ends = link, client, [client]
        self.is_silent = link._is_silent
        if server is not None:
            server.settimeout(None)
            self._ends.append(server)
            for source, drain in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, drain), daemon=True).start()
        elif not self.is_silent:
            self.close()  # nobody is there

    def _pump(self, source: socket.socket, drain: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(self._link.piece):
                self._link.hold_up()
                if not self.is_silent:
                    drain.sendall(data)
        if not self.is_silent:
            self.close()

    def close(self) -> None:
        """Break it at both ends."""
        for one in self._ends:
            _break(one)
            one.close()
