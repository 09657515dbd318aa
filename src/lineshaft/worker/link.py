"""What a supervisor and its worker processes say to each other, over a socket that ends with either of them.

Requests to stop go this way and not as signals: service managers signal every process of a service themselves, and a
worker that then heard a second signal from its supervisor would take it for "at once".
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Literal

import msgspec

from lineshaft.worker.health import State

Order = Literal["stop", "stop at once"]
VARIABLE: Final = "LINESHAFT_SUPERVISOR"
"""Tells a worker process `FD,PID,COUNT`: its end of the socket, its supervisor, how many it is one of."""
ORPHANED: Final = 1
_READ_BYTES: Final = 4096


class Report(msgspec.Struct, frozen=True):
    """How a worker process is."""

    state: State
    live: bool
    grace: float
    """How many seconds its jobs are given to finish when it stops."""


class Link:
    """A worker process's end; `on_order` is called, in a thread of the link's own, with what the supervisor wants.

    When the supervisor is gone the process ends at once: others put back its jobs.
    """

    def __init__(self, fd: int, on_order: Callable[[Order], None]) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.set_inheritable(False)
        self._on_order = on_order
        self._last: Report | None = None
        threading.Thread(target=self._listen, name="lineshaft-link", daemon=True).start()

    def report(self, report: Report) -> None:
        """Tell the supervisor how this process is, when that has changed."""
        if report == self._last:
            return
        self._last = report
        with suppress(OSError):  # it is gone, and so is this process in a moment
            self._socket.sendall(msgspec.json.encode(report) + b"\n")

    def _listen(self) -> None:
        for line in _lines(self._socket):
            self._on_order("stop" if line == b"stop" else "stop at once")
        os._exit(ORPHANED)


class LinkEnd:
    """The supervisor's end; does not block."""

    def __init__(self) -> None:
        self.socket, self._theirs = socket.socketpair()
        self.socket.setblocking(False)
        self._rest = b""

    @property
    def their_fd(self) -> int:
        """The descriptor that the worker process inherits."""
        return self._theirs.fileno()

    def handed_over(self) -> None:
        """Close the worker process's end here, now that it has its own copy."""
        self._theirs.close()

    def order(self, order: Order) -> None:
        """Tell the worker process to stop."""
        with suppress(OSError):  # it is gone
            self.socket.sendall(order.encode() + b"\n")

    def reports(self) -> list[Report] | None:
        """Return what has come; None when the worker process is gone."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        if not data:
            return None
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [msgspec.json.decode(line, type=Report) for line in whole]

    def close(self) -> None:
        """Close what is open here."""
        self.socket.close()
        self._theirs.close()


def _lines(connection: socket.socket) -> Iterator[bytes]:
    rest = b""
    while True:
        try:
            data = connection.recv(_READ_BYTES)
        except ConnectionError:
            return
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
