"""Rules of limits in the store: what code declares, what people change, and how busy gates are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.clock import SECOND
from lineshaft.features.limits.lines import holders, line_length, stand_of
from lineshaft.store import rules
from lineshaft.store.gates import Slot, lock_and_read, write_step
from lineshaft.store.rules import Rule
from tests.conformance.gated import KEY, LOOK, gate_of, release, stored
from tests.plugins.engines import NOW, WORKER, claim_held

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

CRM = Rule("crm", "concurrency", '{"limit":3}', None, NOW)
API = Rule("api", "rate", '{"count":3,"per":1000000}', None, NOW)


def put(engine: Engine, *said: Rule, now: int = NOW) -> None:
    """Declare rules."""
    engine.write(lambda tx: rules.put_rules(tx, said, now=now))


def known(engine: Engine) -> list[Rule]:
    """All rules."""
    return engine.read(rules.list_rules)


def test_rules_are_kept_by_name(engine: Engine) -> None:
    """What code declares is stored, the last word wins, and reading some of them leaves the others out."""
    put(engine, CRM, API)
    assert known(engine) == [API, CRM]
    put(engine, CRM._replace(declared='{"limit":4}'), now=NOW + 1)
    assert known(engine) == [API, CRM._replace(declared='{"limit":4}', updated_at=NOW + 1)]
    assert engine.read(lambda tx: rules.read_rules(tx, ["api", "none"])) == {"api": API}
    assert engine.write(lambda tx: rules.lock_rule(tx, "api")) == API
    assert engine.write(lambda tx: rules.lock_rule(tx, "none")) is None


def test_more_rules_than_a_page(engine: Engine) -> None:
    """All rules are listed, however many there are."""
    put(engine, *(CRM._replace(name=f"r{number:04}") for number in range(2_001)))
    assert [one.name for one in known(engine)] == [f"r{number:04}" for number in range(2_001)]


def test_changes_of_people_stay(engine: Engine) -> None:
    """An override stays through declarations, and goes with the kind, or when it is taken back."""
    put(engine, CRM)
    engine.write(lambda tx: rules.override_rule(tx, "crm", '{"limit":1}', now=NOW + 1))
    put(engine, CRM._replace(declared='{"limit":9}'), now=NOW + 2)
    assert known(engine) == [Rule("crm", "concurrency", '{"limit":9}', '{"limit":1}', NOW + 2)]
    put(engine, API._replace(name="crm"), now=NOW + 3)
    assert known(engine) == [API._replace(name="crm", updated_at=NOW + 3)]
    engine.write(lambda tx: rules.override_rule(tx, "crm", "{}", now=NOW))
    engine.write(lambda tx: rules.override_rule(tx, "crm", None, now=NOW))
    assert known(engine) == [API._replace(name="crm")]


def test_a_change_has_lines_looked_at(engine: Engine) -> None:
    """Gates of the rule that have a line are to be looked at at once; others are left alone."""
    stored(engine, 1, gate=KEY)
    stored(engine, 1, gate="reports")
    engine.write(lambda tx: lock_and_read(tx, {"report=7": "report"}))
    engine.write(lambda tx: rules.wake_gates(tx, ["crm"], NOW))
    assert gate_of(engine).wake_at == LOOK
    engine.write(lambda tx: rules.override_rule(tx, "report", None, now=NOW + 1))
    assert gate_of(engine).wake_at == NOW + 1
    assert gate_of(engine, "report=7").wake_at is None


def test_gates_of_a_rule(engine: Engine) -> None:
    """Those whose key is the name, or begins with it and an equals sign; those with a line first, up to a bound."""
    others = dict.fromkeys(("report", "report=1", "report=~", "reports", "report<", "report>", "repor"), "x")
    engine.write(lambda tx: lock_and_read(tx, others))
    stored(engine, 1, gate=KEY)
    assert engine.read(lambda tx: rules.gates_of_rule(tx, "report")) == [KEY, "report", "report=1", "report=~"]
    assert len(engine.read(lambda tx: rules.gates_of_rule(tx, "report", 2))) == 2


def test_occupancy_counts_holders_and_lines(engine: Engine) -> None:
    """Held members and valid slots are inside; a line is counted to a bound; an unknown gate is empty."""
    stored(engine, 7, gate=KEY)
    release(engine, {KEY: 3})
    claim_held(engine, limit=2)
    stored(engine, 1, queue="other")
    [guest] = claim_held(engine, queue="other")
    slots = [Slot(guest.id, KEY, guest.claim), Slot(guest.id, "report=1", guest.claim - 1)]
    engine.write(lambda tx: write_step(tx, slots=slots))
    found = engine.read(lambda tx: rules.occupancy(tx, [KEY, "report=1"]))
    assert sorted(found) == [("report=1", 0, 0), (KEY, 3, 4)]
    assert engine.read(lambda tx: rules.occupancy(tx, [])) == []


def test_lines_are_counted_to_a_bound(engine: Engine) -> None:
    """Of many gates at once no more than a hundred waiting jobs each are counted."""
    stored(engine, 120, gate=KEY)
    many = [KEY, *(f"report={number}" for number in range(99))]
    assert engine.read(lambda tx: rules.occupancy(tx, many))[0] == (KEY, 0, 100)
    assert engine.read(lambda tx: rules.occupancy(tx, [KEY]))[0] == (KEY, 0, 120)
    assert engine.read(lambda tx: line_length(tx, KEY)) == 120


def test_where_a_job_stands(engine: Engine) -> None:
    """A job of a line is told how many are before it, by priority, time and id; others stand nowhere."""
    late, first = stored(engine, 2, gate=KEY)
    [urgent] = stored(engine, 1, gate=KEY, rank=-5)
    [sooner] = stored(engine, 1, gate=KEY, run_at=NOW - SECOND)
    stored(engine, 3, gate="report=7")
    places = {job: engine.read(lambda tx, job=job: stand_of(tx, job)).ahead for job in (late, first, urgent, sooner)}
    assert places == {urgent: 0, sooner: 1, late: 2, first: 3}
    assert engine.read(lambda tx: stand_of(tx, late)).gate == KEY
    [free] = stored(engine, 1, options='{"timeout":1}')
    assert engine.read(lambda tx: stand_of(tx, free)) == (None, '{"timeout":1}', 0)
    assert engine.read(lambda tx: stand_of(tx, OTHER)) == (None, None, 0)


def test_who_holds_a_gate(engine: Engine) -> None:
    """Members and guests that workers hold, the longest first, and no more than asked for."""
    stored(engine, 3, gate=KEY)
    release(engine, {KEY: 3})
    members = claim_held(engine, limit=2)
    stored(engine, 1, queue="other")
    [guest] = claim_held(engine, queue="other")
    engine.write(lambda tx: write_step(tx, slots=[Slot(guest.id, KEY, guest.claim)]))
    found = engine.read(lambda tx: holders(tx, KEY, 10))
    assert {one.id for one in found} == {guest.id, *(one.id for one in members)}
    assert {(one.name, one.worker, one.started_at) for one in found} == {("shop.render", WORKER, NOW)}
    assert len(engine.read(lambda tx: holders(tx, KEY, 2))) == 2


OTHER = "00000000-0000-7000-8000-000000000000"
