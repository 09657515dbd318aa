"""`app.queues` and `app.workers`: what there is and what it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from lineshaft.app.crossing import twin
from lineshaft.clock import to_datetime
from lineshaft.errors import ConfigError
from lineshaft.options import Options
from lineshaft.store import control, inspect
from lineshaft.transitions import State, state_of

if TYPE_CHECKING:
    from lineshaft.app.store import Store


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue: whether it is paused, its depth limit, and how many unfinished jobs it holds by state."""

    name: str
    paused_at: datetime | None = None
    max_depth: int | None = None
    counts: dict[State, int] = field(default_factory=dict)

    @property
    def paused(self) -> bool:
        """Whether workers take nothing from it."""
        return self.paused_at is not None

    @property
    def depth(self) -> int:
        """How many of its jobs wait, which is what `max_depth` limits."""
        return sum(count for state, count in self.counts.items() if state not in (State.RUNNING, State.CANCELLING))


class Queues:
    """The queues of a store. A queue exists as soon as it is named."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> list[Queue]:
        """Return the queues that hold unfinished jobs, have settings, or are served by a worker, by name."""
        settings, counts, workers = self._store.read(
            lambda tx: (inspect.list_queues(tx), inspect.count_by_queue(tx), inspect.list_workers(tx))
        )
        known = {name: (paused_at, max_depth) for name, paused_at, max_depth in settings}
        served = {name for worker in workers for name in msgspec.json.decode(worker.queues)}
        by_queue: dict[str, dict[State, int]] = {}
        for queue, stage, is_held, count in counts:
            state = state_of(stage, is_held=bool(is_held), is_cancel_requested=False)
            by_queue.setdefault(queue, {})[state] = count
        names = sorted(known.keys() | by_queue.keys() | served)
        return [_queue(name, *known.get(name, (None, None)), by_queue.get(name, {})) for name in names]

    def get(self, name: str) -> Queue:
        """Return one queue."""
        _check(name)
        return next((queue for queue in self.list() if queue.name == name), Queue(name))

    def pause(self, name: str) -> None:
        """Have workers take nothing more of this queue; what runs goes on."""
        _check(name)
        now = self._store.engine.clock.now()
        self._store.write(lambda tx, _: control.pause_queue(tx, name, now=now))

    def resume(self, name: str) -> None:
        """Have workers take this queue's jobs again."""
        _check(name)
        self._store.write(lambda tx, _: control.resume_queue(tx, name))

    def update(self, name: str, *, max_depth: int | None) -> None:
        """Let the queue hold at most `max_depth` waiting jobs; None takes the limit away."""
        _check(name)
        if max_depth is not None and (isinstance(max_depth, bool) or not isinstance(max_depth, int) or max_depth < 1):
            msg = f"max_depth={max_depth!r} must be a whole number from 1, or None"
            raise ConfigError(msg)
        self._store.write(lambda tx, _: control.limit_queue(tx, name, max_depth))

    def purge(self, name: str) -> int:
        """Delete every waiting job of the queue and return how many."""
        _check(name)
        count = 0
        while gone := self._store.write(lambda tx, _: control.purge_queue(tx, name)):
            count += gone
        return count

    alist = twin(list)
    aget = twin(get)
    apause = twin(pause)
    aresume = twin(resume)
    aupdate = twin(update)
    apurge = twin(purge)


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker incarnation: where it is, what it serves, and when it was last heard of (aware UTC)."""

    id: int
    host: str
    pid: int
    version: str
    queues: dict[str, int]
    tasks: tuple[str, ...]
    state: str
    """`running`, `draining` or `silent` (its heartbeat is old)."""
    running: int
    """How many jobs it holds."""
    started_at: datetime
    heartbeat_at: datetime


class Workers:
    """The workers of a store."""

    def __init__(self, store: Store, silence: int) -> None:
        self._store, self._silence = store, silence

    def list(self) -> list[WorkerInfo]:
        """Return the workers that have not signed off and whose jobs have not been rescued."""
        rows, held = self._store.read(lambda tx: (inspect.list_workers(tx), inspect.running_by_worker(tx)))
        now = self._store.engine.clock.now()
        return [self._info(row, held.get(row.id, 0), now) for row in rows]

    alist = twin(list)

    def _info(self, row: inspect.WorkerRow, running: int, now: int) -> WorkerInfo:
        is_silent = now - row.heartbeat_at > self._silence
        return WorkerInfo(
            id=row.id,
            host=row.host,
            pid=row.pid,
            version=row.version,
            queues=msgspec.json.decode(row.queues),
            tasks=tuple(msgspec.json.decode(row.tasks)),
            state="silent" if is_silent else "draining" if row.is_draining else "running",
            running=running,
            started_at=to_datetime(row.started_at),
            heartbeat_at=to_datetime(row.heartbeat_at),
        )


def _queue(name: str, paused_at: int | None, max_depth: int | None, counts: dict[State, int]) -> Queue:
    return Queue(name, None if paused_at is None else to_datetime(paused_at), max_depth, counts)


def _check(name: Any) -> None:
    Options().but(queue=name)
