"""Every exception that Lineshaft raises on purpose.

    LineshaftError
    ├── ConfigError                 a setting, a store address or an option is wrong
    │   └── ScheduleError           … or a schedule is, or it cannot be changed like this
    ├── TaskError                   a function cannot be a task, or two tasks share a name
    ├── UnknownTaskError            (LookupError) no task of this name is known here
    ├── ArgumentsError              (TypeError) the arguments do not fit the task's signature
    ├── PayloadError                (TypeError) a value cannot be stored
    │   └── PayloadTooLargeError    … because it is over the limit
    ├── BlobError                   a large value cannot be written or read
    │   ├── BlobMissingError        (LookupError) … because it is not there
    │   └── BlobDamagedError        … because it is not what was written
    ├── NotInJob                    only a running job can do this
    ├── WouldDeadlock               waiting here could never end
    ├── StoreError                  the store refused or broke
    │   ├── StoreUnavailableError   it cannot be reached, or stayed busy, for now
    │   ├── SchemaError             its schema is missing, older or newer than this code
    │   ├── StoreClosedError        it is being copied, or has moved to another address
    │   └── LeaseLostError          this worker no longer owns the job
    ├── QueueFull                   the queue's max_depth is reached; nothing was stored
    ├── UniqueConflictError         Unique(on_conflict="error") met an existing job (.job_id)
    ├── JobNotFound                 (LookupError) no job has this id
    ├── ScheduleNotFound            (LookupError) no schedule has this name
    ├── BackfillNotFound            (LookupError) no backfill has this id
    ├── LimitNotFound               (LookupError) the store knows no limit of this name
    ├── BreakerNotFound             (LookupError) no circuit breaker has this name
    ├── BreakerOpen                 a circuit breaker is open; what a job fails with that is not to wait for it
    ├── InvalidTransition           the job's state does not allow this
    ├── JobFailed                   the job is dead (.job .reason .error)
    │   └── JobTimeout              … because its attempts ran out of time
    ├── JobCancelled                the job was cancelled
    ├── JobNotRun                   the job was skipped or expired
    ├── ResultGone                  the job completed, its result is no longer kept
    └── ResultTimeout               (TimeoutError) the wait ended; the job goes on

What a job raises to steer itself (`RetryLater`, `Snooze`, `GiveUp`, `Cancelled`) are outcomes, not errors:
they live in `outcomes.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lineshaft.job import Job


class LineshaftError(Exception):
    """The base of every error that Lineshaft raises on purpose."""


class ConfigError(LineshaftError):
    """A setting, a store address or an option is wrong."""


class ScheduleError(ConfigError):
    """A schedule is wrong, or cannot be changed like this."""


class TaskError(LineshaftError):
    """A function cannot be a task, or a second one claims a name that is taken."""


class UnknownTaskError(LineshaftError, LookupError):
    """No task of this name is known in this process, or not everything that a job of it asks for."""


class ArgumentsError(LineshaftError, TypeError):
    """The arguments do not fit the task's signature."""


class PayloadError(LineshaftError, TypeError):
    """An argument or a result cannot be stored as JSON and rebuilt by its annotation."""


class PayloadTooLargeError(PayloadError):
    """An argument list or a result is larger than the limit."""


class BlobError(LineshaftError):
    """A large value (`Blob`) cannot be written to its place or read from it."""


class BlobMissingError(BlobError, LookupError):
    """A large value is not where it was written to."""


class BlobDamagedError(BlobError):
    """A large value is not what was written."""


class NotInJob(LineshaftError):  # noqa: N818 - named by the public contract
    """This can only be done by a running job."""


class WouldDeadlock(LineshaftError):  # noqa: N818 - named by the public contract
    """Waiting here could never end: a job waits for a job, or an event loop for itself."""


class StoreError(LineshaftError):
    """The store refused an operation or broke while doing it."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, or stayed busy until the deadline; trying again may work."""


class SchemaError(StoreError):
    """The store's schema is missing, older or newer than this code can use."""


class StoreClosedError(StoreError):
    """The store is being copied or has moved to another address, and takes nothing; it can be read."""


class LeaseLostError(StoreError):
    """This worker no longer owns the job, so what it wrote for it was rolled back."""


class QueueFull(LineshaftError):  # noqa: N818 - named by the public contract
    """The queue holds as many waiting jobs as it may, of all or of one tenant; nothing was stored."""

    def __init__(self, message: str = "", *, block_timeout: int | None = None) -> None:
        super().__init__(message)
        self.block_timeout = block_timeout
        """How many microseconds an enqueue may wait for room; None: not at all."""


class UniqueConflictError(LineshaftError):
    """`Unique(on_conflict="error")` met an existing job; `.job_id` is that job's id."""

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobNotFound(LineshaftError, LookupError):  # noqa: N818 - named by the public contract
    """No job has this id: it never existed, was deleted, or its history was pruned."""


class ScheduleNotFound(LineshaftError, LookupError):  # noqa: N818 - named by the public contract
    """No schedule has this name: there never was one, or it was deleted."""


class BackfillNotFound(LineshaftError, LookupError):  # noqa: N818 - as its like
    """No backfill has this id: there never was one, or it ended more than 30 days ago."""


class LimitNotFound(LineshaftError, LookupError):  # noqa: N818 - as its like
    """The store knows no limit of this name: no worker has started whose code declares it."""


class BreakerNotFound(LineshaftError, LookupError):  # noqa: N818 - as its like
    """No circuit breaker has this name: no worker's code names it, and it was never used."""


class BreakerOpen(LineshaftError):  # noqa: N818 - named by the public contract
    """A circuit breaker is open, and it says that jobs fail then; the job's code did not run."""


class InvalidTransition(LineshaftError):  # noqa: N818 - named by the public contract
    """The job's state does not allow this move."""


class JobFailed(LineshaftError):  # noqa: N818 - named by the public contract
    """The job is dead; `.job` is its snapshot, `.reason` why, `.error` the last attempt's error."""

    def __init__(self, message: str, job: Job[Any]) -> None:
        super().__init__(message)
        self.job = job
        self.reason = job.reason
        self.error = job.errors[-1] if job.errors else None


class JobTimeout(JobFailed):
    """The job is dead because its attempts ran out of time."""


class JobCancelled(LineshaftError):  # noqa: N818 - named by the public contract
    """The job was cancelled before it could complete."""


class JobNotRun(LineshaftError):  # noqa: N818 - named by the public contract
    """The job was skipped, or expired before it could start."""


class ResultGone(LineshaftError):  # noqa: N818 - named by the public contract
    """The result is no longer kept, or the whole job is gone."""


class ResultTimeout(LineshaftError, TimeoutError):  # noqa: N818 - named by the public contract
    """The wait ended before the job did; the job goes on."""
