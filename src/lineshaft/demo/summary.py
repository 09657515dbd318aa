"""What a run of the demo took: rate, waits, retries, computed from its finished jobs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


class FinishedJob(Protocol):
    """The part of a job's snapshot that the summary reads; times are aware."""

    @property
    def attempt(self) -> int:
        """The number of the last attempt, from 1."""

    @property
    def created_at(self) -> datetime:
        """When it was enqueued."""

    @property
    def started_at(self) -> datetime | None:
        """When its last attempt started."""

    @property
    def finished_at(self) -> datetime | None:
        """When it reached its final state."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one run; `seconds` lie between the first job's start and the last one's end."""

    jobs: int
    seconds: float
    retried: int
    median_wait_seconds: float
    p99_wait_seconds: float

    @property
    def jobs_per_second(self) -> float:
        """The rate at which jobs were finished."""
        return self.jobs / self.seconds if self.seconds else 0.0


def summarise(jobs: Iterable[FinishedJob]) -> Summary:
    """Return the figures of finished jobs.

    A wait lasts from enqueue to start. Only jobs with one attempt count for it: a retried one waited on purpose.
    """
    spans = [(job, job.started_at, job.finished_at) for job in jobs]
    ran = [(job, started, finished) for job, started, finished in spans if started and finished]
    waits = sorted((started - job.created_at).total_seconds() for job, started, _ in ran if job.attempt == 1)
    first = min((started for _, started, _ in ran), default=None)
    last = max((finished for _, _, finished in ran), default=None)
    return Summary(
        jobs=len(ran),
        seconds=(last - first).total_seconds() if first and last else 0.0,
        retried=sum(1 for job, _, _ in ran if job.attempt > 1),
        median_wait_seconds=percentile(waits, 50),
        p99_wait_seconds=percentile(waits, 99),
    )


def percentile(ascending: Sequence[float], rank: int) -> float:
    """Return the value that `rank` per cent (1 to 100) of the ascending values do not exceed; 0 for none."""
    if not ascending:
        return 0.0
    return ascending[max(1, ceil(len(ascending) * rank / 100)) - 1]
