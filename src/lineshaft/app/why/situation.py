"""What is known of a job and of the workers at one moment; everything that is said follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from lineshaft.config import Settings
from lineshaft.store.explain import StoredJob
from lineshaft.store.inspect import WorkerRow
from lineshaft.store.rates import WorkerLoad, load_of
from lineshaft.transitions import Stage, State, state_of


class Member(NamedTuple):
    """A worker as it last described itself."""

    id: int
    host: str
    pid: int
    queues: dict[str, int]
    tasks: frozenset[str]
    heartbeat_at: int
    is_draining: bool
    load: WorkerLoad

    def __str__(self) -> str:
        """Name it so that a person finds it."""
        return f"worker {self.id} (process {self.pid} on {self.host})"


@dataclass(frozen=True, slots=True)
class Situation:
    """A stored job, the workers, and the settings by which they are judged."""

    job: StoredJob
    now: int
    settings: Settings
    crew: Sequence[Member] = ()

    @property
    def state(self) -> State:
        """What the job is doing."""
        row = self.job.row
        return state_of(row.stage, is_held=row.worker is not None, is_cancel_requested=bool(row.cancel_requested))

    @property
    def is_due(self) -> bool:
        """Whether its time has come; a job that is ready may be claimed whatever the clocks say."""
        return self.job.row.stage in (Stage.READY, Stage.PARKED) or self.job.row.run_at <= self.now

    @property
    def is_parked(self) -> bool:
        """Whether a limit keeps it in its line, out of sight of workers."""
        return self.job.row.stage == Stage.PARKED

    @property
    def is_untried(self) -> bool:
        """Whether no attempt was made since it was stored, or last revived: its deadline counts."""
        return self.job.row.attempt == self.job.attempts_before

    @property
    def live(self) -> list[Member]:
        """The workers that were heard of lately."""
        return [one for one in self.crew if not self.is_silent(one)]

    @property
    def serving(self) -> list[Member]:
        """The live workers that take jobs of its queue, or did before they began to drain."""
        return [one for one in self.live if self.job.row.queue in one.queues]

    @property
    def open(self) -> list[Member]:
        """The live workers that take jobs of its queue."""
        return [one for one in self.serving if not one.is_draining]

    def is_silent(self, one: Member) -> bool:
        """Tell whether a worker has not been heard of for so long that it may be dead."""
        return self.now - one.heartbeat_at > self.settings.silence


def member(row: WorkerRow) -> Member:
    """Return a worker's row as an explanation reads it."""
    queues, tasks = msgspec.json.decode(row.queues), frozenset(msgspec.json.decode(row.tasks))
    is_draining, load = bool(row.is_draining), load_of(row.load)
    return Member(row.id, row.host, row.pid, queues, tasks, row.heartbeat_at, is_draining, load)
