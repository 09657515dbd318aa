"""Tokens: never overspent in any window, whatever the clock does, and not lost either."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.clock import SECOND
from lineshaft.features.limits.concurrency import NET
from lineshaft.features.limits.rate import RateJudge, RateKind
from lineshaft.gates import Gate, Pass
from lineshaft.gcra import Tokens, usual_burst
from lineshaft.options import Rate

NOW = 1_800_000_000 * SECOND
RATES = st.builds(
    Tokens,
    count=st.integers(1, 2_000),
    per=st.sampled_from([SECOND // 10, SECOND, 7 * SECOND, 60 * SECOND, 3_600 * SECOND]),
    burst=st.integers(1, 60),
)
STEPS = st.lists(st.tuples(st.integers(-2_000_000, 3_000_000), st.integers(1, 8)), max_size=60)


def gate(tat: int = 0, *, state: str | None = None, ready: int = 0, wake_at: int | None = None, **known: str) -> Gate:
    """A gate as the store reads it."""
    rule = {"declared": None, "overrides": None} | known
    return Gate("api", "api", tat=tat, state=state, wake_at=wake_at, held=0, ready=ready, first=None, **rule)


def judge(rate: Rate, found: Gate, now: int = NOW) -> RateJudge:
    """Who decides for a gate."""
    return RateKind().judge(found, rate.terms(), now)


def passing(rate: Rate, cost: int = 1) -> Pass:
    """A job that asks for tokens."""
    return Pass("api", "api", "rate", rate.terms(), cost)


def take_all(rate: Rate, found: Gate, cost: int = 1, now: int = NOW) -> tuple[int, RateJudge]:
    """Let jobs pass until one is refused, and return how many did."""
    one = judge(rate, found, now)
    count = 0
    while one.allows(passing(rate, cost), "a"):
        one.let(passing(rate, cost), "a")
        count += 1
    return count, one


@given(tokens=RATES, steps=STEPS, cheap=st.booleans())
def test_no_window_has_more_than_the_burst_and_what_came(
    tokens: Tokens, steps: list[tuple[int, int]], *, cheap: bool
) -> None:
    """In any window of time w tokens taken are at most burst + w/T, also when the clock goes back and forth.

    A single job above the burst is let once all of it is there, and its debt is paid before the next one.
    """
    tat, now = 0, NOW
    taken: list[tuple[int, int]] = []
    for move, wanted in steps:
        now += move
        cost = min(wanted, tokens.burst) if cheap else wanted * tokens.burst // 4 + 1
        if now >= tokens.free_at(tat, cost):
            tat = tokens.take(tat, now, cost)
            taken.append((now, cost))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            window = [taken[index] for index in range(first, last + 1)]
            spent = sum(cost for _, cost in window[:-1]) + min(window[-1][1], tokens.burst)
            latest, earliest = max(at for at, _ in window), min(at for at, _ in window)
            assert (spent - tokens.burst) * tokens.per <= (latest - earliest) * tokens.count


@given(tokens=RATES, late=st.lists(st.integers(0, 90_000), min_size=20, max_size=60))
def test_what_comes_is_not_lost(tokens: Tokens, late: list[int]) -> None:
    """Somebody who looks at the time it is told, and up to 90 ms late, takes at least 98 % of the rate."""
    burst = usual_burst(tokens.count, tokens.per)
    tokens = Tokens(tokens.count, tokens.per, burst)
    tat = now = NOW
    tat = tokens.take(tat, now, max(1, tokens.are_left(tat, now)))
    began, count = tokens.free_at(tat, 1), 0
    for delay in late:
        now = max(now + 1, tokens.free_at(tat, 1)) + delay
        left = tokens.are_left(tat, now)
        tat = tokens.take(tat, now, left)
        count += left
    expected = (now - began) * tokens.count / tokens.per
    # A span is rounded up to a microsecond; only what is left at the end is not taken.
    assert count >= min(0.98, 1 - tokens.count / tokens.per) * expected - 1


@given(tokens=RATES, behind=st.integers(-60 * SECOND, 60 * SECOND))
def test_what_is_left_is_what_can_be_taken(tokens: Tokens, behind: int) -> None:
    """`are_left` says the most that `free_at` lets be taken now."""
    left = tokens.are_left(NOW + behind, NOW)
    for cost in range(1, tokens.burst + 1):
        assert (tokens.free_at(NOW + behind, cost) <= NOW) == (cost <= left)


@given(tokens=RATES, count=st.integers(1, 50))
def test_what_is_given_back_can_be_taken_again(tokens: Tokens, count: int) -> None:
    """Tokens that were not used are there again, and no more than those."""
    tat = tokens.take(0, NOW, count)
    back = tokens.give_back(tat, count)
    assert NOW <= back <= NOW + 1


@pytest.mark.parametrize(
    "rate, burst",
    [
        (Rate(100, "1m"), 2),
        (Rate(10, "1s"), 2),
        (Rate(1, "1h"), 1),
        (Rate(1_000, "1s"), 101),
        (Rate(10, "1s", cost=5), 6),
        (Rate(5, "1s", burst=40), 40),
    ],
)
def test_burst(rate: Rate, burst: int) -> None:
    """Unless somebody says, those of one job and what comes in 0.1 s can be saved up."""
    assert take_all(rate, gate())[0] == burst


def test_refused_jobs_wait_until_their_tokens_come() -> None:
    """A gate is looked at when the next token comes, and lets in as many heads as there are tokens."""
    rate = Rate(10, "1s", burst=3)
    count, before = take_all(rate, gate())
    assert (count, before.to_release(), before.look_at()) == (3, 0, NOW + SECOND // 10)
    later = judge(rate, gate(before.tat, state=before.state, wake_at=NOW), NOW + SECOND // 4)
    assert later.to_release() == 2
    assert later.look_at() == NOW + SECOND // 4 + NET


def test_released_jobs_have_their_tokens() -> None:
    """Those that were let in and have not been claimed yet count before others are let in."""
    found = judge(Rate(10, "1s", burst=3), gate(NOW, ready=2, wake_at=NOW))
    assert (found.to_release(), found.look_at()) == (1, NOW + NET)
    assert judge(Rate(10, "1s", burst=3), gate(NOW, ready=3, wake_at=NOW)).to_release() == 0


def test_a_costly_job_is_not_starved_by_cheap_ones() -> None:
    """One that waits for many tokens is followed by nobody in the same step, and let out when all of them are there."""
    rate = Rate(10, "1s", burst=10, cost="n")
    _, before = take_all(rate, gate(), cost=1)
    later = judge(rate, gate(before.tat, state=before.state), NOW + SECOND // 2)
    assert not later.allows(passing(rate, 8), "a")
    assert not later.allows(passing(rate, 1), "b")
    assert later.to_release() == 0
    assert later.look_at() == NOW + 8 * SECOND // 10
    then = judge(rate, gate(later.tat, state=later.state, wake_at=NOW), later.look_at())
    assert then.to_release() == 1
    assert then.allows(passing(rate, 8), "a")


def test_quick_tokens_are_given_out_together() -> None:
    """Where many tokens come in a moment the line is looked at forty times a second, not at each token."""
    rate = Rate(1_000, "1s")
    _, before = take_all(rate, gate())
    assert before.look_at() == NOW + 25_000
    then = judge(rate, gate(before.tat, state=before.state, wake_at=NOW), NOW + 25_000)
    assert then.to_release() == 25


def test_a_cost_over_the_burst_is_a_debt() -> None:
    """A job that costs more than can be saved up passes when all of it is there; the next one waits for the debt."""
    rate = Rate(10, "1s", burst=5, cost="n")
    found = judge(rate, gate())
    assert found.allows(passing(rate, 30), "a")
    found.let(passing(rate, 30), "a")
    assert not found.allows(passing(rate, 1), "b")
    assert found.look_at() == NOW + (30 - 5 + 1) * SECOND // 10


def test_a_changed_rate_counts_at_once() -> None:
    """What a gate owed under a slow rate is no more tokens under a fast one."""
    _, before = take_all(Rate(1, "1h"), gate())
    assert before.look_at() > NOW + 3_000 * SECOND
    overrides = msgspec.json.encode({"count": 100, "per": SECOND}).decode()
    found = gate(before.tat, state=before.state, declared=Rate(1, "1h").terms(), overrides=overrides)
    assert judge(Rate(1, "1h"), found).to_release() == 10
    slowed = gate(NOW + SECOND, state="[100,1000000,1,100]", declared=Rate(1, "1s").terms())
    assert judge(Rate(1, "1s"), slowed).tat == NOW + 100 * SECOND


@given(
    burst=st.integers(1, 40),
    costs=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    back=st.integers(1, 100_000),
)
def test_a_clock_that_is_set_back_costs_no_more_than_the_bucket(burst: int, costs: list[int], back: int) -> None:
    """Once the clock is set back, jobs wait for what can be owed at most, from then on."""
    rate = Rate(10, "1s", burst=burst, cost="n")
    before = judge(rate, gate())
    now, owed = NOW, burst
    for cost in costs:
        now = max(now, Tokens(10, SECOND, burst).free_at(before.tat, cost))
        before = judge(rate, gate(before.tat, state=before.state), now)
        assert before.allows(passing(rate, cost), "a")
        before.let(passing(rate, cost), "a")
        owed = max(burst, cost)
    found = gate(before.tat, state=before.state, wake_at=before.look_at())
    assert judge(rate, found, now).tat == before.tat
    set_back = judge(rate, found, now - back * SECOND)
    assert set_back.tat <= now - back * SECOND + owed * SECOND // 10
    assert set_back.free_at <= now - back * SECOND + (owed + costs[-1]) * SECOND // 10


def test_a_debt_outlasts_the_job_that_is_refused_for_it() -> None:
    """A job that is refused while a debt is paid does not make less of it."""
    rate = Rate(10, "1s", burst=5, cost="n")
    first = judge(rate, gate())
    first.let(passing(rate, 30), "a")
    refused = judge(rate, gate(first.tat, state=first.state), NOW + 1)
    assert not refused.allows(passing(rate, 1), "b")
    assert judge(rate, gate(refused.tat, state=refused.state), NOW + 2).tat == NOW + 3 * SECOND


def test_what_the_store_knows_goes_first() -> None:
    """What a person changed goes before what code declares, and that before what a job brings."""
    declared, overrides = Rate(5, "1s", burst=5).terms(), '{"burst":7}'
    assert take_all(Rate(5, "1s", burst=3), gate())[0] == 3
    assert take_all(Rate(5, "1s", burst=3), gate(declared=declared))[0] == 5
    assert take_all(Rate(5, "1s", burst=3), gate(declared=declared, overrides=overrides))[0] == 7
    assert take_all(Rate(5, "1s", burst=3), gate(declared='{"limit":1}'))[0] == 3
