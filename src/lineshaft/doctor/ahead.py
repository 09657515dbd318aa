"""What stands first in a queue: looks that cost the same however many jobs wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from lineshaft.doctor.ailment import Patient
from lineshaft.doctor.wording import MOST
from lineshaft.store.queries import Statements

SQL: Final = Statements("ahead", "lineshaft.doctor")


class Waiting(NamedTuple):
    """Jobs that are due and that nobody holds."""

    queue: str
    jobs: int
    """Up to `MOST`."""
    since: int
    """For how long the first of them has been due."""


def queues_with_ready_jobs(patient: Patient) -> list[str]:
    """Return the queues in which a job is ready or runs."""
    return [row[0] for row in patient.run(SQL.queues_with_ready_jobs)]


def ready_jobs(patient: Patient) -> Iterator[Waiting]:
    """Yield what waits in each queue to be claimed."""
    for queue in queues_with_ready_jobs(patient):
        [(jobs, since)] = patient.run(SQL.ready_ahead, queue=queue, most=MOST)
        if jobs:
            yield Waiting(queue, jobs, since)
