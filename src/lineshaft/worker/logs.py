"""Where a worker's log lines go: standard error, as text for people or as JSON lines for machines."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from lineshaft.current import current_job

if TYPE_CHECKING:
    from structlog.typing import Processor

LogFormat = Literal["plain", "json"]
_configured: list[tuple[str, str]] = []

_log = logging.getLogger("lineshaft.worker")
_JOB_FIELDS: Final = ("job_id", "job_name", "job_attempt", "trace_id", "parent_span_id", "context")


def configured() -> tuple[str, str] | None:
    """Return the format and the level that this process was told to log with; None when it was not told."""
    return _configured[-1] if _configured else None


def configure(log_format: LogFormat | str, level: str) -> None:
    """Set up logging for this process; an app that sets it up itself, when it is imported, has the last word.

    `level` is `debug`, `info`, `warning` or `error`. A line that is written inside a job names the job.
    """
    _configured[:] = [(log_format, level)]
    handler = logging.StreamHandler()
    handler.setFormatter(_json_formatter() if log_format == "json" else _PlainFormatter())
    # The handler too: what jobs log through `current_job().log` is kept from DEBUG on, whatever is shown here.
    handler.setLevel(level.upper())
    handler.addFilter(_note_job)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_uncaught


def flush() -> None:
    """Write out what handlers still hold, for a process that ends without Python's own clean-up."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _note_job(record: logging.LogRecord) -> bool:
    job = current_job()
    if job.id is not None:
        record.job_id, record.job_name, record.job_attempt = job.id, job.name, job.attempt
        carried: dict[str, Any] = getattr(job, "log_fields", {})
        for name in carried.keys() - record.__dict__.keys():  # what the line itself says has the last word
            setattr(record, name, carried[name])
    return True


class _PlainFormatter(logging.Formatter):
    """Time, level, logger and message; behind it the job that wrote it."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {name}: {message}", style="{")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line without a traceback."""
        line = super().formatMessage(record)
        if not hasattr(record, "job_id"):
            return line
        return f"{line} [{record.job_name} {record.job_id} attempt {record.job_attempt}]"  # type: ignore[attr-defined]


def _json_formatter() -> logging.Formatter:
    import structlog
    from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

    before: list[Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_log_level,
        add_logger_name,
        ExtraAdder(allow=_JOB_FIELDS),
        structlog.processors.format_exc_info,
        structlog.processors.StackInfoRenderer(),
    ]
    after: list[Processor] = [
        ProcessorFormatter.remove_processors_meta,
        _first_things_first,
        structlog.processors.JSONRenderer(),
    ]
    return ProcessorFormatter(foreign_pre_chain=before, processors=after)


def _first_things_first(_logger: Any, _method: str, event: Any) -> dict[str, Any]:
    first = {name: event.pop(name) for name in ("timestamp", "level", "logger", "event") if name in event}
    return first | dict(event)


def _log_uncaught(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_type is not SystemExit and hook.exc_value is not None:
        name = hook.thread.name if hook.thread else "unknown"
        _log.error("thread %s ended with an error", name, exc_info=hook.exc_value)
