"""What a test has just run."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

from lineshaft.app.testing.raised import failure_of
from lineshaft.job import Job


class Drained(list[Job[Any]]):
    """The attempts that ran, in order: each the job as it was after that attempt; one that ran twice is there twice."""

    def __init__(self) -> None:
        super().__init__()
        self.raised: list[BaseException | None] = []
        """What the code of each attempt raised, None where it returned."""

    @property
    def counts(self) -> dict[str, int]:
        """How many attempts ended in which state: `{"completed": 2, "retrying": 1}`."""
        return dict(Counter(job.state.value for job in self))

    def note(self, job: Job[Any], error: BaseException | None) -> None:
        """Add an attempt: the job as it was afterwards, and what its code raised."""
        self.append(job)
        self.raised.append(error)

    def __iadd__(self, other: Drained) -> Self:  # type: ignore[misc,override]
        """Add what ran after this."""
        self.extend(other)
        self.raised.extend(other.raised)
        return self

    @property
    def errors(self) -> list[BaseException]:
        """What the attempts that failed raised; one that asked to be tried later, or snoozed, did not fail."""
        failures = map(failure_of, self, self.raised)
        return [one for one in failures if one is not None]

    def checked(self, *, raise_errors: bool) -> Self:
        """Return this; with `raise_errors`, raise the errors instead: one as it is, several as a group."""
        errors = self.errors if raise_errors else []
        if len(errors) == 1:
            raise errors[0]
        if errors:
            msg = f"{len(errors)} attempts of jobs failed"
            raise BaseExceptionGroup(msg, errors)
        return self

    def result(self) -> Any:
        """Return the result of the last attempt; raises what it raised, be it to steer itself."""
        if self.raised and self.raised[-1] is not None:
            raise self.raised[-1]
        return self[-1].value
