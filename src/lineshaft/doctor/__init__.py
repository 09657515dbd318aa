"""What may be wrong with a store, and what cures it: `lineshaft doctor`.

An ailment is one small class in a module of its own; it stands in `ailments` and in docs/troubleshooting.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lineshaft.clock import MINUTE
from lineshaft.doctor.ailment import Ailment, Finding, Patient, Remedy, Report, Unseen
from lineshaft.doctor.blocked_loop import BlockedLoop
from lineshaft.doctor.clock_skew import ClockSkew
from lineshaft.doctor.dead_rows import DeadRows
from lineshaft.doctor.dead_workers import DeadWorkers
from lineshaft.doctor.full_disk import FullDisk
from lineshaft.doctor.held_open import LONGEST_SECONDS, HeldOpen
from lineshaft.doctor.long_pause import LongPause
from lineshaft.doctor.newer_schema import NewerSchema
from lineshaft.doctor.no_leader import NoLeader
from lineshaft.doctor.no_worker import NoWorker
from lineshaft.doctor.old_schema import OldSchema
from lineshaft.doctor.overdue import Overdue
from lineshaft.doctor.poison import PoisonJobs
from lineshaft.doctor.rights import Rights
from lineshaft.doctor.unknown_tasks import UnknownTasks
from lineshaft.doctor.wake_ups import WakeUps
from lineshaft.errors import SchemaError, StoreError, StoreUnavailableError

__all__ = ["Ailment", "Finding", "HeldOpen", "Patient", "Remedy", "Report", "Unseen", "ailments", "examine"]


def ailments(
    *, held_seconds: float = LONGEST_SECONDS, waiting: int = MINUTE, least_free_bytes: int | None = None
) -> list[Ailment]:
    """Return what a store is looked over for, the gravest first: what stops all jobs, some jobs, and what slows them.

    `held_seconds` is how long a transaction may be open, `waiting` how many microseconds a job may be due in a queue
    that no worker serves, `least_free_bytes` what has to be free on the disk; None goes by the size of the volume.
    """
    return [
        NewerSchema(),
        OldSchema(),
        Rights(),
        FullDisk(least_free_bytes),
        NoWorker(waiting),
        DeadWorkers(),
        NoLeader(),
        BlockedLoop(),
        UnknownTasks(),
        PoisonJobs(),
        Overdue(),
        LongPause(),
        WakeUps(),
        HeldOpen(held_seconds),
        DeadRows(),
        ClockSkew(),
    ]


def examine(patient: Patient, wanted: Sequence[Ailment]) -> Report:
    """Look for every ailment and return all that was found, in their order.

    Raises `StoreUnavailableError` when the store does not answer; what cannot be looked at in it is unseen.
    """
    said = [one for ailment in wanted for one in _look(ailment, patient)]
    return Report(
        store=patient.engine.address,
        looked_for=[ailment.title for ailment in wanted],
        findings=[one for one in said if isinstance(one, Finding)],
        unseen=[one for one in said if isinstance(one, Unseen)],
    )


def _look(ailment: Ailment, patient: Patient) -> Iterator[Finding | Unseen]:
    try:
        yield from ailment.look(patient)
    except StoreUnavailableError:
        raise
    except SchemaError:
        yield Unseen(ailment.name, f"{ailment.title}: the store's schema lacks what this version would look at")
    except StoreError as error:
        yield Unseen(ailment.name, f"{ailment.title}: {error}")
