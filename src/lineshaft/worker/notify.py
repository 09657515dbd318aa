"""Telling systemd how the service is, as sd_notify(3) describes: ready, stopping, alive, and one line of status."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

_MICROSECONDS: Final = 1_000_000
_PATIENCE_SECONDS: Final = 1.0
VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""The environment that speaks to one process of a service only: its children must not inherit it."""


class Notifier:
    """Sends to the socket that systemd names; without one, nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog_seconds = _watchdog_seconds(environment) if self._address else None
        """How often systemd wants to hear that the process lives, at the latest; None when it does not ask."""

    def ready(self, status: str) -> None:
        """Say that the start is over."""
        self._send(f"READY=1\nSTATUS={status}", _PATIENCE_SECONDS)

    def stopping(self, status: str) -> None:
        """Say that the process is about to end."""
        self._send(f"STOPPING=1\nSTATUS={status}", _PATIENCE_SECONDS)

    def status(self, status: str) -> None:
        """Show one line in `systemctl status`."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """Say that the process lives."""
        self._send("WATCHDOG=1")

    def _send(self, message: str, patience: float = 0.0) -> None:
        """Send; a manager whose queue is full (Linux keeps 10 messages) is waited for as long as `patience` seconds."""
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(patience)
            try:
                sender.connect(self._address)
                sender.sendall(message.encode())
            except OSError:  # a service manager that does not listen is no reason to stop working
                return


def _address(text: str) -> str | None:
    """Return the socket's address; `@` stands for the abstract namespace's leading zero."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    micros, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    is_meant = not pid or pid == str(os.getpid())
    return int(micros) / _MICROSECONDS if micros.isdigit() and int(micros) and is_meant else None
