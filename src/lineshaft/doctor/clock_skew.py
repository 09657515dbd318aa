"""Clocks that tell different times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple
from uuid import UUID

from lineshaft.clock import SECOND, wall_clock
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy
from lineshaft.doctor.wording import span
from lineshaft.engines.base import Tx
from lineshaft.store.queries import Statements

SQL: Final = Statements("clock_skew", "lineshaft.doctor")

_READINGS: Final = 5
_MILLISECOND: Final = 1_000


class _Reading(NamedTuple):
    """How far this host's clock is ahead of the store's, in microseconds, and how wrong that may be."""

    ahead: int
    error: int


@dataclass(frozen=True, slots=True)
class ClockSkew(Ailment):
    """A clock differs by more than `most` microseconds.

    A second is how exactly jobs are promised to run in the order of their times; workers go by the server's clock and
    are not misled (docs/decisions/0021), but every host writes its own time into the ids that it makes, and programs
    reckon with it.
    """

    most: int = SECOND

    name: ClassVar[str] = "clock-skew"
    remedies: ClassVar = {
        "host": Remedy(
            "Workers go by the server's clock; ids, log lines and times that a program reckons from its own clock are "
            "off.",
            "sudo timedatectl set-ntp true",
            "Have every host, and the database's, follow a time server (chrony, systemd-timesyncd).",
        ),
        "ahead": Remedy(
            "The job's id was made by a host whose clock was ahead, or this clock was set back: newer jobs are listed "
            "behind older ones, and on SQLite what has a time waits until this clock has come to it once more.",
            "sudo timedatectl set-ntp true",
            "Run the doctor on each host that enqueues: it measures the clock of the one on which it runs.",
        ),
    }

    @property
    def title(self) -> str:
        """How people call it."""
        return f"clocks that differ by more than {span(self.most)}"

    def look(self, patient: Patient) -> Iterator[Finding]:
        """Yield this host's clock, and the newest job's."""
        reading = min(patient.engine.read(_readings), key=lambda one: one.error)
        if abs(reading.ahead) - reading.error > self.most:
            where = "ahead of" if reading.ahead > 0 else "behind"
            symptom = f"this host's clock is {span(abs(reading.ahead))} {where} the store's"
            facts = {"kind": "host", "seconds_ahead": reading.ahead / SECOND, "error_seconds": reading.error / SECOND}
            yield self.remedies["host"].finding(self.name, patient, symptom, facts)
        yield from self._newest(patient)

    def _newest(self, patient: Patient) -> Iterator[Finding]:
        for job, created_at in patient.run(SQL.newest_job):
            ahead = max(_time_of(job), created_at) - patient.now()
            if ahead > self.most:
                symptom = f"job {job} was made {span(ahead)} from now"
                facts = {"kind": "ahead", "job": job, "seconds_ahead": ahead / SECOND}
                yield self.remedies["ahead"].finding(self.name, patient, symptom, facts)


def _readings(tx: Tx) -> list[_Reading]:
    return [_read(tx) for _ in range(_READINGS)]


def _read(tx: Tx) -> _Reading:
    before = wall_clock()
    [(there,)] = tx.run(SQL.time_of_store, {})
    after = wall_clock()
    return _Reading((before + after) // 2 - there, (after - before) // 2 + _MILLISECOND)


def _time_of(job_id: str) -> int:
    """Return when an id was made by the clock of who made it: RFC 9562, 48 bits of milliseconds."""
    return (UUID(job_id).int >> 80) * _MILLISECOND
