"""Which processes are reading a SQLite file, as far as Linux tells: from the locks on its shared index."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_LOCKS: Final = Path("/proc/locks")
_FIRST_MARK, _LAST_MARK = 123, 127
"""The bytes of `FILE-shm` that a reader locks: one of five marks (sqlite.org/walformat.html, section 2.3)."""
_COMMAND_LENGTH: Final = 80


class Reader(NamedTuple):
    """A process that reads the file."""

    pid: int
    command: str
    user: str

    def __str__(self) -> str:
        """Name it in a sentence."""
        return f"process {self.pid} ({self.command}, user {self.user!r})"


def find_readers(shared: Path) -> list[Reader]:
    """Return the processes that hold a read mark of the file `FILE-shm` now; none where the system does not tell."""
    try:
        status, lines = shared.stat(), _LOCKS.read_text("ascii").splitlines()
    except OSError:  # no store in use, or a system without /proc
        return []
    file = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    return [_reader(pid) for pid in sorted(set(_pids(lines, file)))]


def _pids(lines: list[str], file: tuple[int, int, int]) -> Iterator[int]:
    """Yield whom the lines name, such as `3: POSIX  ADVISORY  READ 4711 fe:00:262201 124 124`."""
    for line in lines:
        fields = line.split()
        if len(fields) != len(("number", "kind", "strength", "mode", "pid", "file", "first", "last")):
            continue  # "->": who waits for the lock above
        kind, mode, pid, place, first, last = (fields[at] for at in (1, 3, 4, 5, 6, 7))
        major, minor, inode = place.split(":")
        is_mark = last == "EOF" or (int(first) <= _LAST_MARK and int(last) >= _FIRST_MARK)
        if (kind, mode) == ("POSIX", "READ") and (int(major, 16), int(minor, 16), int(inode)) == file and is_mark:
            yield int(pid)


def _reader(pid: int) -> Reader:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        user = pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name
    except (OSError, KeyError):  # gone meanwhile, or not ours to see
        return Reader(pid, "unknown", "unknown")
    return Reader(pid, command[:_COMMAND_LENGTH], user)
