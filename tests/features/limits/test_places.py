"""Places and turns: what a gate lets in, and what it lets out of its line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lineshaft.clock import SECOND
from lineshaft.features.limits.concurrency import NET, ConcurrencyKind
from lineshaft.features.limits.order import OrderKind
from lineshaft.gates import Gate, Judge, Pass
from lineshaft.options import Concurrency, Order

NOW = 1_800_000_000 * SECOND
SMALL = st.integers(0, 12)


def gate(held: int = 0, ready: int = 0, first: str | None = None, **known: str) -> Gate:
    """A gate as the store reads it."""
    rule = {"declared": None, "overrides": None} | known
    return Gate("g", "g", tat=7, state="{}", wake_at=None, held=held, ready=ready, first=first, **rule)


def let_in(judge: Judge, one: Pass, ids: list[str]) -> list[str]:
    """Those of the jobs that pass."""
    passed: list[str] = []
    for job in ids:
        if judge.allows(one, job):
            judge.let(one, job)
            passed.append(job)
    return passed


def places(limit: int) -> Pass:
    """A job that asks for a place."""
    return Pass("g", "g", "concurrency", Concurrency(limit).terms())


ORDERED = Pass("g", "g", "order", Order("a").terms())


@given(limit=st.integers(1, 9), held=SMALL, ready=SMALL, wanted=SMALL)
def test_places_are_never_more_than_the_limit(limit: int, held: int, ready: int, wanted: int) -> None:
    """As many pass as places are free, no more are let out than can run, and no place stays free while jobs wait."""
    judge = ConcurrencyKind().judge(gate(held, ready), places(limit).terms, NOW)
    passed = let_in(judge, places(limit), [str(number) for number in range(wanted)])
    assert len(passed) == min(wanted, max(0, limit - held))
    released = judge.to_release()
    taken = held + len(passed)
    assert taken + released + ready <= max(limit, taken + ready)
    assert taken + released + ready >= limit
    assert (judge.tat, judge.state, judge.look_at()) == (7, "{}", NOW + NET)


def test_a_lowered_limit_lets_nobody_in_until_there_are_fewer() -> None:
    """What a person changed goes before what the code declares, and that before what came with the job."""
    declared = Concurrency(5).terms()
    for held, allowed in ((2, False), (1, True)):
        judge = ConcurrencyKind().judge(gate(held, declared=declared, overrides='{"limit":2}'), places(9).terms, NOW)
        assert judge.allows(places(9), "a") is allowed
    judge = ConcurrencyKind().judge(gate(5, declared=declared), places(9).terms, NOW)
    assert not judge.allows(places(9), "a")
    assert ConcurrencyKind().judge(gate(5, declared='{"count":1,"per":1}'), places(9).terms, NOW).allows(places(9), "a")


@given(held=st.integers(0, 2), ready=st.integers(0, 2), first=st.none() | st.sampled_from("bdf"))
def test_only_the_first_passes_and_alone(held: int, ready: int, first: str | None) -> None:
    """Of an order one passes at most, only while nobody is inside, and never one behind the first unfinished one."""
    judge = OrderKind().judge(gate(held, ready, first), ORDERED.terms, NOW)
    passed = let_in(judge, ORDERED, ["e", "b", "d", "a", "f"])
    assert len(passed) <= (0 if held else 1)
    assert all(first is None or job <= first for job in passed)
    if first == "b" and not held:
        assert passed == ["b"]
    assert judge.to_release() == (0 if held or passed or ready else 1)
    assert (judge.tat, judge.state, judge.look_at()) == (7, "{}", NOW + NET)
