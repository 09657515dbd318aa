"""Lineshaft: background jobs for Python, from one SQLite file to a PostgreSQL fleet."""

from typing import TYPE_CHECKING

from lineshaft.app import Lineshaft, Page
from lineshaft.blobs import Blob
from lineshaft.current import CurrentJob, current_job
from lineshaft.errors import (
    ArgumentsError,
    BackfillNotFound,
    BlobDamagedError,
    BlobError,
    BlobMissingError,
    BreakerNotFound,
    BreakerOpen,
    ConfigError,
    InvalidTransition,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobNotRun,
    JobTimeout,
    LeaseLostError,
    LimitNotFound,
    LineshaftError,
    NotInJob,
    PayloadError,
    PayloadTooLargeError,
    QueueFull,
    ResultGone,
    ResultTimeout,
    ScheduleError,
    ScheduleNotFound,
    SchemaError,
    StoreClosedError,
    StoreError,
    StoreUnavailableError,
    TaskError,
    UniqueConflictError,
    UnknownTaskError,
    WouldDeadlock,
)
from lineshaft.job import Job, Progress
from lineshaft.newjob import NewJob
from lineshaft.options import Adaptive, Breaker, Concurrency, Order, Rate, Unique
from lineshaft.outcomes import Cancelled, GiveUp, RetryLater, Snooze
from lineshaft.registry import Tasks
from lineshaft.retry import Exponential, Fixed, Linear, Retry
from lineshaft.task import Inject, Task
from lineshaft.transitions import Reason, State

if TYPE_CHECKING:
    from lineshaft.app.breakers import BreakerStatus
    from lineshaft.app.limits import Limit, LimitChange, LimitKey
    from lineshaft.app.schedules import Backfill, Schedule, Tick
    from lineshaft.recurrence import Calendar

__all__ = [
    "Adaptive",
    "ArgumentsError",
    "Backfill",
    "BackfillNotFound",
    "Blob",
    "BlobDamagedError",
    "BlobError",
    "BlobMissingError",
    "Breaker",
    "BreakerNotFound",
    "BreakerOpen",
    "BreakerStatus",
    "Calendar",
    "Cancelled",
    "Concurrency",
    "ConfigError",
    "CurrentJob",
    "Exponential",
    "Fixed",
    "GiveUp",
    "Inject",
    "InvalidTransition",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "JobNotRun",
    "JobTimeout",
    "LeaseLostError",
    "Limit",
    "LimitChange",
    "LimitKey",
    "LimitNotFound",
    "Linear",
    "Lineshaft",
    "LineshaftError",
    "NewJob",
    "NotInJob",
    "Order",
    "Page",
    "PayloadError",
    "PayloadTooLargeError",
    "Progress",
    "QueueFull",
    "Rate",
    "Reason",
    "ResultGone",
    "ResultTimeout",
    "Retry",
    "RetryLater",
    "Schedule",
    "ScheduleError",
    "ScheduleNotFound",
    "SchemaError",
    "Snooze",
    "State",
    "StoreClosedError",
    "StoreError",
    "StoreUnavailableError",
    "Task",
    "TaskError",
    "Tasks",
    "Tick",
    "Unique",
    "UniqueConflictError",
    "UnknownTaskError",
    "WouldDeadlock",
    "current_job",
]

_LATE = {
    "BreakerStatus": "lineshaft.app.breakers",
    "Backfill": "lineshaft.app.schedules",
    "Calendar": "lineshaft.recurrence",
    "Limit": "lineshaft.app.limits",
    "LimitChange": "lineshaft.app.limits",
    "LimitKey": "lineshaft.app.limits",
    "Schedule": "lineshaft.app.schedules",
    "Tick": "lineshaft.app.schedules",
}
"""Names that are imported when they are asked for: most programs never do."""


def __getattr__(name: str) -> object:
    """Import a name that is asked for."""
    if name not in _LATE:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
