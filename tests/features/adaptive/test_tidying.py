"""Limits that learn and that nobody uses any more are forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lineshaft.clock import DAY, MINUTE, WEEK
from lineshaft.features.adaptive.aimd import Learnt
from lineshaft.features.adaptive.tidying import tidy
from lineshaft.features.breaker.moves import State, dump_state
from lineshaft.gates import News
from lineshaft.store.course import course_of, note_changes
from lineshaft.store.gates import Move, lock_and_read, read_gates, write_step
from tests.conformance.gated import stored
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

IDLE = Learnt(7.5, 7, told_at=NOW - DAY - 1, cut_at=NOW - 2 * DAY, lows=((NOW // MINUTE - 2000, 0.1),))
USED = Learnt(7.5, 7, told_at=NOW - 2 * DAY, lows=((NOW // MINUTE - 60, 0.1),))


def put(engine: Engine, states: dict[str, str]) -> None:
    """Have gates remember these texts."""

    def write(tx: Any) -> None:
        known = lock_and_read(tx, {key: key for key in states})
        write_step(tx, moves=[Move(key, 0, state, known[key].wake_at or 0) for key, state in states.items()])

    engine.write(write)


def remembered(engine: Engine, *keys: str) -> set[str]:
    """Return which of these gates remember something."""
    return {key for key, gate in engine.read(lambda tx: read_gates(tx, keys)).items() if gate.state is not None}


def text(learnt: Learnt) -> str:
    """Return a limit as a gate keeps it."""
    return msgspec.json.encode(learnt).decode()


def test_a_limit_that_rests_for_a_day_is_forgotten(engine: Engine) -> None:
    """What was heard of within a day stays, and so does what jobs wait for, and what other gates remember."""
    stored(engine, gate="waiting")
    put(engine, {"idle": text(IDLE), "used": text(USED), "waiting": text(IDLE), "other": '{"count":3}'})
    put(engine, {"breaker:smtp": dump_state(State(since=1, error="x"))})
    tidy(engine.write, NOW)
    assert remembered(engine, "idle", "used", "waiting", "other", "breaker:smtp") == {
        "used", "waiting", "other", "breaker:smtp",
    }  # fmt: skip


def test_many_limits_are_gone_through_in_parts(engine: Engine) -> None:
    """However many gates there are, each transaction looks at some hundreds, and none is left out."""
    keys = [f"api={number:04}" for number in range(1_200)]
    put(engine, dict.fromkeys(keys, text(IDLE)))
    steps: list[int] = []

    def write(operation: Any) -> Any:
        steps.append(1)
        return engine.write(operation)

    tidy(write, NOW)
    assert remembered(engine, *keys) == set()
    assert len(steps) == 4


def test_old_courses_go_too(engine: Engine) -> None:
    """The same step deletes what limits were more than a week ago."""
    engine.write(lambda tx: note_changes(tx, [News("api", "api", "limit_changed", NOW - 2 * WEEK, 3, "error")]))
    tidy(engine.write, NOW)
    assert engine.read(lambda tx: course_of(tx, "api", since=0, limit=9)) == []
