"""What the jobs of a test raised, as it was raised: the store keeps but its text."""

from __future__ import annotations

import asyncio

from lineshaft.errors import JobFailed
from lineshaft.job import Job
from lineshaft.outcomes import Cancelled, RetryLater, Snooze
from lineshaft.transitions import State
from lineshaft.worker.run import Run


class Raised:
    """Notes what each run raised until it is asked for."""

    def __init__(self) -> None:
        self._by_run: dict[Run, BaseException] = {}

    def note(self, run: Run, error: BaseException) -> None:
        """Keep what a job's code raised."""
        self._by_run[run] = error

    def take(self, run: Run) -> BaseException | None:
        """Return what a run raised, None when it raised nothing."""
        return self._by_run.pop(run, None)


def failure_of(job: Job[object], error: BaseException | None) -> BaseException | None:
    """Return the error that an attempt ended with; None where the job only steered itself, or was cancelled.

    `job` is the job as it was after the attempt, `error` what its code raised.
    """
    is_dead = job.state is State.DEAD
    match error:
        case None:
            return _failed(job) if is_dead else None
        case Snooze():
            return None
        case RetryLater():
            return error if is_dead else None
        case _:
            return None if job.state is State.CANCELLED else error


def is_for_the_test(error: BaseException | None) -> bool:
    """Tell whether what a job raised is meant for whoever runs the test: Ctrl-C, or `pytest.fail()` in a fake."""
    own = (Exception, Cancelled, asyncio.CancelledError, SystemExit, GeneratorExit)
    return error is not None and not isinstance(error, own)


def _failed(job: Job[object]) -> JobFailed:
    last = job.errors[-1] if job.errors else {"type": "", "message": "no error was kept"}
    return JobFailed(f"job {job.id} ({job.name}) is dead ({job.reason}): {last['type']}: {last['message']}", job)
