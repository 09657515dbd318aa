"""Claims behind what was taken last, and the scout that keeps anything from being overtaken for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg
import pytest

from lineshaft import Lineshaft
from lineshaft.clock import SECOND, SystemClock
from lineshaft.store.claim import Claimed, Place
from lineshaft.transitions import Held
from lineshaft.worker.claimer import Claimer
from lineshaft.worker.floor import Floor, Scout
from tests.plugins.apps import Gates, StartWorker, eventually
from tests.plugins.engines import NOW, WORKER, new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.store.enqueue import NewRow

SLOW = 1.0
LONG_AGO = NOW - 60 * SECOND


class StoppedWatch(SystemClock):
    """A clock on which a claim takes no time, however busy the machine is."""

    def monotonic(self) -> float:
        """Return always the same."""
        return 0.0


class Shaft:
    """A claimer of the queue `default` and its scout, driven without their threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.claimer = Claimer(engine, WORKER, {"default": 1_000}, 1_000, StoppedWatch())
        self.floor = self.claimer.queues["default"].floor
        self.looked: list[str] = []
        self.scout = Scout(engine, {"default": self.floor}, self.look)

    def look(self, queue: str) -> None:
        """Note that the scout had the claimer look."""
        self.looked.append(queue)
        self.claimer.look([queue])

    def claim(self, limit: int = 1_000) -> list[Claimed]:
        """Claim up to so many jobs."""
        self.claimer.queues["default"].limit = self.claimer.queues["default"].held + limit
        claimed = self.engine.write(lambda tx: self.claimer.claim(tx, NOW))
        self.claimer.took(claimed)
        return claimed

    def claim_ids(self, limit: int = 1_000) -> list[str]:
        """Claim and return which jobs."""
        return [one.held.id for one in self.claim(limit)]

    def store(self, *rows: NewRow) -> None:
        """Enqueue and wake the claimer."""
        store_rows(self.engine, *rows)
        self.claimer.look()

    def begin_behind(self) -> None:
        """Have it claim one old job, slowly, so that claims begin there."""
        self.store(new_row(run_at=LONG_AGO))
        claimed = self.claim()
        self.floor.took(claimed, None, is_full=False, seconds=SLOW, now=NOW)
        assert self.floor.place == Place(0, LONG_AGO, claimed[0].held.id)


@pytest.fixture
def shaft(postgres_engine: Engine) -> Shaft:
    """A claimer on PostgreSQL."""
    return Shaft(postgres_engine)


def test_quick_claims_begin_at_the_head(shaft: Shaft) -> None:
    """While claims are quick there is no floor: a job of higher priority is next whatever was claimed before."""
    shaft.store(new_row())
    shaft.floor.took(shaft.claim(), None, is_full=False, seconds=0.001, now=NOW)
    assert shaft.floor.start() is None
    assert shaft.scout.step() is None
    first, second = new_row(rank=-1), new_row()
    shaft.store(second, first)
    assert shaft.claim_ids() == [first["id"], second["id"]]


def test_claims_begin_behind_a_slow_one(shaft: Shaft) -> None:
    """After a slow claim the next one begins where that began, and leaves what comes before to the scout."""
    shaft.begin_behind()
    before, behind = new_row(run_at=LONG_AGO - 1), new_row(run_at=LONG_AGO + 1)
    shaft.store(before, behind)
    assert shaft.claim_ids() == [behind["id"]]
    assert shaft.claim_ids() == []


@pytest.mark.parametrize("columns", [{"run_at": LONG_AGO - 1}, {"rank": -5}], ids=["earlier", "higher"])
def test_scout_recalls_for_what_was_overtaken(shaft: Shaft, columns: dict[str, int]) -> None:
    """A look of the scout finds an earlier job or one of higher rank, and the next claim takes it before all others."""
    shaft.begin_behind()
    before, behind = new_row(**columns), new_row(run_at=LONG_AGO + 1)
    shaft.store(behind, before)
    wait = shaft.scout.step()
    assert wait is not None
    assert wait <= 1.0
    assert shaft.looked == ["default"]
    assert shaft.claim_ids() == [before["id"], behind["id"]]


def test_a_job_that_a_gate_has_let_go_is_the_next(shaft: Shaft) -> None:
    """It has the place that it was enqueued for: who released it does not wait for the scout."""
    shaft.begin_behind()
    shaft.store(*(new_row(run_at=NOW) for _ in range(3)))
    released = new_row(run_at=LONG_AGO - 1)
    store_rows(shaft.engine, released)
    assert released["id"] not in shaft.claim_ids(1)
    shaft.claimer.recall(["default", "another"])
    assert shaft.claim_ids(1) == [released["id"]]


def test_all_overtaken_jobs_are_taken_before_claims_go_on_behind(shaft: Shaft) -> None:
    """When more was overtaken than one claim takes, the following claims begin at the head too."""
    shaft.begin_behind()
    before = [new_row(run_at=LONG_AGO - 5 + number) for number in range(5)]
    shaft.store(*before, new_row(run_at=LONG_AGO + 1))
    shaft.scout.step()
    assert [shaft.claim_ids(2) for _ in range(2)] == [[row["id"] for row in before[i : i + 2]] for i in (0, 2)]
    assert shaft.claim_ids(2)[0] == before[4]["id"]


def test_floor_is_dropped_when_the_head_is_quick_again(shaft: Shaft) -> None:
    """A quick look that finds nothing ends it: claims begin at the head, in exact order."""
    shaft.begin_behind()
    eventually(lambda: shaft.scout.step() is None)  # on a busy machine a look may be slow
    assert shaft.floor.place is None
    assert shaft.looked == []


def test_jobs_of_the_last_second_are_never_left_behind() -> None:
    """The floor stays a second behind the present: an enqueue that commits after a later one is taken in order."""
    floor = Floor()
    recent = new_row(run_at=NOW)
    floor.took([claimed_of(recent)], None, is_full=False, seconds=SLOW, now=NOW)
    assert floor.place is not None
    assert floor.place < Place(0, NOW - SECOND, recent["id"])


def test_recall_during_a_claim_is_kept() -> None:
    """A recall that comes while a claim runs counts for the next one."""
    floor = Floor()
    floor.place = Place(0, LONG_AGO, new_row()["id"])
    start = floor.start()
    floor.recall()
    floor.took([claimed_of(new_row(run_at=LONG_AGO + 1))], start, is_full=True, seconds=0.0, now=NOW)
    assert floor.start() is None
    assert floor.start() == floor.place


def test_overtaken_job_runs_while_a_transaction_stays_open(
    postgres_url: str, make_app: Callable[..., Lineshaft], start_worker: StartWorker, gates: Gates
) -> None:
    """With somebody's transaction open and claims behind a floor, an urgent job runs although claims pass it over."""
    app = make_app(postgres_url)

    @app.task(name="note")
    def note(what: str) -> None:
        gates.note(what)

    with psycopg.connect(postgres_url.partition("?")[0]) as holder:
        holder.execute("select pg_current_xact_id()")
        worker = start_worker(app, {"default": 1})
        note.enqueue("first")
        assert gates.next() == "first"
        floor = worker.worker.claimer.queues["default"].floor
        floor.place = Place(0, worker.worker.runtime.engine.clock.now() - SECOND, new_row()["id"])
        note.options(priority="high").enqueue("urgent")
        assert gates.next() == "urgent"


def claimed_of(row: NewRow) -> Claimed:
    """Return a row as a claim returns it."""
    held = Held(row["id"], 1, WORKER, 1, 0, 0, None, NOW, None)
    nothing = (None,) * 5
    return Claimed(held, row["name"], row["args"], row["rank"], row["run_at"], False, False, 3, row["queue"], *nothing)
