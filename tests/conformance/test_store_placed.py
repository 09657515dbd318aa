"""Where new jobs stand: in lines, at turns, in orders; and what gated and fair queues ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft.app.story import Story
from lineshaft.engines.base import Sql, Statement
from lineshaft.errors import QueueFull
from lineshaft.events import JobStarted
from lineshaft.gates import Placed
from lineshaft.store import control
from lineshaft.store.claim import Place, place_of
from lineshaft.store.depth import Dropping
from lineshaft.store.enqueue import TurnsNeededError, fair_queues, insert_alone, insert_jobs, stored_ids
from lineshaft.store.explain import stored_job
from lineshaft.transitions import State
from tests.conformance.gated import KEY, claim, park, release, stored
from tests.plugins.engines import (
    KEPT_UNTIL,
    NOW,
    claim_held,
    new_row,
    row_of,
    state_in,
    store_rows,
)

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine


SET_FLOW = Statement(
    "set_flow",
    Sql.parse(
        "insert into lineshaft_queue (name, is_gated, is_fair) values ('default', :is_gated, :is_fair)", "sqlite", ()
    ),
    Sql.parse(
        "insert into lineshaft.queue (name, is_gated, is_fair) values ('default', %(is_gated)s, %(is_fair)s)",
        "postgres",
        (),
    ),
)


def test_gated_queues_ask_for_a_grant(engine: Engine) -> None:
    """A worker without a grant takes nothing of a gated queue, however it claims; one with a grant does."""
    set_flow(engine, is_gated=True)
    [job] = stored(engine)
    assert claim(engine) == []
    assert [one.held.id for one in claim(engine, is_granted=True)] == [job]


def test_turns_go_before_times(engine: Engine) -> None:
    """A claim takes jobs by their turns, those without one by their times, and says where each stood."""
    rows = [new_row(run_at=NOW - age) for age in (1, 2, 3)]
    placed = {rows[0]["id"]: Placed(turn=NOW - 9, fair="a"), rows[1]["id"]: Placed(turn=NOW, fair="b")}
    engine.write(lambda tx: insert_jobs(tx, rows, placed=placed))
    found = claim(engine)
    assert [one.held.id for one in found] == [rows[0]["id"], rows[2]["id"], rows[1]["id"]]
    assert [one.turn for one in found] == [NOW - 9, NOW - 3, NOW]
    assert row_of(engine, rows[0]["id"]).run_at == NOW - 1


def test_parked_jobs_fill_a_queue(engine: Engine) -> None:
    """Jobs in lines count towards the depth of their queue, and the oldest of them makes room like any other."""
    engine.write(lambda tx: control.limit_queue(tx, "default", 2))
    [parked] = stored(engine, gate=KEY, run_at=NOW - 5)
    stored(engine)
    with pytest.raises(QueueFull, match="holds 2 of at most 2"):
        store_rows(engine, new_row())
    engine.write(lambda tx: control.limit_queue(tx, "default", 2, on_full="drop_oldest"))
    engine.write(lambda tx: insert_jobs(tx, [new_row()], dropping=Dropping(NOW, KEPT_UNTIL, ())))
    assert state_in(engine, parked) is State.CANCELLED


def set_flow(engine: Engine, *, is_fair: bool = False, is_gated: bool = False) -> None:
    """Make the queue fair, or gated."""
    engine.write(lambda tx: tx.run(SET_FLOW, {"is_gated": is_gated, "is_fair": is_fair}))


def test_fair_queues_ask_for_turns(engine: Engine) -> None:
    """Nothing is stored in a fair queue for who can draw turns and has not; with turns it is, however many at once."""
    set_flow(engine, is_fair=True)
    rows, other = [new_row(args=f"[[{number}],{{}}]") for number in range(3)], new_row(queue="other")
    assert not insert_alone(engine, rows[0])
    half = {rows[0]["id"]: Placed(turn=NOW, fair="a")}
    for placed in ({}, half):
        with pytest.raises(TurnsNeededError, match="fair queues default need turns") as needed:
            engine.write(lambda tx, placed=placed: insert_jobs(tx, [*rows, other], placed=placed, has_turns=True))
        assert needed.value.queues == {"default"}
    assert engine.read(lambda tx: stored_ids(tx, [row["id"] for row in [*rows, other]])) == set()
    whole = {row["id"]: Placed(turn=NOW + number, fair="a") for number, row in enumerate(rows)}
    engine.write(lambda tx: insert_jobs(tx, [*rows, other], placed=whole, has_turns=True))
    assert [one.turn for one in claim(engine)] == [NOW, NOW + 1, NOW + 2]
    assert engine.read(lambda tx: fair_queues(tx, ["default", "other"])) == {"default"}


@pytest.mark.parametrize("is_resend", [False, True])
def test_jobs_without_turns_stand_at_their_time(engine: Engine, *, is_resend: bool) -> None:
    """Who cannot draw turns stores in a fair queue all the same, and a resend stores nothing twice."""
    set_flow(engine, is_fair=True)
    rows = [new_row(), new_row(run_at=NOW - 1)]
    for sent in [False, True] if is_resend else [False]:
        store_rows(engine, *rows, is_resend=sent)
    assert [one.turn for one in claim(engine)] == [NOW - 1, NOW]


def test_a_fair_queue_is_full_all_the_same(engine: Engine) -> None:
    """Turns do not get jobs past the depth limit of their queue."""
    set_flow(engine, is_fair=True)
    engine.write(lambda tx: control.limit_queue(tx, "default", 1))
    first, second = new_row(), new_row()
    placed = {row["id"]: Placed(turn=NOW, fair="a") for row in (first, second)}
    engine.write(lambda tx: insert_jobs(tx, [first], placed=placed, has_turns=True))
    with pytest.raises(QueueFull, match="holds 1 of at most 1"):
        engine.write(lambda tx: insert_jobs(tx, [second], placed=placed, has_turns=True))


def test_a_place_says_all(engine: Engine) -> None:
    """Where a job stands is stored as it was said: its gate, which parks it, its turn, its order, and whose turn."""
    rows = [new_row(), new_row()]
    placed = {rows[0]["id"]: Placed(KEY, NOW + 5, "s", "a")}
    engine.write(lambda tx: insert_jobs(tx, rows, placed=placed))
    found = {row["id"]: engine.read(lambda tx, row=row: stored_job(tx, row["id"])) for row in rows}
    first, second = (found[row["id"]] for row in rows)
    assert first is not None
    assert second is not None
    assert (first.row.stage, first.gate, first.turn, first.sequence, first.fair) == (5, KEY, NOW + 5, "s", "a")
    assert (second.row.stage, second.gate, second.turn, second.sequence, second.fair) == (1, None, None, None, None)
    assert engine.read(lambda tx: place_of(tx, rows[0]["id"])) == Place(0, NOW + 5, rows[0]["id"])
    assert engine.read(lambda tx: place_of(tx, new_row()["id"])) is None


def test_a_claim_that_a_gate_refused_is_no_start(engine: Engine) -> None:
    """Who follows a job that was claimed and parked hears of no start, and of nothing that was put back."""
    [job] = stored(engine)
    told = Story()
    told.tell(row_of(engine, job), NOW)
    [held] = claim_held(engine)
    park(engine, [held])
    assert told.tell(row_of(engine, job), NOW) == []
    release(engine, {KEY: 1})
    assert told.tell(row_of(engine, job), NOW) == []
    claim_held(engine)
    assert [type(one) for one in told.tell(row_of(engine, job), NOW)] == [JobStarted]
