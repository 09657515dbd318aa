"""What features are shown of the jobs that have become final."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from lineshaft.feature import Ended
from lineshaft.store.claim import Expired
from lineshaft.transitions import Complete, Held, PutBack, Stage, Transition


class Carrier(Protocol):
    """A claimed job with what is stored with it."""

    @property
    def held(self) -> Held:
        """The claim."""

    @property
    def tenant(self) -> str | None:
        """The owner."""

    @property
    def options(self) -> str | None:
        """What its options said, as JSON text."""

    @property
    def context(self) -> str | None:
        """What it carries, as JSON text."""


def ended_job(job: Carrier, one: Transition, started_at: int) -> Ended | None:
    """Return what features are shown of a transition; None when the job is not final, or carries nothing."""
    if job.options is None or isinstance(one, PutBack):
        return None
    stage = Stage.COMPLETED if isinstance(one, Complete) else one.stage
    return Ended(job.held.id, job.held.claim, stage, job.tenant, job.options, job.context, started_at)


def expired_jobs(jobs: Iterable[Expired], now: int) -> list[Ended]:
    """Return what features are shown of jobs that nobody had claimed."""
    return [
        Ended(one.id, one.claim, Stage.EXPIRED, one.tenant, one.options, one.context, now)
        for one in jobs
        if one.options is not None
    ]
