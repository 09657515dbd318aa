"""Leads, when it is this worker's turn: what has to be done once for all workers is done by the leader's duties.

A worker's heartbeat reads who leads. When nobody does, each worker tries to take the lead, and the store gives it to
one. Two may lead for a moment, so whatever a duty does is idempotent (docs/decisions/0033).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from lineshaft.engines.base import Engine
from lineshaft.feature import Duty
from lineshaft.leader.duty_thread import DutyThread
from lineshaft.store.lead import Lead, oldest_heartbeat, see_lead, take_lead

_log = logging.getLogger("lineshaft.leader")

_JOIN_SECONDS: Final = 0.25
"""How long a successor waits for the steps that are under way: it does no harm beside them."""


class Leader:
    """One worker's part in leading; its beats drive it, and it has a thread for each duty while it leads.

    `is_sure` tells whether it has said that it lives within `silence` (microseconds); after twice that time without a
    word from the leader another worker takes its place.
    """

    def __init__(
        self, engine: Engine, worker: int, duties: Sequence[Duty], is_sure: Callable[[], bool], silence: int
    ) -> None:
        self._engine, self._worker, self._duties = engine, worker, duties
        self._is_sure, self._silence = is_sure, silence
        self._threads: list[DutyThread] = []
        self._term: int | None = None
        """In which it leads."""
        self._is_open = False
        self._lock = threading.Lock()

    @property
    def leads(self) -> bool:
        """Whether this worker leads."""
        return self._term is not None

    @property
    def doing(self) -> str | None:
        """What its duties do, in a few words."""
        if not self.leads:
            return None
        return "; ".join(said for duty in self._duties if (said := duty.doing)) or None

    def start(self) -> None:
        """Take the lead from now on when it is free."""
        self._is_open = True

    def hear(self, lead: Lead) -> None:
        """Take in who leads, and take the lead if it is free; raises `StoreError`."""
        if not self._is_open:
            return
        if lead.worker == self._worker:
            self._serve(lead.term)
            return
        self._stand_by()
        if lead.worker is None:
            self._take(lead.term)

    def look(self) -> None:
        """Read who leads, and do as `hear`."""
        if self._is_open:
            oldest = oldest_heartbeat(self._engine.clock.now(), self._silence)
            self.hear(self._engine.read(lambda tx: see_lead(tx, worker=self._worker, oldest=oldest)))

    def wake(self) -> None:
        """Have all duties look at once; from any thread."""
        for thread in list(self._threads):
            thread.wake()

    def retire(self) -> None:
        """Lead no more and stop every duty; from any thread. The store is told by whoever tells it of the stop."""
        self._is_open = False
        self._stand_by()
        until = self._engine.clock.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - self._engine.clock.monotonic()))

    def _take(self, seen: int) -> None:
        now = self._engine.clock.now()
        term = self._engine.write(lambda tx: take_lead(tx, self._worker, seen=seen, now=now))
        if term is not None:
            self._serve(term)

    def _serve(self, term: int) -> None:
        with self._lock:
            if self._term == term:
                for thread in self._threads:
                    thread.confirm()
            elif self._is_open:
                self._end_duties()
                self._begin_duties(term)

    def _stand_by(self) -> None:
        with self._lock:
            self._end_duties()

    def _begin_duties(self, term: int) -> None:
        _log.info("worker %d leads from now on, term %d", self._worker, term)
        self._term = term
        clock, earlier = self._engine.clock, {thread.duty: thread for thread in self._threads}
        self._threads = [DutyThread(duty, clock, self._is_sure, earlier.get(duty)) for duty in self._duties]
        for thread in self._threads:
            thread.start()

    def _end_duties(self) -> None:
        if self._term is None:
            return
        _log.info("worker %d leads no more", self._worker)
        self._term = None
        for thread in self._threads:
            thread.end()
