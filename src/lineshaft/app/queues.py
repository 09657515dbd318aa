"""`app.queues` and `app.workers`: what there is and what it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.app.crossing import twin
from lineshaft.app.depths import LIMITS, checked_limits, merged_limits
from lineshaft.app.fairness import FAIRNESS, change_fairness, checked_fairness, end_turns, fair_in
from lineshaft.app.flows import FLOWS, checked_flow, rate_of
from lineshaft.clock import Duration, to_datetime
from lineshaft.errors import ConfigError
from lineshaft.options import UNSET, FairBy, Options, Rate
from lineshaft.store import control, inspect
from lineshaft.store.depth import OnFull
from lineshaft.store.grants import change_flow, flow_of, list_grants
from lineshaft.store.lead import see_lead
from lineshaft.store.rates import load_of
from lineshaft.transitions import State, state_of

if TYPE_CHECKING:
    from lineshaft.app.store import Store
    from lineshaft.engines.base import Tx


_LONGEST_NOTE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue: whether it is paused, its limits, and how many unfinished jobs it holds by state."""

    name: str
    paused_at: datetime | None = None
    max_depth: int | None = None
    counts: dict[State, int] = field(default_factory=dict)
    paused_by: str | None = None
    """Who paused it, as they said."""
    pause_reason: str | None = None
    max_depth_per_tenant: int | None = None
    on_full: OnFull = "reject"
    """What becomes of a job that does not fit in."""
    block_timeout: timedelta | None = None
    """How long an enqueue waits for room, where `on_full` is `block`."""
    concurrency: int | None = None
    """How many of its jobs run at once, over all workers."""
    rate: Rate | None = None
    """How often its jobs start, over all workers."""
    holders: dict[int, int] = field(default_factory=dict[int, int])
    """Which workers have how many of the places that `concurrency` allows, by their ids."""
    fair: FairBy | None = None
    """By whom its jobs take turns; None: they run in the order of their times."""
    fair_weights: Mapping[str, int] = field(default_factory=dict[str, int])
    """The weights of those that have another one than 1."""

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
        settings, counts, workers, grants = self._store.read(
            lambda tx: (inspect.list_queues(tx), inspect.count_by_queue(tx), inspect.list_workers(tx), list_grants(tx))
        )
        known = {name: rest for name, *rest in settings}
        served = {name for worker in workers for name in msgspec.json.decode(worker.queues)}
        by_queue: dict[str, dict[State, int]] = {}
        for queue, stage, is_held, count in counts:
            state = state_of(stage, is_held=bool(is_held), is_cancel_requested=False)
            by_queue.setdefault(queue, {})[state] = count
        names = sorted(known.keys() | by_queue.keys() | served)
        holders: dict[str, dict[int, int]] = {}
        for one in grants:
            holders.setdefault(one.queue, {})[one.worker] = one.places
        return [_queue(name, by_queue.get(name, {}), holders.get(name, {}), *known.get(name, ())) for name in names]

    def get(self, name: str) -> Queue:
        """Return one queue."""
        _check(name)
        return next((queue for queue in self.list() if queue.name == name), Queue(name))

    def pause(self, name: str, *, by: str | None = None, reason: str | None = None) -> None:
        """Have workers take nothing more of this queue; what runs goes on.

        `by` and `reason`, texts of up to 1,000 characters, are told to whoever asks what holds a job of the queue.
        """
        _check(name)
        check_note("by", by)
        check_note("reason", reason)
        now = self._store.engine.clock.now()
        self._store.write(lambda tx, _: control.pause_queue(tx, name, now=now, by=by, reason=reason))

    def resume(self, name: str) -> None:
        """Have workers take this queue's jobs again."""
        _check(name)
        self._store.write(lambda tx, _: control.resume_queue(tx, name))

    def update(
        self,
        name: str,
        *,
        max_depth: int | None = UNSET,
        max_depth_per_tenant: int | None = UNSET,
        on_full: OnFull = UNSET,
        block_timeout: Duration = UNSET,
        concurrency: int | None = UNSET,
        rate: str | Rate | None = UNSET,
        fair: FairBy | None = UNSET,
        fair_weights: Mapping[str, int] = UNSET,
    ) -> None:
        """Change what limits the queue; what is not said stays, and None takes a limit away.

        `concurrency` is how many of its jobs run at once and `rate` how often they start (`"100/m"`, or a `Rate`
        without key, cost, name and tenant), over all workers of the store, from their next claim on: jobs that run
        already go on and count.

        How many may wait counts from the next enqueue of any client on: `max_depth` counts all of its jobs,
        `max_depth_per_tenant` those of each tenant. `on_full` says what becomes of jobs that do not fit in: `reject`
        raises `QueueFull`; `drop_oldest` cancels as many ready ones, the first of the lowest priority; `block` waits
        for room, up to `block_timeout` (default 30 s), and raises then.

        `fair` has jobs of one priority take turns by `"tenant"`, or by `"key"`, their tasks' `fair_key`: those that are
        enqueued or fall due from now on. `fair_weights` such as `{"acme": 3}` gives shares; who is not named has 1.
        Raises `ConfigError` for what cannot be.
        """
        _check(name)
        changes = checked_limits(
            max_depth=max_depth,
            max_depth_per_tenant=max_depth_per_tenant,
            on_full=on_full,
            block_timeout=block_timeout,
        )
        flow = checked_flow(concurrency=concurrency, rate=rate)
        turns = checked_fairness(fair=fair, fair_weights=fair_weights)
        if not changes and not flow and not turns:
            msg = f"nothing to change; give {', '.join((*FLOWS, *FAIRNESS, *LIMITS[:-1]))} or {LIMITS[-1]}"
            raise ConfigError(msg)
        now = self._store.engine.clock.now()
        self._store.write(lambda tx, _: _change(tx, name, changes, flow, turns, now))
        if "fair" in turns and turns["fair"] is None:
            end_turns(self._store, name)

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
    leads: bool = False
    """Whether it is the one that does for all what has to be done once."""
    duty: str | None = None
    """What it does as the leader, as of its last heartbeat; None when there is nothing to speak of."""


class Workers:
    """The workers of a store."""

    def __init__(self, store: Store, silence: int) -> None:
        self._store, self._silence = store, silence

    def list(self) -> list[WorkerInfo]:
        """Return the workers that have not signed off and whose jobs have not been rescued."""
        rows, held, lead = self._store.read(
            lambda tx: (inspect.list_workers(tx), inspect.running_by_worker(tx), see_lead(tx))
        )
        now = self._store.engine.clock.now()
        return [self._info(row, held.get(row.id, 0), now, leads=row.id == lead.worker) for row in rows]

    def drain(self, ids: Iterable[int]) -> set[int]:
        """Have workers claim no more, finish what they run, however long that takes, and end with exit code 0.

        They hear of it with their next heartbeat. Returns those of the ids that there are.
        """
        wanted = sorted(set(ids))
        return self._store.write(lambda tx, _: control.drain_workers(tx, wanted))

    alist = twin(list)
    adrain = twin(drain)

    def _info(self, row: inspect.WorkerRow, running: int, now: int, *, leads: bool) -> WorkerInfo:
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
            leads=leads,
            duty=load_of(row.load).duty if leads else None,
        )


def _queue(
    name: str,
    counts: dict[State, int],
    holders: dict[int, int],
    paused_at: int | None = None,
    max_depth: int | None = None,
    paused_by: str | None = None,
    pause_reason: str | None = None,
    max_depth_per_tenant: int | None = None,
    on_full: OnFull | None = None,
    block_timeout: int | None = None,
    flow_text: str | None = None,
) -> Queue:
    at = None if paused_at is None else to_datetime(paused_at)
    longest = None if block_timeout is None else timedelta(microseconds=block_timeout)
    limits = (max_depth_per_tenant, on_full or "reject", longest)
    flow = flow_of(flow_text)
    flows = (flow.concurrency, rate_of(flow.rate), holders)
    fair = fair_in(flow_text)
    turns = (None, {}) if fair is None else (fair.by, fair.weights)
    return Queue(name, at, max_depth, counts, paused_by, pause_reason, *limits, *flows, *turns)


def _change(
    tx: Tx, name: str, changes: Mapping[str, Any], flow: Mapping[str, Any], turns: Mapping[str, Any], now: int
) -> None:
    if changes:
        _change_limits(tx, name, changes)
    if flow:
        change_flow(tx, name, flow, now=now)
    if turns:
        change_fairness(tx, name, turns, now)


def _change_limits(tx: Tx, name: str, changes: Mapping[str, Any]) -> None:
    before: dict[str, Any] = dict(zip(LIMITS, control.lock_queue(tx, name), strict=True))
    control.limit_queue(tx, name, **merged_limits(name, before, changes))


def check_note(name: str, text: Any) -> None:
    """Raise `ConfigError` unless a text may stand with a pause."""
    if text is not None and not (isinstance(text, str) and len(text) <= _LONGEST_NOTE and _is_storable(text)):
        msg = f"{name}={text!r:.80} of a pause must be a text of up to {_LONGEST_NOTE:,} characters"
        raise ConfigError(msg)


def _check(name: Any) -> None:
    Options().but(queue=name)


def _is_storable(text: str) -> bool:
    """Tell whether every store can keep a text: no NUL, no lone surrogates."""
    return "\x00" not in text and text.encode("utf-8", "ignore").decode() == text
