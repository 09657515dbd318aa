"""From checked jobs to stored ones: on our connection, on the running job's, or on the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

from lineshaft.app.placing import FairQueues, draw_apart, draw_of
from lineshaft.clock import Clock, to_datetime
from lineshaft.config import Retention
from lineshaft.context import captured
from lineshaft.engines.base import ConflictError, Engine, Tx
from lineshaft.errors import ConfigError
from lineshaft.events import JobEnqueued, Subscribers
from lineshaft.feature import Feature, Incoming, announce
from lineshaft.ids import new_ids
from lineshaft.job import JobRow
from lineshaft.newjob import NewJob, shared_row
from lineshaft.options import Options
from lineshaft.store.depth import Dropping
from lineshaft.store.enqueue import NewRow, insert_alone
from lineshaft.store.inspect import get_job
from lineshaft.store.placing import place_in_turn, store_incoming
from lineshaft.worker.entering import enter_lines


class Enqueuer:
    """Stores jobs. One call is one transaction: all of its jobs or none."""

    def __init__(
        self,
        features: Sequence[Feature],
        context: Mapping[str, ContextVar[Any]],
        subscribers: Subscribers,
        retention: Retention,
    ) -> None:
        self._features, self._context, self._subscribers = features, context, subscribers
        self._retention = retention
        self._fair = FairQueues()
        # To ask those that never want a job would cost each job of each call.
        self._wanting = [one for one in features if type(one).wants is not Feature.wants]
        self._limiting = [one for one in features if type(one).limits is not Feature.limits]

    def prepare(self, new_jobs: Sequence[NewJob[Any]], clock: Clock) -> list[Incoming]:
        """Return the rows to be stored."""
        now = clock.now()
        context = captured(self._context)
        shared: dict[str, Any] = {}
        incoming: list[Incoming] = []
        for number, (one, job_id) in enumerate(zip(new_jobs, new_ids(len(new_jobs)), strict=True)):
            if not number or not _is_like(one, new_jobs[number - 1]):
                shared = shared_row(one, now, context)
            row = {"id": job_id, **shared, "args": one.args}
            made = Incoming(row, one.options, one.unique_text)
            if one.fair_text is not None:
                made.fair_text = one.fair_text
            incoming.append(made)
        return incoming

    def store(self, engine: Engine, jobs: Sequence[Incoming], now: int, *, is_resend: bool) -> list[JobRow]:
        """Store the jobs in a transaction of their own and return them, or those that exist in their place."""
        first = jobs[0]
        is_plain = len(jobs) == 1 and not is_resend and not any(one.wants(first.options) for one in self._wanting)
        if is_plain and self._store_alone(engine, first, now):
            return [_job_row(first.row)]
        enters = len(jobs) > 1 and self._may_be_limited(jobs)
        return engine.write(
            lambda tx: self.insert(tx, _unanswered(jobs), now, engine, is_resend=is_resend, enters_lines=enters)
        )

    def insert(
        self,
        tx: Tx,
        jobs: Sequence[Incoming],
        now: int,
        engine: Engine,
        *,
        is_resend: bool = False,
        enters_lines: bool = False,
    ) -> list[JobRow]:
        """Store the jobs in an open transaction and return them, or those that exist in their place.

        Where they may be limited, and the transaction does nothing else, those with no room enter lines at once.
        """
        announce(self._wanting, tx, jobs, now)
        draw = draw_of(engine)
        fair = self._fair.among(engine, jobs)
        if fair:
            place_in_turn([one for one in jobs if one.existing_id is None], fair, lambda all_: draw(tx, all_, now))
        entered = enter_lines(tx, jobs, self._features, now) if enters_lines else None
        dropping = Dropping(now, now + self._retention.cancelled, self._features)
        self._fair.learn(engine, store_incoming(tx, jobs, now, is_resend=is_resend, dropping=dropping, draw=draw))
        if entered is not None:
            entered.write(tx)
        return [_job_row(one.row) if one.existing_id is None else _existing(tx, one, jobs) for one in jobs]

    def _store_alone(self, engine: Engine, one: Incoming, now: int) -> bool:
        """Store a job in one statement; two where its queue is known to be fair and several may write."""
        fair = self._fair.among(engine, [one])
        if fair:
            if engine.dialect == "sqlite":
                return False  # in one transaction, which is cheaper there than two
            place_in_turn([one], fair, partial(draw_apart, engine, now))
        return insert_alone(engine, cast("NewRow", one.row), one.placed)

    def _may_be_limited(self, jobs: Sequence[Incoming]) -> bool:
        """Tell whether some of the jobs may have gates to pass; most of a call have the same options."""
        last: Options | None = None
        for one in jobs:
            if one.options is not last:
                last = one.options
                if any(feature.limits(last) for feature in self._limiting):
                    return True
        return False

    def tell(self, jobs: Sequence[Incoming]) -> None:
        """Tell who listens, once the jobs are committed."""
        if not self._subscribers.want("enqueued"):
            return
        for one in jobs:
            if one.existing_id is None:
                row = one.row
                at = to_datetime(row["created_at"])
                self._subscribers.tell(JobEnqueued(row["id"], row["name"], row["queue"], 0, at))


def common_connection(new_jobs: Sequence[NewJob[Any]]) -> Any:
    """Return the connection that the jobs were given; raises `ConfigError` when they name different ones."""
    connections = [one.options.connection for one in new_jobs]
    first = connections[0] if connections else None
    if any(one is not first for one in connections):
        msg = "jobs of one enqueue_many name different connections; enqueue them in one call a connection"
        raise ConfigError(msg)
    return first


def _unanswered(jobs: Sequence[Incoming]) -> Sequence[Incoming]:
    """Take back what features answered in a transaction that was rolled back."""
    for one in jobs:
        one.existing_id = None
    return jobs


def _is_like(one: NewJob[Any], other: NewJob[Any]) -> bool:
    """Tell whether two jobs surely differ in their arguments only."""
    return one.options is other.options and one.execution is other.execution and one.name is other.name


def _existing(tx: Tx, one: Incoming, jobs: Sequence[Incoming]) -> JobRow:
    row = get_job(tx, one.existing_id or "")
    if row is not None:
        return row
    for other in jobs:
        if other.row["id"] == one.existing_id:
            return _job_row(other.row)
    msg = f"job {one.existing_id} was deleted while another one was compared with it"
    raise ConflictError(msg)


def _job_row(row: Mapping[str, Any]) -> JobRow:
    """Return a new job as it is stored now; by place, for thousands are made at a time."""
    return JobRow(
        row["id"],
        row["queue"],
        row["name"],
        row["rank"],
        row["run_at"],
        row["stage"],
        row["created_at"],
        *(None, None, 0, 0),  # started_at, worker, claim, attempt
        row["max_attempts"],
        row["deadline"],
        False,  # cancel_requested
        row["tenant"],
        row["tags"],
        row["meta"],
        row["args"],
        *(None, None, None, None, None),  # progress, errors, reason, result, finished_at
    )
