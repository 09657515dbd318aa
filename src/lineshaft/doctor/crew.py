"""The workers that take jobs at present."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from lineshaft.doctor.ailment import Patient
from lineshaft.store.inspect import list_workers

SILENCES: Final = 3
"""After how many times the setting `silence` a worker that is not heard of counts here: by then one that is dead has
been rescued by any other, and one on a busy machine has been heard of."""


class Member(NamedTuple):
    """A worker that lives and takes jobs."""

    id: int
    host: str
    pid: int
    queues: frozenset[str]
    tasks: frozenset[str]


def live_workers(patient: Patient) -> list[Member]:
    """Return the workers that were heard of lately and are not about to end."""
    oldest = patient.now() - SILENCES * patient.settings.silence
    return [
        Member(one.id, one.host, one.pid, _names(one.queues), _names(one.tasks))
        for one in patient.engine.read(list_workers)
        if one.heartbeat_at > oldest and not one.is_draining
    ]


def served_queues(patient: Patient) -> set[str]:
    """Return the queues that a live worker takes jobs of."""
    return {queue for one in live_workers(patient) for queue in one.queues}


def _names(text: str) -> frozenset[str]:
    return frozenset(msgspec.json.decode(text))
