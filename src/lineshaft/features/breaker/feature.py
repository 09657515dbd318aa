"""Circuit breakers as a feature: which jobs meet one that is not closed, and what their ends tell it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lineshaft.clock import SECOND
from lineshaft.errors import BreakerOpen
from lineshaft.feature import Feature, Read
from lineshaft.features.breaker.declared import DeclaredBreakers
from lineshaft.features.breaker.kind import BreakerKind
from lineshaft.features.breaker.moves import End
from lineshaft.features.breaker.records import open_breakers
from lineshaft.features.limits.stored import passes_of_stored
from lineshaft.gates import Attempt, GatedJob, GateKind, Pass, Sample
from lineshaft.outcomes import Done, Failed, GiveUp, JobError, Settled, TimedOut

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.explaining import Hold
    from lineshaft.job import JobRow
    from lineshaft.options import Breaker, Options
    from lineshaft.task import Task

_COUNTED_BY: Final = "breakers"
"""Under this name a failed attempt carries which of its breakers count its error, by their places in its options."""
_REFUSED: Final = f"{BreakerOpen.__module__}.{BreakerOpen.__qualname__}"
# A look at the store may have begun before the move that was noticed here was committed.
_TRUSTED_FOR: Final = 2 * SECOND


class BreakerFeature(Feature):
    """Has jobs wait, or fail, while what they need fails; `tasks` are all of the app's."""

    def __init__(self, tasks: Mapping[str, Task[Any, Any, Any]]) -> None:
        self._tasks, self._declared = tasks, DeclaredBreakers(tasks)
        self._is_used = False
        self._open: frozenset[str] | None = None
        """The breakers that were open or half-open when last looked at; None: nobody has looked."""
        self._noticed: dict[str, int] = {}
        """Those that were found so in this process, and when."""
        self._lock = threading.Lock()
        self._kinds = (BreakerKind(self._notice),)

    @property
    def kinds(self) -> Sequence[GateKind]:
        """The one kind of its gates."""
        return self._kinds

    def refresh(self, read: Read, now: int) -> None:
        """See which breakers are not closed, once a task or a job names one."""
        if not self._is_used and not self._declared:
            return
        self._open = read(open_breakers)
        with self._lock:
            self._noticed = {key: at for key, at in self._noticed.items() if abs(now - at) < _TRUSTED_FOR}

    def limits(self, options: Options) -> bool:
        """Tell whether the options name a breaker."""
        return bool(options.breaker)

    def passes(self, options: Options, job: GatedJob) -> Sequence[Pass]:
        """Return the gates of the job's breakers but of those that are closed: they cost nothing."""
        self._is_used = True
        if self._open is not None and not self._open and not self._noticed:
            return ()
        rules = [(one, one.rule(job.name)) for one in options.breaker]
        return [
            Pass(rule, rule, "breaker", self._declared.find(one, rule).terms())
            for one, rule in rules
            if self._may_refuse(rule)
        ]

    def read_error(self, options: Options, error: BaseException) -> Mapping[str, Any]:
        """Return which of the breakers count this error as a failure.

        One that names no types counts every error but `GiveUp`: that says something of the job.
        """
        counted = [place for place, one in enumerate(options.breaker) if self._counts(one, type(error))]
        return {_COUNTED_BY: counted} if counted else {}

    def samples(self, options: Options, attempt: Attempt) -> Sequence[Sample]:
        """Return the failures that count, and what became of jobs that a breaker let through while not closed."""
        if isinstance(attempt.outcome, Done | Settled) and not attempt.passes:
            return ()  # the most that there are: successes while all breakers are closed
        return list(self._samples(options, attempt))

    def explain(self, tx: Tx, job: JobRow, now: int) -> Sequence[Hold]:
        """Say which breaker holds a job, since when, and why it is open."""
        from lineshaft.features.breaker.explain import explain

        return list(explain(tx, job, now, self._kinds[0], partial(passes_of_stored, self._tasks, self.passes)))

    def _samples(self, options: Options, attempt: Attempt) -> Iterator[Sample]:
        met = {one.key for one in attempt.passes}
        for place, one in enumerate(options.breaker):
            rule = one.rule(attempt.name)
            end = self._end(one, place, attempt)
            if end is not None and (end.said == "failed" or rule in met):
                yield Sample(rule, rule, "breaker", self._declared.find(one, rule).terms(), end)

    def _end(self, breaker: Breaker, place: int, attempt: Attempt) -> End | None:
        match attempt.outcome:
            case Done() | Settled():
                return End(attempt.id, "succeeded")
            case Failed(error) if error.type == _REFUSED:
                return None
            case Failed(error):
                is_counted = place in (attempt.signals or {}).get(_COUNTED_BY, ())
                # Whatever else went wrong, what the breaker guards has answered.
                return _failure(attempt.id, error) if is_counted else End(attempt.id, "succeeded")
            case TimedOut(error) if self._counts(breaker, TimeoutError):
                return _failure(attempt.id, error)
            case _:
                return End(attempt.id, "gone")

    def _counts(self, breaker: Breaker, kind: type[BaseException]) -> bool:
        errors = breaker.errors
        return issubclass(kind, errors) if errors else not issubclass(kind, GiveUp)

    def _may_refuse(self, rule: str) -> bool:
        return self._open is None or rule in self._open or rule in self._noticed

    def _notice(self, key: str, at: int) -> None:
        with self._lock:
            self._noticed[key] = at


def _failure(job_id: str, error: JobError) -> End:
    return End(job_id, "failed", f"{error.type}: {error.message}")
