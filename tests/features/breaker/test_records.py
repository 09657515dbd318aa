"""Circuit breakers in the store: which are known, what they do, and moving them by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from lineshaft.clock import SECOND
from lineshaft.engines.postgres.transaction import in_schema
from lineshaft.features.breaker.moves import ByHand, Phase, State, dump_state
from lineshaft.features.breaker.records import SQL, list_breakers, move_breaker, open_breakers
from lineshaft.store.gates import Move, lock_and_read, next_wake, write_step
from lineshaft.store.rules import Rule, put_rules
from tests.conformance.gated import stored
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.engines.postgres.transaction import PostgresTx

SMTP = "breaker:smtp"


def put(engine: Engine, key: str, state: State) -> None:
    """Have a gate remember a breaker."""

    def write(tx: Any) -> None:
        known = lock_and_read(tx, {key: key})[key]
        write_step(tx, moves=[Move(key, 0, dump_state(state), known.wake_at or 0)])

    engine.write(write)


def moved(engine: Engine, move: ByHand, name: str = "smtp") -> Any:
    """Move a breaker by hand and return what is told of it."""
    return engine.write(lambda tx: move_breaker(tx, name, move, NOW))


def test_all_that_are_known_are_listed(engine: Engine) -> None:
    """Those that code declares, those that were ever used and those that are named, each once, and no other gate."""
    engine.write(
        lambda tx: put_rules(tx, [Rule(SMTP, "breaker", '{"failures":2}'), Rule("api", "rate", "{}")], now=NOW)
    )
    put(engine, SMTP, State(Phase.OPEN, NOW, (), "OSError: x"))
    put(engine, "breaker:imap", State())
    put(engine, "breaker", State())
    put(engine, "breakers=1", State())
    found = engine.read(lambda tx: list_breakers(tx, NOW, ["smtp", "ftp"]))
    assert [(one.name, one.terms.failures, one.state.phase.value, one.is_declared) for one in found] == [
        ("ftp", 5, "closed", False),
        ("imap", 5, "closed", False),
        ("smtp", 2, "open", True),
    ]


def test_one_that_has_rested_is_told_as_half_open(engine: Engine) -> None:
    """What is told is what the breaker would decide now, whether or not anybody has asked it since."""
    put(engine, SMTP, State(Phase.OPEN, NOW))
    states = [engine.read(lambda tx, at=at: list_breakers(tx, at))[0].state for at in (NOW, NOW + 30 * SECOND)]
    assert [(one.phase, one.since) for one in states] == [(Phase.OPEN, NOW), (Phase.HALF_OPEN, NOW + 30 * SECOND)]


def test_which_are_not_closed(engine: Engine) -> None:
    """Workers ask for those that jobs cannot simply pass."""
    for phase in Phase:
        put(engine, f"breaker:{phase.value}", State(phase, NOW))
    assert engine.read(open_breakers) == {"breaker:open", "breaker:half_open", "breaker:forced_open"}


def test_a_move_by_hand_is_told_once(engine: Engine) -> None:
    """A person's word makes the breaker if need be; the same word again changes and tells nothing."""
    assert moved(engine, "open").kind == "breaker_opened"
    assert moved(engine, "open") is None
    assert moved(engine, "reset").kind == "breaker_closed"
    assert engine.read(open_breakers) == frozenset()


def test_a_move_by_hand_wakes_the_line(engine: Engine) -> None:
    """Where jobs wait somebody looks at once; where nobody waits nothing is to be looked at."""
    moved(engine, "open")
    assert engine.read(next_wake) is None
    stored(engine, 3, gate=SMTP)
    assert engine.read(next_wake) != NOW
    moved(engine, "close")
    assert engine.read(next_wake) == NOW
    assert [one.waiting for one in engine.read(lambda tx: list_breakers(tx, NOW))] == [3]


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_counting_a_line_reads_only_the_line(postgres_engine: Engine, *, is_analyzed: bool) -> None:
    """However many jobs are ready or wait elsewhere, the plan goes along the index of lines."""
    stored(postgres_engine, 300, gate=SMTP)
    stored(postgres_engine, 3_000)
    stored(postgres_engine, 3_000, gate="other")
    with postgres_engine.transaction() as tx:
        connection = cast("PostgresTx", tx).connection
        schema: str = postgres_engine.schema  # type: ignore[attr-defined]
        if is_analyzed:
            connection.execute(in_schema("analyze lineshaft.job", schema))
        text = b"explain " + in_schema(SQL.list_breakers.postgres.parts[0], schema)
        plan = "\n".join(row[0] for row in connection.execute(text).fetchall())
    assert "job_line" in plan
    assert "Seq Scan on job" not in plan
    assert "Sort Key" not in plan.partition("job_line")[2]
