"""Limits that learn as a feature: which jobs have one, and which of their errors say "too much"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lineshaft.feature import Feature
from lineshaft.features.adaptive.aimd import Heard, Said
from lineshaft.features.adaptive.kind import AdaptiveKind
from lineshaft.features.limits.keys import Keyed, keyed, passes_of
from lineshaft.features.limits.stored import passes_of_stored
from lineshaft.gates import Attempt, GatedJob, GateKind, Pass, Sample
from lineshaft.options import Adaptive, Options
from lineshaft.outcomes import Done, Failed, RetryLater, Settled, TimedOut

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.explaining import Hold
    from lineshaft.feature import Write
    from lineshaft.job import JobRow
    from lineshaft.task import Task

_TOO_MUCH: Final = "too_much"
"""Under this name a failed attempt carries which of its limits take its error for a sign, by their places."""
_STATUS: Final = ("status", "status_code", "code")
_SIGNS: Final = (429, 503)
"""Too Many Requests (RFC 6585) and Service Unavailable (RFC 9110): both say "come back later"."""


class AdaptiveFeature(Feature):
    """Lets as many jobs run as what they use can take; `tasks` are those that are known here, by name."""

    def __init__(self, tasks: Mapping[str, Task[Any, Any, Any]]) -> None:
        self._tasks = tasks
        self._kinds = (AdaptiveKind(),)
        self._compiled: dict[str, tuple[Options, Sequence[Keyed]]] = {}

    @property
    def kinds(self) -> Sequence[GateKind]:
        """The one kind of its gates."""
        return self._kinds

    def limits(self, options: Options) -> bool:
        """Tell whether the options name a limit that learns."""
        return any(isinstance(one, Adaptive) for one in options.concurrency)

    def passes(self, options: Options, job: GatedJob) -> Sequence[Pass]:
        """Return the gates of a job; raises `ConfigError` when a key cannot be taken from its arguments."""
        known = self._compiled.get(job.name)
        if known is None or known[0] is not options:
            return passes_of(self._keyed(self._tasks[job.name], options), job)
        return passes_of(known[1], job)

    def read_error(self, options: Options, error: BaseException) -> Mapping[str, Any]:
        """Return which of the limits take this error for a sign of too much."""
        is_sign = isinstance(error, RetryLater) or _says_too_much(error)
        places = [
            place for place, one in enumerate(options.concurrency)
            if isinstance(one, Adaptive) and (is_sign or isinstance(error, one.errors))
        ]  # fmt: skip
        return {_TOO_MUCH: places} if places else {}

    def samples(self, options: Options, attempt: Attempt) -> Sequence[Sample]:
        """Return what the attempt's end says to each of its limits."""
        if type(attempt.outcome) is Done:  # as most do: it is good for all that it has passed
            heard = Heard("good", attempt.seconds)
            passed = (one for one in attempt.passes if one.kind == "adaptive")
            return [Sample(one.key, one.rule, one.kind, one.terms, heard) for one in passed]
        return list(self._samples(options, attempt))

    def explain(self, tx: Tx, job: JobRow, now: int) -> Sequence[Hold]:
        """Say which limit holds a waiting job, who holds its places, and between what it learns."""
        from lineshaft.features.adaptive.explain import explain

        return list(explain(tx, job, now, self._kinds[0], partial(passes_of_stored, self._tasks, self.passes)))

    def periodic(self, write: Write, now: int) -> None:
        """Forget limits that nobody uses any more, and their courses of more than a week ago."""
        from lineshaft.features.adaptive.tidying import tidy

        tidy(write, now)

    def _samples(self, options: Options, attempt: Attempt) -> Iterator[Sample]:
        passed = {one.rule: one for one in attempt.passes if one.kind == "adaptive"}
        for place, one in enumerate(options.concurrency):
            if isinstance(one, Adaptive) and (gate := passed.get(one.rule(attempt.name))) is not None:
                heard = Heard(_said(one, place, attempt), attempt.seconds)
                yield Sample(gate.key, gate.rule, gate.kind, gate.terms, heard)

    def _keyed(self, task: Task[Any, Any, Any], options: Options) -> Sequence[Keyed]:
        """Return the limits of options; those of a task are worked out once."""
        found = tuple(keyed(task, one) for one in options.concurrency if isinstance(one, Adaptive))
        if options is task.defaults:
            self._compiled[task.name] = (options, found)
        return found


def _said(limit: Adaptive, place: int, attempt: Attempt) -> Said:
    match attempt.outcome:
        case Done() | Settled():
            return "good"
        case Failed() if place in (attempt.signals or {}).get(_TOO_MUCH, ()):
            return "bad"
        case TimedOut() if issubclass(TimeoutError, limit.errors):
            return "bad"
        case _:
            return "other"


def _says_too_much(error: BaseException) -> bool:
    """Tell whether an error of an HTTP client carries a status that says so; each library has its own way."""
    answers = (error, getattr(error, "response", None))
    return any(_number(getattr(one, name, None)) in _SIGNS for one in answers for name in _STATUS)


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None
