"""Lineshaft: background jobs for Python, from one SQLite file to a PostgreSQL fleet."""

from lineshaft.app import Lineshaft, Page
from lineshaft.blobs import Blob
from lineshaft.current import CurrentJob, current_job
from lineshaft.errors import (
    ArgumentsError,
    BlobDamagedError,
    BlobError,
    BlobMissingError,
    ConfigError,
    InvalidTransition,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobNotRun,
    JobTimeout,
    LeaseLostError,
    LineshaftError,
    NotInJob,
    PayloadError,
    PayloadTooLargeError,
    QueueFull,
    ResultGone,
    ResultTimeout,
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
from lineshaft.options import Unique
from lineshaft.outcomes import Cancelled, GiveUp, RetryLater, Snooze
from lineshaft.registry import Tasks
from lineshaft.retry import Exponential, Fixed, Linear, Retry
from lineshaft.task import Inject, Task
from lineshaft.transitions import Reason, State

__all__ = [
    "ArgumentsError",
    "Blob",
    "BlobDamagedError",
    "BlobError",
    "BlobMissingError",
    "Cancelled",
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
    "Linear",
    "Lineshaft",
    "LineshaftError",
    "NewJob",
    "NotInJob",
    "Page",
    "PayloadError",
    "PayloadTooLargeError",
    "Progress",
    "QueueFull",
    "Reason",
    "ResultGone",
    "ResultTimeout",
    "Retry",
    "RetryLater",
    "SchemaError",
    "Snooze",
    "State",
    "StoreClosedError",
    "StoreError",
    "StoreUnavailableError",
    "Task",
    "TaskError",
    "Tasks",
    "Unique",
    "UniqueConflictError",
    "UnknownTaskError",
    "WouldDeadlock",
    "current_job",
]
