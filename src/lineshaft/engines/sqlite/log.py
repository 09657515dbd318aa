"""When a connection moves the write-ahead log into the file: seldom while a reader keeps the log from ending.

After each commit that leaves the log longer than `wal_autocheckpoint`, SQLite tries to move it. A try sorts all of the
log before it finds out that somebody reads the file as it was: with 300 MB of log, that cost more than the commit.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any, Final

PAGES: Final = 16_000
"""How long the log may get where nobody holds it (docs/decisions/0009)."""
KEPT_BYTES: Final = 64 * 1_024 * 1_024
"""How much of the log's file stays when the log starts anew."""
_HELD_PAGES: Final = PAGES * 5 // 4
"""A log of this length did not end where it should have."""
_FRAME_BYTES: Final = 4_096 + 24
_COMMITS: Final = 16


class LoggedConnection(sqlite3.Connection):
    """A connection that looks at the log's length after every sixteenth commit of its own."""

    def __init__(self, database: str, **settings: Any) -> None:
        super().__init__(database, **settings)
        self.limit = PAGES
        """The log's length in pages from which on this connection tries to move it."""
        self._log = f"{database}-wal"
        self._commits = 0

    def note_commit(self) -> None:
        """Count a commit; double the limit when the log has outgrown it, and restore it once the log is short."""
        self._commits += 1
        if self._commits % _COMMITS == 0:
            pages = _length(self._log)
            if pages > max(self.limit, _HELD_PAGES):
                self._set_limit(2 * pages)
            elif pages <= _HELD_PAGES and self.limit != PAGES:
                self._set_limit(PAGES)

    def _set_limit(self, pages: int) -> None:
        self.execute(f"pragma wal_autocheckpoint = {pages}").fetchall()
        self.limit = pages


def _length(log: str) -> int:
    with suppress(OSError):  # what was committed stays so: a commit does not fail for want of this figure
        return os.stat(log).st_size // _FRAME_BYTES  # noqa: PTH116 - in the way of every commit: half of Path's time
    return 0
