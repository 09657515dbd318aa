"""Having job logs kept for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lineshaft.current import LOGGER
from lineshaft.worker import joblog


@contextmanager
def job_logs_kept() -> Iterator[None]:
    """Keep what jobs log, and leave the logger as it was found."""
    handlers, level = list(LOGGER.handlers), LOGGER.level
    joblog.install()
    try:
        yield
    finally:
        for handler in [one for one in LOGGER.handlers if isinstance(one, joblog.JobLogHandler)]:
            if handler not in handlers:
                LOGGER.removeHandler(handler)
                LOGGER.setLevel(level)
