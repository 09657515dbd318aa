"""Claimed jobs that do not start: those that have expired end, the others are given back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lineshaft.config import Retention
from lineshaft.engines.base import Engine, Tx
from lineshaft.events import Subscribers
from lineshaft.feature import Feature, show
from lineshaft.store.claim import Claimed
from lineshaft.store.finish import Written, write_transitions
from lineshaft.transitions import Held, PutBack, Stage, Transition, expire
from lineshaft.worker.admission import Admission
from lineshaft.worker.admitted import Step
from lineshaft.worker.announce import event_of
from lineshaft.worker.departure import Departure
from lineshaft.worker.ended import ended_job


class Unstarted:
    """Writes what becomes of them, in transactions of their own; `departures` are the gates that they leave."""

    def __init__(
        self,
        engine: Engine,
        worker: int,
        admission: Admission,
        retention: Retention,
        features: Sequence[Feature],
        subscribers: Subscribers,
    ) -> None:
        self._engine, self._worker, self._admission = engine, worker, admission
        self._retention, self._features, self._subscribers = retention, features, subscribers

    def expire(self, claimed: list[Claimed], now: int, departures: Sequence[Departure]) -> None:
        """End jobs whose deadline has passed before they were claimed."""
        if not claimed:
            return
        transitions = [expire(one.held) for one in claimed]
        by_held = {one.held: one for one in claimed}

        def write(tx: Tx) -> tuple[Written, Step]:
            written = self._write_in(tx, transitions, now)
            ended = [ended_job(by_held[one.held], one, now) for one in written]
            show(self._features, tx, ended, now, is_certain=written.is_certain)
            return written, self._admission.depart(tx, departures, now)

        written, step = self._engine.write(write)
        self._admission.settle(step)
        if self._subscribers.want("expired"):
            for transition in written:
                event = event_of(by_held[transition.held], transition, now)
                if event is not None:
                    self._subscribers.tell(event)

    def give_back(self, held: Iterable[Held], now: int, departures: Sequence[Departure] = ()) -> None:
        """Put jobs back that another worker may take at once; their attempts do not count."""
        back: list[Transition] = [PutBack(one, Stage.READY, None, gives_attempt_back=True) for one in held]
        if back:
            _, step = self._engine.write(
                lambda tx: (self._write_in(tx, back, now), self._admission.depart(tx, departures, now))
            )
            self._admission.settle(step)

    def _write_in(self, tx: Tx, transitions: Sequence[Transition], now: int) -> Written:
        return write_transitions(tx, transitions, worker=self._worker, now=now, keep=self._retention.until(now))
