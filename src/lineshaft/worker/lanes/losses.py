"""What the process lane says of jobs whose own process could not tell how they ended."""

from __future__ import annotations

import logging
from typing import Final

from lineshaft.clock import SECOND
from lineshaft.outcomes import Cancelled, JobError, Lost, Outcome, Rejected, Unready
from lineshaft.worker.execute import stopped
from lineshaft.worker.run import Run

_log = logging.getLogger("lineshaft.worker")
_WAIT: Final = SECOND
_NOT_STARTED: Final = "lineshaft.ChildNotStarted"


def died(run: Run, how: str) -> Outcome:
    """Return what the death of its process means for a job: it was told to stop, or is lost."""
    if run.stop_cause is not None:
        return stopped(run, Cancelled(run.stop_cause))
    _log.error("job %s (%s) is lost: %s", run.id, run.name, how)
    error = _error(run, "lineshaft.ChildDied", how)
    return Lost(error, _wait(run, how), run.options.retry.max_attempts)


def not_started(run: Run, why: str) -> Unready:
    """Return that no child could be started for a job, for a reason that may pass."""
    return Unready(_error(run, _NOT_STARTED, why))


def never_started(run: Run, why: str) -> Rejected:
    """Return that no child can be started for a job."""
    return Rejected(_error(run, _NOT_STARTED, why))


def _error(run: Run, kind: str, message: str) -> JobError:
    return JobError(run.attempt, kind, message, None, run.clock.now())


def _wait(run: Run, how: str) -> int:
    try:
        return run.options.retry.wait(run.attempt, ChildProcessError(how))
    except Exception:  # noqa: BLE001 - a policy that breaks must not cost the job its next attempt
        _log.exception("the backoff of task %s failed; waiting 1 s", run.name)
        return _WAIT
