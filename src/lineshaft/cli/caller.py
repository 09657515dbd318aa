"""Who runs this command: noted with what is paused."""

from __future__ import annotations

import getpass
import os
import socket


def caller() -> str:
    """Return who runs this command, as `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number and no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
