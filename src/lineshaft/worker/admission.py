"""Who may start: the one place of a worker that decides about gates, in one step a transaction.

A step locks all gates that it is about at once, sorted, reads them, decides (`verdict.py`), and writes. It comes after
the finish and the claim of the same transaction: a place that is freed and one that is wanted are locked together.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from lineshaft.clock import SECOND
from lineshaft.engines.base import Tx
from lineshaft.errors import BreakerOpen, ConfigError
from lineshaft.events import BreakerOpened, Subscribers, event_of_news
from lineshaft.feature import Feature, Read
from lineshaft.gates import Gate, GatedJob, News, Pass, Sample
from lineshaft.registry import TaskRegistrar
from lineshaft.store.claim import Claimed
from lineshaft.store.course import note_changes
from lineshaft.store.gates import Move, Slot, hasten_gates, lock_and_read, next_wake, remove_slots, take_due, write_step
from lineshaft.store.line import (
    Parked,
    Unclaimed,
    Waiting,
    join_sequences,
    join_unclaimed,
    leave_gates,
    park_ready,
    park_unclaimed,
)
from lineshaft.transitions import is_expired
from lineshaft.worker.admitted import NO_HEADS, NOTHING, Admitted, Judged, RoomBeside, Step, no_room
from lineshaft.worker.asking import Asker, brings_limits
from lineshaft.worker.departure import Departure
from lineshaft.worker.served import Served
from lineshaft.worker.succession import Succession
from lineshaft.worker.verdict import Candidate, Seat, Verdict, decide, seat, seat_alone

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_MEMORY: Final = 60 * SECOND
"""For how long a worker expects more jobs that bring limits of their own after it has met one."""
_FAR_BEATS: Final = 10
"""On each how many heartbeats a worker without limits asks whether some gate has a line: its worker may be gone."""
_DUE_AT_ONCE: Final = 100
_BUSY_MICROS: Final = SECOND // 100
"""How soon to look again when somebody else decides for what is due."""
_THINNED_AT_ONCE: Final = 1_000

J = TypeVar("J", Claimed, Waiting)
_IN_DOUBT: Final = 2 * SECOND
"""How far ahead a look may be planned that is not made at once after the clock may have been set back."""


class Admission:
    """Has jobs pass their gates, or parks them, and lets others follow those that leave."""

    def __init__(
        self,
        worker: int,
        tasks: TaskRegistrar,
        features: Sequence[Feature],
        subscribers: Subscribers,
        queues: Collection[str] | None,
    ) -> None:
        self._worker, self._subscribers = worker, subscribers
        self._served = Served(queues)
        self._asker = Asker(tasks, features)
        self._succession = Succession(worker, self._ask)
        self._expects_until = 0
        self._due: int | None = None
        self._must_recall = False
        self._due_lock = threading.Lock()
        self._beats = 0
        self._beaten_at: int | None = None
        self._hastens_after: int | None = None
        self.look: Callable[[Collection[str]], None] = lambda _: None
        """Is told of queues that have jobs again, or (none) that a gate has to be looked at earlier."""

    def is_in_play(self, now: int) -> bool:
        """Tell whether claims have to be made where gates can be locked."""
        return self._asker.has_limits or now < self._expects_until

    # --- steps, each in a transaction ------------------------------------------------------------------------------

    def concerns(self, claimed: Iterable[Claimed]) -> bool:
        """Tell whether some of these jobs may have gates to pass."""
        return any(one.gate is not None or self._asker.concerns(one.name, one.options) for one in claimed)

    def admit(
        self, tx: Tx, claimed: list[Claimed], departures: Sequence[Departure], now: int, room: RoomBeside = no_room
    ) -> Admitted:
        """Let jobs that this worker has claimed pass their gates, or park them; then let others follow who left.

        Those that follow are claimed at once as far as the worker has room: `room` says how much, by queue.
        """
        passes, refused = self._ask(claimed, now)
        strays = [one for one in claimed if one.gate is not None and _has_strayed(one, passes.get(one.held.id, ()))]
        candidates = [
            Candidate(one.held.id, found, None if strays and one in strays else one.gate)
            for one in claimed
            if passes  # mostly there are none, and nothing more to be asked
            and (found := passes.get(one.held.id))
            and not one.cancel_requested
            and not is_expired(one.held, now)
        ]
        followers = NO_HEADS
        if departures:
            followers, departures = self._succession.follow(tx, departures, room(claimed), now)
        if not candidates and not departures and not strays:
            return Admitted(claimed + followers.jobs, {**passes, **followers.passes}, refused=refused)
        by_id = {one.held.id: one for one in claimed}
        verdict, judged = self._judge(tx, by_id, candidates, departures, now, strays)
        jobs = [one for one in claimed if one.held.id not in verdict.parked] if verdict.parked else claimed
        jobs = jobs + followers.jobs if followers.jobs else jobs
        heads, steady = NO_HEADS, _NONE
        if verdict.releases:
            heads, steady = self._succession.hand_over(tx, verdict.releases, judged.gates, departures, room(jobs), now)
        step = self._write(tx, verdict, judged.parked, judged.slots)._replace(steady=steady)
        return Admitted(
            jobs + heads.jobs if heads.jobs else jobs,
            {**passes, **followers.passes, **heads.passes},
            frozenset(job for job, _ in verdict.slots),
            {**refused, **{job: BreakerOpen(message) for job, message in verdict.failed.items()}},
            _crowded(claimed, verdict.parked),
            step,
        )

    def depart(self, tx: Tx, departures: Sequence[Departure], now: int) -> Step:
        """Let others follow who left, and have gates hear how those ended."""
        if not departures:
            return NOTHING
        verdict, judged = self._judge(tx, _NONE, (), departures, now)
        return self._write(tx, verdict, judged.parked, judged.slots)

    def open_due(self, tx: Tx, now: int) -> Step:
        """Look at the gates whose time has come; the transaction must not be about any other."""
        if self._hastens_after is not None:
            hasten_gates(tx, now=now, latest=self._hastens_after)
        gates = take_due(tx, now, _DUE_AT_ONCE, closed=self._served.queues.closed)
        step = self._visit(tx, gates, now)
        wake_at, soon = next_wake(tx), now if len(gates) == _DUE_AT_ONCE else now + _BUSY_MICROS
        return step._replace(wake_at=None if wake_at is None else max(wake_at, soon), was_due=True)

    def visit(self, tx: Tx, keys: Mapping[str, str], now: int) -> Step:
        """Look at gates, given with their rules, in which places may have become free."""
        gates = lock_and_read(tx, keys, closed=self._served.queues.closed) if keys else {}
        return self._visit(tx, gates, now)

    def thin(self, tx: Tx, queue: str, now: int) -> tuple[int, Step]:
        """Park jobs of a queue that are not claimed yet and would be refused, and return how many."""
        waiting = {one.id: one for one in park_ready(tx, queue, _THINNED_AT_ONCE)}
        candidates = [
            Candidate(one.id, found) for one in waiting.values() if (found := self._passes_of_waiting(one, queue))
        ]
        concerns = {one.key: one for candidate in candidates for one in candidate.passes}
        if not concerns:
            return 0, NOTHING
        joining = _joining(waiting, candidates)
        if joining:
            join_unclaimed(tx, joining)
        gates = lock_and_read(tx, {one.key: one.rule for one in concerns.values()})
        verdict = decide(candidates, (), seat(concerns.values(), gates, self._asker.kinds, now), now)
        parked = [Unclaimed(waiting[job], gate) for job, gate in verdict.parked.items()]
        count = park_unclaimed(tx, parked)
        begun = {one.gate for one in parked}
        # Those that could pass have not passed yet: nothing is spent for them.
        moves = [
            Move(one.key, gates[one.key].tat, gates[one.key].state, one.wake_at)
            for one in verdict.moves
            if one.key in begun
        ]
        write_step(tx, worker=self._worker, moves=moves)
        return count, Step(wake_at=min((one.wake_at for one in moves if one.wake_at is not None), default=None))

    # --- between them ----------------------------------------------------------------------------------------------

    def settle(self, step: Step) -> None:
        """Tell what a step did, once it is committed; from any thread."""
        if step is NOTHING:
            return
        self._note_due(step.wake_at, is_certain=step.was_due)
        self._succession.note(step.steady)
        if step.was_due:
            self._hastens_after = None
        if step.queues:
            self.look(step.queues)
        for one in step.news:
            self._must_recall |= one.kind == BreakerOpened.kind
            self._tell(one)

    def recalls(self) -> bool:
        """Tell, once, whether jobs that were claimed ahead are not to start before their gates are asked again."""
        must, self._must_recall = self._must_recall, False
        return must

    @property
    def due(self) -> int | None:
        """When the next gate has to be looked at, as far as is known here."""
        return self._due

    def is_due(self, now: int) -> bool:
        """Tell whether some gate has to be looked at."""
        return self._due is not None and self._due <= now

    def seconds_until_due(self, now: int) -> float:
        """Return how long it takes until some gate has to be looked at."""
        due = self._due
        return float("inf") if due is None else max(0.0, (due - now) / SECOND)

    def refresh(self, read: Read, now: int) -> None:
        """Ask when the next gate has to be looked at; on each heartbeat.

        After the clock was set back, and at first, for it may have been while no worker ran, all lines are looked at
        whose time was said by another clock, if that may be.
        """
        self._beats += 1
        is_in_doubt = self._beaten_at is None or now < self._beaten_at - SECOND
        self._beaten_at = now
        if self._asker.kinds and (is_in_doubt or self.is_in_play(now) or self._beats % _FAR_BEATS == 1):
            due = read(next_wake)
            if due is None:
                self._served.forget()
            else:
                self._served.look(read)
            if due is not None and is_in_doubt:
                self._hastens_after, due = now + _IN_DOUBT, min(due, now)
            if due is not None and (self._due is None or due < self._due):
                self._note_due(due)
                self.look(())

    def look_around(self, read: Read) -> None:
        """Ask when the next gate has to be looked at, and which queues can be claimed from; without a heartbeat."""
        if self._asker.has_limits:
            self._note_due(read(next_wake))
            self._served.look(read)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _ask(self, claimed: Iterable[Claimed], now: int) -> tuple[dict[str, tuple[Pass, ...]], dict[str, Exception]]:
        passes: dict[str, tuple[Pass, ...]] = {}
        refused: dict[str, Exception] = {}
        for one in claimed:
            if not self._asker.concerns(one.name, one.options):
                continue
            if one.options is not None and brings_limits(one.options):
                self._expects_until = now + _MEMORY
            try:
                found = self._asker.passes_of(GatedJob(one.name, one.args, one.tenant, one.queue), one.options)
            except ConfigError as error:
                refused[one.held.id] = error
                continue
            if found is not None:
                passes[one.held.id] = found
        return passes, refused

    def _passes_of_waiting(self, one: Waiting, queue: str) -> tuple[Pass, ...] | None:
        if not self._asker.concerns(one.name, one.options):
            return None
        try:
            return self._asker.passes_of(GatedJob(one.name, one.args, one.tenant, queue), one.options)
        except ConfigError:  # whoever claims it says so
            return None

    def _judge(
        self,
        tx: Tx,
        claimed: Mapping[str, Claimed],
        candidates: Sequence[Candidate],
        departures: Sequence[Departure],
        now: int,
        strays: Sequence[Claimed] = (),
    ) -> tuple[Verdict, Judged]:
        samples = [sample for one in departures for sample in one.samples]
        named: list[Pass | Sample] = list(samples)
        for departure in departures:
            named += departure.freed
        for candidate in candidates:
            named += candidate.passes
        concerns = {one.key: one for one in named}
        gone = [one.held for one in departures if one.has_slots]
        keys = {one.key: one.rule for one in concerns.values()}
        if strays:
            leave_gates(tx, [one.held for one in strays])
            keys = {**{one.gate: one.gate for one in strays if one.gate is not None}, **keys}
        if not keys:
            return decide((), (), _NONE, now), Judged()
        joining = _joining(claimed, candidates)
        if joining:
            join_sequences(tx, {one.held: order for one, order in joining.items()})
        own = Counter(one.gate for one in candidates if one.gate is not None)
        gates = lock_and_read(tx, keys, own=own, closed=self._served.queues.closed)
        leaving = Counter(one.key for departure in departures if departure.leaves for one in departure.freed)
        leaving.update(one.gate for one in strays if one.gate is not None)
        seats = seat(concerns.values(), gates, self._asker.kinds, now, leaving)
        for key in keys.keys() - seats.keys():
            seats[key] = seat_alone(gates[key], self._asker.kinds, now, leaving[key])
        verdict = decide(candidates, samples, seats, now)
        if gone:
            remove_slots(tx, gone)
        parked = [Parked(claimed[job].held, gate) for job, gate in verdict.parked.items()]
        slots = [Slot(job, gate, claimed[job].held.claim) for job, gate in verdict.slots]
        return verdict, Judged(parked, slots, gates)

    def _visit(self, tx: Tx, gates: Mapping[str, Gate], now: int) -> Step:
        seats: dict[str, Seat] = {key: seat_alone(gate, self._asker.kinds, now) for key, gate in gates.items()}
        return self._write(tx, decide((), (), seats, now), (), ()) if seats else NOTHING

    def _write(self, tx: Tx, verdict: Verdict, parked: Sequence[Parked], slots: Sequence[Slot]) -> Step:
        queues = write_step(
            tx,
            worker=self._worker,
            parked=parked,
            releases=verdict.releases,
            released=verdict.released,
            slots=slots,
            # A line of which a head was handed over is not looked at: whoever finds it empty says so.
            moves=verdict.moves
            + [
                Move(key, one.tat, one.state, one.wake_at)
                for key, one in verdict.stirred.items()
                if verdict.releases.get(key, 1) > 0
            ],
            queues=self._served.queues,
        )
        if verdict.news:
            note_changes(tx, verdict.news)
        return Step(frozenset(queues), verdict.wake_at, tuple(verdict.news))

    def _note_due(self, instant: int | None, *, is_certain: bool = False) -> None:
        with self._due_lock:
            is_earlier = instant is not None and (self._due is None or instant < self._due)
            if is_certain or is_earlier:
                self._due = instant

    def _tell(self, news: News) -> None:
        event = event_of_news(news)
        if self._subscribers.want(event.kind):
            self._subscribers.tell(event)


def _has_strayed(job: Claimed, passes: Iterable[Pass]) -> bool:
    """Tell whether a job does not ask the gate any more that has released it: the limit is gone from the code."""
    return all(one.key != job.gate for one in passes)


def _joining(jobs: Mapping[str, J], candidates: Iterable[Candidate]) -> dict[J, str]:
    """Return the orders of jobs that were enqueued by name: they stand in them once a worker has looked at them."""
    orders = ((jobs[one.id], gate.key) for one in candidates for gate in one.passes if gate.kind == "order")
    return {job: key for job, key in orders if job.sequence is None}


def _crowded(claimed: Iterable[Claimed], parked: Mapping[str, str]) -> frozenset[str]:
    if not parked:
        return frozenset()
    all_of = Counter(one.queue for one in claimed)
    refused = Counter(one.queue for one in claimed if one.held.id in parked)
    return frozenset(queue for queue, count in refused.items() if 2 * count > all_of[queue])
