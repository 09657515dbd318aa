"""Gates in the store: what is in them, when they are looked at, and when they are forgotten."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from lineshaft.clock import HOUR
from lineshaft.engines.base import Sql, Statement
from lineshaft.gates import Placed
from lineshaft.store import control, gates
from lineshaft.store.enqueue import insert_jobs
from lineshaft.store.gates import Move, Slot, lock_and_read, read_gates, write_step
from lineshaft.transitions import Complete, PutBack, Stage
from tests.conformance.gated import KEY, LOOK, RULE, claim, columns_of, gate_of, release, stored
from tests.plugins.engines import (
    KEPT_UNTIL,
    LIMIT_SECONDS,
    NOW,
    claim_held,
    finish,
    new_row,
)

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.gates import Gate


ADD_RULE = Statement(
    "add_rule",
    Sql.parse(
        "insert into lineshaft_limit_rule values ('report', 'concurrency', '{\"limit\":3}', '{\"limit\":1}', 0)",
        "sqlite",
        (),
    ),
    Sql.parse(
        "insert into lineshaft.limit_rule values ('report', 'concurrency', '{\"limit\":3}', '{\"limit\":1}', 0)",
        "postgres",
        (),
    ),
)


# --- Occupancy ----------------------------------------------------------------------------------------------------


def test_a_gate_is_made_once_and_read_whole(engine: Engine) -> None:
    """A gate that nobody knew is made; with it comes what code and people said of its rule."""
    engine.write(lambda tx: tx.run(ADD_RULE, {}))
    for _ in range(2):
        found = engine.write(lambda tx: lock_and_read(tx, {KEY: RULE, "api": "api"}))
        assert found[KEY]._asdict() == {
            "key": KEY, "rule": RULE, "declared": '{"limit":3}', "overrides": '{"limit":1}', "tat": 0, "state": None,
            "wake_at": None, "held": 0, "ready": 0, "first": None, "kind": "concurrency",
        }  # fmt: skip
        assert (found["api"].declared, found["api"].overrides) == (None, None)
    assert engine.read(lambda tx: read_gates(tx, [KEY, "unknown"])).keys() == {KEY}
    assert engine.read(lambda tx: read_gates(tx, [])) == {}


def test_occupancy_follows_the_jobs(engine: Engine) -> None:
    """Held members and valid slots are in the gate, released ones ready; what ended or comes back later is neither."""
    stored(engine, 4, gate=KEY)
    stored(engine, 1, queue="other")
    assert (gate_of(engine).held, gate_of(engine).ready, gate_of(engine).wake_at) == (0, 0, LOOK)
    release(engine, {KEY: 3})
    assert (gate_of(engine).held, gate_of(engine).ready) == (0, 3)
    done, late = claim_held(engine, limit=2)
    [guest] = claim_held(engine, queue="other")
    engine.write(lambda tx: write_step(tx, slots=[Slot(guest.id, KEY, guest.claim)]))
    assert (gate_of(engine).held, gate_of(engine).ready) == (3, 1)
    assert engine.write(lambda tx: lock_and_read(tx, {KEY: RULE}, own={KEY: 2}))[KEY].held == 1
    finish(engine, Complete(done, None), PutBack(late, Stage.RETRYING, NOW + HOUR), Complete(guest, None))
    assert (gate_of(engine).held, gate_of(engine).ready) == (0, 1)


def test_a_job_that_comes_back_at_once_stays_inside(engine: Engine) -> None:
    """A rescued or interrupted member is the next of its gate: it keeps it, and counts as ready."""
    [job] = stored(engine, gate=KEY)
    release(engine, {KEY: 1})
    [held] = claim_held(engine)
    finish(engine, PutBack(held, Stage.READY, None))
    assert columns_of(engine, job)[:2] == (KEY, Stage.READY)
    assert (gate_of(engine).held, gate_of(engine).ready) == (0, 1)


def test_slots_are_void_once_their_claim_is_over(engine: Engine) -> None:
    """A slot that nobody removed counts for nothing when its job is held under another claim, or by nobody."""
    stored(engine)
    [first] = claim_held(engine)
    engine.write(lambda tx: lock_and_read(tx, {KEY: RULE}))
    engine.write(lambda tx: write_step(tx, slots=[Slot(first.id, KEY, first.claim)]))
    assert gate_of(engine).held == 1
    finish(engine, PutBack(first, Stage.READY, None))
    assert gate_of(engine).held == 0
    [second] = claim_held(engine)
    assert gate_of(engine).held == 0
    engine.write(lambda tx: write_step(tx, slots=[Slot(second.id, KEY, second.claim)]))
    assert gate_of(engine).held == 1
    engine.write(lambda tx: gates.remove_slots(tx, [first]))  # as somebody may who has slept meanwhile
    assert gate_of(engine).held == 1
    engine.write(lambda tx: gates.remove_slots(tx, [second]))
    assert gate_of(engine).held == 0


def test_gates_of_jobs_are_found(engine: Engine) -> None:
    """The gates of jobs are those that they belong to and those in which they have slots, with their rules."""
    [member] = stored(engine, gate=KEY)
    [guest] = stored(engine, queue="other")
    [held] = claim_held(engine, queue="other")
    engine.write(lambda tx: lock_and_read(tx, {"pool": "pools"}))
    engine.write(lambda tx: write_step(tx, slots=[Slot(held.id, "pool", held.claim)]))
    assert engine.read(lambda tx: gates.gates_of(tx, [member, guest])) == {KEY: RULE, "pool": "pools"}
    assert engine.read(lambda tx: gates.gates_of(tx, [guest])) == {"pool": "pools"}


def test_the_first_of_a_sequence_is_known(engine: Engine) -> None:
    """A gate of a strict order says which job is the first unfinished one, whatever that waits for."""
    rows = [new_row(), new_row(stage=int(Stage.SCHEDULED), run_at=NOW + HOUR), new_row()]
    placed = {row["id"]: Placed(sequence=KEY) for row in rows}
    engine.write(lambda tx: lock_and_read(tx, {KEY: RULE}))
    store = lambda tx: insert_jobs(tx, rows, placed=placed)  # noqa: E731 - shown to `write`
    engine.write(store)
    ids = [row["id"] for row in rows]
    assert gate_of(engine).first == ids[0]
    claimed = claim(engine, 1)
    assert claimed[0].sequence == KEY
    finish(engine, Complete(claimed[0].held, None))
    assert gate_of(engine).first == ids[1]
    engine.write(lambda tx: control.cancel_jobs(tx, [ids[1]], now=NOW, expires_at=KEPT_UNTIL))
    assert gate_of(engine).first == ids[2]


# --- The timer ----------------------------------------------------------------------------------------------------


def test_a_gate_is_looked_at_exactly_while_it_has_a_line(engine: Engine) -> None:
    """`wake_at` is kept only if the line has jobs after the step, so no line is forgotten and no timer runs in vain."""
    assert engine.read(gates.next_wake) is None
    stored(engine, 2, gate=KEY)
    assert engine.read(gates.next_wake) == LOOK
    release(engine, {KEY: 1}, wake_at=LOOK + 1)
    assert engine.read(gates.next_wake) == LOOK + 1
    release(engine, {KEY: 1}, wake_at=LOOK + 2)
    assert (engine.read(gates.next_wake), gate_of(engine).wake_at) == (None, None)


def test_what_a_gate_remembers_is_written(engine: Engine) -> None:
    """Tokens and states are stored with the step, of several gates at once."""
    engine.write(lambda tx: lock_and_read(tx, {"b": "b", "a": "a"}))
    moves = [Move("b", 7, '{"phase":"open"}', LOOK), Move("a", NOW, None, None)]
    engine.write(lambda tx: write_step(tx, moves=moves))
    found = engine.read(lambda tx: read_gates(tx, ["a", "b"]))
    assert [(one.tat, one.state, one.wake_at) for one in (found["a"], found["b"])] == [
        (NOW, None, None), (7, '{"phase":"open"}', None),
    ]  # fmt: skip


def test_due_gates_are_taken_longest_due_first(engine: Engine) -> None:
    """The timer finds the gates whose time has come, and no others."""
    for number, key in enumerate(("late", "later", "last")):
        stored(engine, gate=key)
        release(engine, {key: 0}, wake_at=NOW + number)
    assert list(engine.write(lambda tx: gates.take_due(tx, NOW + 1))) == ["late", "later"]
    assert list(engine.write(lambda tx: gates.take_due(tx, NOW + 9, limit=1))) == ["late"]
    assert engine.write(lambda tx: gates.take_due(tx, NOW - 1)) == {}


def test_gates_are_looked_at_sooner_than_was_said(engine: Engine) -> None:
    """After a clock was set back, what is planned for too late is due; what is planned for soon stays, as do others."""
    for number, key in enumerate(("soon", "late")):
        stored(engine, gate=key)
        release(engine, {key: 0}, wake_at=NOW + 10 + number)
    engine.write(lambda tx: lock_and_read(tx, {"idle": "idle"}))
    engine.write(lambda tx: gates.hasten_gates(tx, now=NOW, latest=NOW + 10))
    found = engine.read(lambda tx: read_gates(tx, ["soon", "late", "idle"]))
    assert {key: one.wake_at for key, one in found.items()} == {"soon": NOW + 10, "late": NOW, "idle": None}


def test_gates_that_somebody_decides_for_are_not_hastened(postgres_engine: Engine) -> None:
    """Nobody waits for who decides for a gate just now, who says by today's clock when to look at it."""
    for key in ("a", "b"):
        stored(postgres_engine, gate=key)
    with postgres_engine.transaction() as tx:
        lock_and_read(tx, {"a": RULE})
        postgres_engine.write(lambda other: gates.hasten_gates(other, now=NOW, latest=NOW))
    found = postgres_engine.read(lambda tx: read_gates(tx, ["a", "b"]))
    assert (found["a"].wake_at, found["b"].wake_at) == (LOOK, NOW)


def test_due_gates_that_somebody_decides_for_are_passed_over(postgres_engine: Engine) -> None:
    """The timer never waits for a gate's lock; who holds it looks at the gate."""
    for key in ("a", "b"):
        stored(postgres_engine, gate=key)
    with postgres_engine.transaction() as tx:
        lock_and_read(tx, {"a": RULE})
        assert postgres_engine.write(lambda other: gates.take_due(other, LOOK)).keys() == {"b"}


def test_deciding_for_a_gate_waits_for_who_decides(postgres_engine: Engine) -> None:
    """Who waited for a gate sees what was committed meanwhile: two deciders never count the same place."""
    stored(postgres_engine, 2, gate=KEY)
    seen: list[Gate] = []
    waiter = threading.Thread(
        target=lambda: seen.append(postgres_engine.write(lambda tx: lock_and_read(tx, {KEY: RULE}))[KEY])
    )
    with postgres_engine.transaction() as tx:
        lock_and_read(tx, {KEY: RULE})
        waiter.start()
        waiter.join(0.2)
        assert waiter.is_alive()
        write_step(tx, releases={KEY: 2}, moves=[Move(KEY, 5, None, LOOK)])
    waiter.join(LIMIT_SECONDS)
    assert [(one.ready, one.tat, one.wake_at) for one in seen] == [(2, 5, None)]


def test_new_gates_are_made_by_one_of_many(durable_engine: Engine, race: Any) -> None:
    """However many want a gate that nobody knew, in whatever order they name it with others, all get it."""
    keys = [f"k={number}" for number in range(8)]

    def decide(number: int) -> int:
        names = keys[number:] + keys[:number]
        return len(durable_engine.write(lambda tx: lock_and_read(tx, dict.fromkeys(names, RULE))))

    assert race(4, decide) == [8] * 4


# --- Pruning ------------------------------------------------------------------------------------------------------


def test_gates_of_which_nothing_is_known_are_deleted(engine: Engine) -> None:
    """A gate goes when it has no line, no member, no state and no token outstanding; void slots go with it."""
    stored(engine, gate="line")
    stored(engine, gate="member")
    release(engine, {"member": 1})
    engine.write(lambda tx: lock_and_read(tx, dict.fromkeys(["debt", "idle", "state", "slot"], RULE)))
    engine.write(lambda tx: write_step(tx, moves=[Move("debt", NOW + 1, None, None), Move("state", 0, "{}", None)]))
    [held] = claim_held(engine)
    engine.write(lambda tx: write_step(tx, slots=[Slot(held.id, "slot", held.claim), Slot(new_row()["id"], "idle", 1)]))
    everything = ["debt", "idle", "line", "member", "slot", "state"]
    found = engine.write(lambda tx: gates.prune_gates(tx, NOW + HOUR))
    assert (found.deleted, found.after) == (1, "state")
    assert engine.write(lambda tx: gates.prune_gates(tx, NOW + HOUR, after="state")) == (0, None)
    assert sorted(engine.read(lambda tx: read_gates(tx, everything))) == ["debt", "line", "member", "slot", "state"]
    finish(engine, Complete(held, None))
    after: str | None = ""
    while after is not None:
        after = engine.write(lambda tx, after=after: gates.prune_gates(tx, NOW + 2 * HOUR, 2, after=after)).after
    assert sorted(engine.read(lambda tx: read_gates(tx, everything))) == ["line", "state"]
