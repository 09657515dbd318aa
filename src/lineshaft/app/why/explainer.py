"""Reads what is known of a job in one transaction, and puts what holds it in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.app.why.crew import paused, unserved
from lineshaft.app.why.ended import ended
from lineshaft.app.why.place import FARTHEST, standing
from lineshaft.app.why.running import running
from lineshaft.app.why.situation import Member, Situation, member
from lineshaft.app.why.waiting import is_overdue, notes, overdue, own
from lineshaft.app.why.whole_queue import limited
from lineshaft.clock import to_datetime
from lineshaft.config import Settings
from lineshaft.engines.base import Tx
from lineshaft.explaining import Explanation, Hold
from lineshaft.feature import Feature
from lineshaft.store import explain, grants, inspect
from lineshaft.store.explain import StoredJob
from lineshaft.task import Task
from lineshaft.transitions import State

if TYPE_CHECKING:
    from lineshaft.app.store import Store

_HELD: Final = (State.RUNNING, State.CANCELLING)


class Explainer:
    """Says why a job is where it is."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        features: Sequence[Feature],
        tasks: Mapping[str, Task[Any, Any, Any]],
        is_testing: Callable[[], bool],
    ) -> None:
        self._store, self._settings, self._features, self._tasks = store, settings, features, tasks
        self._is_testing = is_testing

    def explain(self, job_id: str) -> Explanation | None:
        """Return what holds a job, the most decisive first; None when there is no such job."""
        return self._store.read(lambda tx: self._explained(tx, job_id))

    def _explained(self, tx: Tx, job_id: str) -> Explanation | None:
        job = explain.stored_job(tx, job_id)
        if job is None:
            return None
        known = Situation(job, self._store.engine.clock.now(), self._settings)
        holds = tuple(self._holds(tx, known))
        return Explanation(job_id, known.state, to_datetime(known.now), holds)

    def _holds(self, tx: Tx, known: Situation) -> Iterator[Hold]:
        if known.state.is_final:
            yield ended(known)
            return
        known = replace(known, crew=self._crew(tx, known.now))
        if known.state in _HELD:
            yield from running(known, self._timeout(known.job))
            yield from self._of_features(tx, known)
        elif is_overdue(known):
            yield overdue(known)
        else:
            yield from self._waiting(tx, known)

    def _crew(self, tx: Tx, now: int) -> list[Member]:
        crew = [member(row) for row in inspect.list_workers(tx)]
        # The worker of a test lives in the test, and has no heartbeat to follow a clock that is moved.
        return [one._replace(heartbeat_at=now) for one in crew] if self._is_testing() else crew

    def _waiting(self, tx: Tx, known: Situation) -> Iterator[Hold]:
        holds = [*own(known), *self._of_queue(tx, known)]
        if known.is_parked:  # what holds it back goes before all that would matter once it is let in
            holds += self._of_features(tx, known)
        if not self._is_testing():
            holds += unserved(known)
        if not known.is_parked:
            holds += self._of_features(tx, known)
        if known.is_due and not known.is_parked and not self._is_testing():
            holds += self._standing(tx, known)
        yield from holds or [self._nothing()]
        yield from notes(known)

    def _of_queue(self, tx: Tx, known: Situation) -> Iterator[Hold]:
        pause = explain.queue_pause(tx, known.job.row.queue)
        if pause is not None:
            yield paused(known, pause)
        if known.is_due and not known.is_parked and not self._is_testing():
            queue = known.job.row.queue
            flow, tat = grants.see_flow(tx, queue)
            if flow.is_gated:
                yield from limited(known, flow, tat, grants.list_grants(tx, queue))

    def _of_features(self, tx: Tx, known: Situation) -> Iterator[Hold]:
        for feature in self._features:
            yield from feature.explain(tx, known.job.row, known.now)

    def _standing(self, tx: Tx, known: Situation) -> Iterator[Hold]:
        row = known.job.row
        ahead = explain.count_ahead(tx, known.job, limit=FARTHEST + 1)
        held = explain.held_at_head(tx, row.queue, limit=FARTHEST) if known.open else []
        return standing(known, ahead, held)

    def _nothing(self) -> Hold:
        if self._is_testing():
            text = "Nothing holds it: inside app.testing() it runs when the test says so"
            return Hold("ready", text, cure="t.drain()")
        text = "Nothing holds it: a worker takes it within about a second"
        return Hold("ready", text, cure="If it stays here for longer, see what is wrong: lineshaft doctor")

    def _timeout(self, job: StoredJob) -> int | None:
        """Return how long an attempt may take: as stored with the job, else as the task says if it is known here."""
        stored: Mapping[str, Any] = msgspec.json.decode(job.options) if job.options else {}
        if "timeout" in stored:
            timeout: int | None = stored["timeout"]
            return timeout
        task = self._tasks.get(job.row.name)
        return None if task is None else task.defaults.timeout
