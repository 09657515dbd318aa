"""What a job logs: kept with the attempt, bounded, and shown by `job.logs()`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lineshaft.clock import Clock
from lineshaft.current import LOGGER, running

MOST_LINES: Final = 1_000
MOST_BYTES: Final = 65_536

_encode: Final = msgspec.json.Encoder().encode


class JobLog:
    """The lines of one attempt, as JSON objects, one a line; what passes the limit is counted."""

    def __init__(self, clock: Clock, fields: Mapping[str, Any] | None = None) -> None:
        self._clock = clock
        self._fields = fields or {}
        self._lines: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self.is_changed = False

    def add(self, record: logging.LogRecord) -> None:
        """Keep a record, while there is room; the limit in bytes is of the messages alone."""
        message = _message(record)
        size = len(message.encode())
        line = _encode(
            {
                "at": self._clock.now(),
                "level": record.levelname,
                "logger": record.name,
                "message": message,
                **self._fields,
            }
        )
        self.is_changed = True
        if len(self._lines) >= MOST_LINES or self._size + size > MOST_BYTES:
            self._dropped += 1
            return
        self._lines.append(line)
        self._size += size

    def text(self) -> str:
        """Return the lines, with a last one that counts what was not kept."""
        self.is_changed = False
        lines = list(self._lines)
        if self._dropped:
            note = f"{self._dropped} more lines were not kept: the limit is {MOST_LINES} lines or {MOST_BYTES} bytes"
            lines.append(_encode({"at": self._clock.now(), "level": "WARNING", "logger": LOGGER.name, "message": note}))
        return b"\n".join(lines).decode()


class JobLogHandler(logging.Handler):
    """Hands what is logged through `current_job().log` to the job that runs here."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with the job that wrote it; outside a job it goes the usual way only."""
        log_of = getattr(running.get(), "keep_log_record", None)
        if log_of is not None:
            log_of(record)


def install() -> None:
    """Have job logs kept in this process; harmless to repeat."""
    if not any(isinstance(handler, JobLogHandler) for handler in LOGGER.handlers):
        LOGGER.addHandler(JobLogHandler())
        LOGGER.setLevel(logging.DEBUG)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
