"""From claimed jobs to lanes: finds each job's task and options, and the lane that runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from lineshaft.clock import Clock
from lineshaft.errors import ConfigError, UnknownTaskError
from lineshaft.events import Subscribers
from lineshaft.options import Lane as LaneName
from lineshaft.options import Options, apply_execution
from lineshaft.outcomes import Interrupted, Outcome, Rejected, Stopped, Unknown, describe
from lineshaft.store.claim import Claimed
from lineshaft.task import Task
from lineshaft.transitions import is_expired
from lineshaft.worker.admitted import EVERYBODY, Admitted
from lineshaft.worker.execute import failed
from lineshaft.worker.lanes.base import Deliver, Lane
from lineshaft.worker.lanes.places import Places
from lineshaft.worker.run import Run
from lineshaft.worker.runtime import Runtime
from lineshaft.worker.slots import QueueSlots

_log = logging.getLogger("lineshaft.worker")
MakeLane = Callable[[str, LaneName, Places], Lane]


class Dispatcher:
    """Turns claimed jobs into runs and hands them to the lanes of their queues."""

    def __init__(
        self, runtime: Runtime, make_lane: MakeLane, deliver: Deliver, on_start: Callable[[Run], None]
    ) -> None:
        self._runtime, self._make_lane, self._deliver, self._on_start = runtime, make_lane, deliver, on_start
        self._lanes: dict[tuple[str, LaneName], Lane] = {}
        self.runs: dict[str, Run] = {}
        self._lane_of: dict[Run, Lane] = {}

    def lane_of(self, run: Run) -> Lane | None:
        """Return the lane that a run was handed to."""
        return self._lane_of.get(run)

    @property
    def subscribers(self) -> Subscribers:
        """Who wants to hear of events."""
        return self._runtime.subscribers

    @property
    def lanes(self) -> list[Lane]:
        """Every lane in use."""
        return list(self._lanes.values())

    def hand_out(
        self, claimed: Sequence[Claimed], queues: dict[str, QueueSlots], now: int, admitted: Admitted = EVERYBODY
    ) -> None:
        """Give jobs to their lanes in order, those at once that follow each other in one lane.

        A lane that got its share before another one has its own could run later jobs before earlier ones.
        """
        shares: list[tuple[tuple[str, LaneName], list[Run]]] = []
        for one in claimed:
            run, outcome = self._prepare(one, now)
            if admitted.passes or admitted.refused:
                outcome = _note_admission(run, admitted, now) or outcome
            if one.options is not None:
                run.claimed_at = now
            self.runs[one.held.id] = run
            if outcome is not None:
                self._deliver(run, outcome)
            else:
                key = (one.queue, self._lane_name(run))
                if not shares or shares[-1][0] != key:
                    shares.append((key, []))
                shares[-1][1].append(run)
        for key, runs in shares:
            self._submit(key, runs, queues[key[0]])
        for queue in {queue for (queue, _), _ in shares}:
            queues[queue].may_prefetch = not self._process_jobs(queue)

    def ended(self, runs: Iterable[Run]) -> None:
        """Forget runs whose outcome was taken."""
        for run in runs:
            run.is_ended = True
            if self.runs.get(run.id) is run:  # else the job was taken from us, and has come to us again
                del self.runs[run.id]
            self._lane_of.pop(run, None)

    def lanes_by_queue(self) -> list[tuple[str, Lane]]:
        """Return every lane in use, with its queue."""
        return [(queue, lane) for (queue, _), lane in list(self._lanes.items())]

    def withdraw(self, *lanes: Lane) -> int:
        """Give back the jobs that these lanes (none: any lane) have not started, and return how many."""
        unstarted = [run for lane in lanes or self.lanes for run in lane.withdraw()]
        for run in unstarted:
            self._deliver(run, Interrupted())
        return len(unstarted)

    def _prepare(self, one: Claimed, now: int) -> tuple[Run, Outcome | None]:
        clock = self._runtime.engine.clock
        try:
            task = self._runtime.tasks.find(one.name)
            options = self._options(task, one)
        except UnknownTaskError as error:  # newer code has enqueued it, and may come to run here too
            return _unrunnable(one, clock), Unknown(describe(error, one.held.attempt, now))
        except (ConfigError, TypeError, KeyError) as error:
            return _unrunnable(one, clock), Rejected(describe(error, one.held.attempt, now))
        run = Run(one, task, options, clock)
        run.on_start = self._on_start
        return run, Stopped() if one.cancel_requested else None

    def _options(self, task: Task[Any, Any, Any], one: Claimed) -> Options:
        if one.options is None:
            return task.defaults
        return apply_execution(task.defaults, msgspec.json.decode(one.options))

    def _lane_name(self, run: Run) -> LaneName:
        wanted = run.options.runs_in or ("async" if run.task.is_async else "thread")
        return "process" if run.claimed.is_isolated and self._can_isolate(run) else wanted

    def _can_isolate(self, run: Run) -> bool:
        return run.task.is_importable and self._runtime.app_path is not None

    def _submit(self, key: tuple[str, LaneName], runs: list[Run], slots: QueueSlots) -> None:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._make_lane(key[0], key[1], slots.places)
        kept = len(runs) if key[1] != "process" else max(0, slots.limit - self._process_jobs(key[0]))
        for run in runs[kept:]:
            self._deliver(run, Interrupted())
        for run in runs[:kept]:
            self._lane_of[run] = lane
        if runs[:kept]:
            lane.submit(runs[:kept])

    def _process_jobs(self, queue: str) -> int:
        """Return how many jobs of a queue are in its process lane, which must not have to wait for each other there.

        A child may take seconds to start, and jobs that killed their worker run one after the other.
        """
        lane = self._lanes.get((queue, "process"))
        return 0 if lane is None else sum(one is lane and not run.is_hung for run, one in self._lane_of.items())


def _note_admission(run: Run, admitted: Admitted, now: int) -> Outcome | None:
    """Have a run know what it has passed; returns its outcome if it is not to start."""
    job_id = run.claimed.held.id
    run.passes = admitted.passes.get(job_id)
    if admitted.slotted:
        run.has_slots = job_id in admitted.slotted
    error = admitted.refused.get(job_id) if admitted.refused else None
    if error is None:
        return None
    return Rejected(describe(error, run.attempt, now)) if isinstance(error, ConfigError) else failed(run, error)


def _unrunnable(one: Claimed, clock: Clock) -> Run:
    def nothing() -> None:
        """Stand for a task that is not known here."""

    return Run(one, Task(nothing, one.name, Options()), Options(), clock)


def split_expired(claimed: Iterable[Claimed], now: int) -> tuple[list[Claimed], list[Claimed]]:
    """Return (those that may start, those whose deadline has passed)."""
    fresh: list[Claimed] = []
    expired: list[Claimed] = []
    for one in claimed:
        (expired if is_expired(one.held, now) else fresh).append(one)
    return fresh, expired
