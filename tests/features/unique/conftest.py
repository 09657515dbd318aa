"""A store of each engine, with the feature before its enqueue as the app puts it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import DAY, HOUR
from lineshaft.config import parse_store
from lineshaft.engines.postgres import PostgresEngine
from lineshaft.engines.sqlite import SqliteEngine
from lineshaft.feature import Incoming
from lineshaft.features.unique import UniqueFeature, prune_keys
from lineshaft.ids import new_id
from lineshaft.job import JobRow
from lineshaft.options import Options, Unique
from lineshaft.store.claim import claim_jobs
from lineshaft.store.control import cancel_jobs, delete_jobs, reschedule_job
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.finish import write_transitions
from lineshaft.store.inspect import Filter, count_jobs, get_job
from lineshaft.store.migrate import migrate
from lineshaft.transitions import Close, Complete, Held, PutBack, Reason, Stage, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lineshaft.engines.base import Engine, Tx

WORKER = 1
CLOSED = {State.DEAD: Stage.DEAD, State.SKIPPED: Stage.SKIPPED, State.EXPIRED: Stage.EXPIRED}


@dataclass
class Store:
    """A store whose time stands where the test puts it."""

    engine: Engine
    now: int

    def new(self, unique: Unique | None, text: str = "[7]", **row: Any) -> Incoming:
        """A job about to be stored, whose arguments that count are `text`."""
        given = {
            "id": new_id(),
            "queue": "default",
            "name": "shop.render",
            "rank": 0,
            "run_at": self.now,
            "stage": int(Stage.READY),
            "created_at": self.now,
            "max_attempts": 3,
            "deadline": None,
            "tenant": None,
            "tags": None,
            "meta": None,
            "options": None,
            "context": None,
            "args": text,
        }
        return Incoming(given | row, Options(unique=unique), text)

    def enqueue(self, *jobs: Incoming, is_resend: bool = False) -> list[str]:
        """Store jobs, and return the id that answers each of them."""
        return self.engine.write(lambda tx: self.insert(tx, *jobs, is_resend=is_resend))

    def insert(self, tx: Tx, *jobs: Incoming, is_resend: bool = False) -> list[str]:
        """As `enqueue`, in an open transaction."""
        for job in jobs:
            job.existing_id = None
        UniqueFeature().before_enqueue(tx, jobs, self.now)
        rows: list[Any] = [job.row for job in jobs if job.existing_id is None]
        if rows:
            insert_jobs(tx, rows, is_resend=is_resend)
        return [job.existing_id or job.row["id"] for job in jobs]

    def holder(self, state: State, unique: Unique, text: str = "[7]") -> str:
        """The id of a job that has its key and is in a state."""
        job = self.new(unique, text, queue=f"holders of {text}")
        if state is State.SCHEDULED:
            job.row |= {"stage": int(Stage.SCHEDULED), "run_at": self.now + HOUR}
        [job_id] = self.enqueue(job)
        if state is not State.SCHEDULED and job.row["stage"] != Stage.READY:  # it was debounced
            self.engine.write(lambda tx: reschedule_job(tx, job_id, run_at=self.now, now=self.now))
        if state not in (State.SCHEDULED, State.QUEUED):
            self.move(job_id, job.row["queue"], state)
        return job_id

    def move(self, job_id: str, queue: str, state: State) -> None:
        """Bring a queued job, the only one of its queue, into a state."""
        if state is State.CANCELLED:
            self.cancel(job_id)
            return
        held = self.claim(queue)
        if state is State.CANCELLING:
            self.cancel(job_id)
        elif state is State.RETRYING:
            self.write(PutBack(held, Stage.RETRYING, self.now + HOUR))
        elif state is State.COMPLETED:
            self.write(Complete(held, "null"))
        elif state in CLOSED:
            self.write(Close(held, CLOSED[state], Reason.ERROR if state is State.DEAD else None, None))

    def claim(self, queue: str) -> Held:
        """Take the only job of a queue."""
        [one] = self.engine.write(lambda tx: claim_jobs(tx, queue=queue, limit=2, worker=WORKER, now=self.now))
        return one.held

    def write(self, transition: Complete | Close | PutBack) -> None:
        """Write a transition, which has to take effect."""
        done = self.engine.write(
            lambda tx: write_transitions(
                tx, [transition], worker=WORKER, now=self.now, keep=lambda _: self.now + 30 * DAY
            )
        )
        assert done == [transition]

    def cancel(self, job_id: str) -> None:
        """Cancel a job, or ask it to stop."""
        self.engine.write(lambda tx: cancel_jobs(tx, [job_id], now=self.now, expires_at=self.now + 30 * DAY))

    def delete(self, job_id: str) -> None:
        """Delete a job that is not running."""
        assert self.engine.write(lambda tx: delete_jobs(tx, [job_id])) == 1

    def get(self, job_id: str) -> JobRow:
        """The job as stored."""
        row = self.engine.read(lambda tx: get_job(tx, job_id))
        assert row is not None
        return row

    def count(self, *states: State) -> int:
        """How many jobs there are, or how many in these states."""
        return self.engine.read(lambda tx: count_jobs(tx, Filter(states=states or None)))

    def prune(self) -> int:
        """Prune all keys and return how many went."""
        deleted, after = 0, ""
        while True:
            with self.engine.transaction() as tx:
                step = prune_keys(tx, now=self.now, after=after)
            deleted += step.deleted
            if step.after is None:
                return deleted
            after = step.after


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with the schema in place."""
    if request.param == "postgres":
        engine = _postgres(request.getfixturevalue("postgres_url"))
    else:
        engine = SqliteEngine(tmp_path / "jobs.db" if request.param == "sqlite" else None)
    migrate(engine)
    yield Store(engine, engine.clock.now())
    engine.close()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    """A store on PostgreSQL, where transactions run beside each other."""
    engine = _postgres(postgres_url)
    migrate(engine)
    yield Store(engine, engine.clock.now())
    engine.close()


def _postgres(address: str) -> Engine:
    parsed = parse_store(address)
    assert parsed.url
    return PostgresEngine(parsed.url, schema=parsed.schema)
