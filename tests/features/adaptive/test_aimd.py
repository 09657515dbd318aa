"""How a limit learns: decided without a store."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lineshaft.clock import MINUTE, SECOND
from lineshaft.features.adaptive.aimd import Heard, Learnt, Said, begin, learn, within
from lineshaft.features.adaptive.kind import AdaptiveKind
from lineshaft.gates import Gate, Pass, Sample
from lineshaft.options import Adaptive, AdaptiveTerms

NOW = 1_800_000_000 * SECOND
TERMS = AdaptiveTerms(low=2, high=40)
GOOD, BAD, OTHER = Heard("good", 0.1), Heard("bad", 0.1), Heard("other", 0.1)


def at(value: float) -> Learnt:
    """Return a limit of this size."""
    return Learnt(value, int(value))


def gate(learnt: Any = None, *, held: int = 0, ready: int = 0, overrides: str | None = None) -> Gate:
    """Return a gate of a limit that learns."""
    return Gate("api", "api", None, overrides, 0, learnt, None, held, ready, None, None)


def test_it_begins_where_it_is_told_to() -> None:
    """Nothing known, it is what `start` says, else the lower bound."""
    assert begin(TERMS).limit == TERMS.low
    assert begin(AdaptiveTerms(low=1, high=9, start=4)).limit == 4


def test_it_grows_by_one_while_all_of_it_succeeds() -> None:
    """As many successes as it lets run at once make it one larger."""
    learnt = at(10)
    for _ in range(11):
        learnt = learn(learnt, [GOOD], 10, TERMS, NOW).learnt
    assert learnt.limit == 11
    assert at(10).value < learnt.value < 11.2


@pytest.mark.parametrize("used, grows", [(7, False), (8, True)])
def test_it_grows_only_while_it_is_used(used: int, *, grows: bool) -> None:
    """Where fewer than 80 % of its places are taken, successes say nothing of it."""
    assert (learn(at(10), [GOOD], used, TERMS, NOW).learnt.value > 10) == grows


def test_too_much_cuts_it_once_in_a_while() -> None:
    """An error takes three tenths of it, and others nothing until those have ended that ran beside it."""
    learnt = learn(at(20), [GOOD, BAD, BAD], 20, TERMS, NOW).learnt
    assert learnt.limit == 14
    assert learn(learnt, [BAD], 14, TERMS, NOW + SECOND - 1).learnt.limit == 14
    assert learn(learnt, [BAD], 14, TERMS, NOW + SECOND).learnt.limit == 9


def test_long_jobs_make_it_wait_longer() -> None:
    """After a cut it waits for as long as a job takes on average, if that is more than a second."""
    learnt = learn(at(20), [Heard("good", 8.0)], 20, TERMS, NOW).learnt
    learnt = learn(learnt, [BAD], 20, TERMS, NOW).learnt
    before = learnt.limit
    assert learn(learnt, [BAD], before, TERMS, NOW + 7 * SECOND).learnt.limit == before
    assert learn(learnt, [BAD], before, TERMS, NOW + 8 * SECOND).learnt.limit < before


def test_other_ends_say_nothing() -> None:
    """An attempt that failed for a reason of its own neither helps nor harms."""
    assert learn(at(10), [OTHER] * 30, 10, TERMS, NOW).learnt.value == 10


def test_slow_jobs_cut_it_by_a_tenth() -> None:
    """Jobs that take more than twice as long as the quickest of ten minutes, smoothed, make it smaller."""
    terms = AdaptiveTerms(low=2, high=40, factor=2.0)
    learnt = learn(at(20), [Heard("good", 0.1)] * 20, 3, terms, NOW).learnt
    quick = learn(learnt, [Heard("good", 0.19)] * 40, 20, terms, NOW + SECOND)
    assert quick.learnt.limit == 22
    slow = learn(learnt, [Heard("good", 0.5)] * 40, 20, terms, NOW + SECOND)
    assert (slow.learnt.limit, slow.why) == (18, "slow")


def test_the_quickest_of_long_ago_is_forgotten() -> None:
    """What was quick more than ten minutes ago is no measure any more."""
    terms = AdaptiveTerms(low=2, high=40, factor=2.0)
    learnt = learn(at(20), [Heard("good", 0.1)] * 50, 3, terms, NOW).learnt
    for minute in range(1, 12):
        learnt = learn(learnt, [Heard("good", 0.5)] * 50, 3, terms, NOW + minute * MINUTE).learnt
    assert learnt.lows[0][1] > 0.4
    assert learn(learnt, [Heard("good", 0.5)], 20, terms, NOW + 12 * MINUTE).learnt.value > learnt.value


def test_a_time_that_jobs_should_not_exceed() -> None:
    """With a time in place of a factor, jobs are slow beyond it, however quick they ever were."""
    terms = AdaptiveTerms(low=2, high=40, slow=SECOND // 2)
    assert learn(at(20), [Heard("good", 0.6)], 20, terms, NOW).why == "slow"
    assert learn(at(20), [Heard("good", 0.4)], 20, terms, NOW).learnt.value > 20


def test_bounds_that_were_moved_count_at_once() -> None:
    """A limit that stands outside of new bounds is within them when it is next looked at, and people are told."""
    step = within(at(20), AdaptiveTerms(low=1, high=5), NOW)
    assert (step.learnt.limit, step.why) == (5, "bounds")
    judge = AdaptiveKind().judge(gate(held=4, overrides='{"high":5}'), Adaptive(start=20).terms(), NOW)
    one = Pass("api", "api", "adaptive", "{}")
    assert judge.allows(one, "a")
    judge.let(one, "a")
    assert not judge.allows(one, "b")
    assert [(news.value, news.why) for news in judge.news()] == [(5, "bounds")]


def test_what_is_heard_counts_for_who_comes_in_the_same_step() -> None:
    """The limit has moved by the ends of a transaction before its newcomers are let in."""
    judge = AdaptiveKind().judge(gate(held=9), Adaptive(start=10).terms(), NOW)
    judge.hear(Sample("api", "api", "adaptive", "{}", BAD))
    assert not judge.allows(Pass("api", "api", "adaptive", "{}"), "job")
    assert (judge.to_release(), [news.value for news in judge.news()]) == (0, [7])


def test_a_limit_of_which_nothing_is_new_is_not_written() -> None:
    """A step in which nothing was heard leaves what is stored as it is."""
    judge = AdaptiveKind().judge(gate(), Adaptive().terms(), NOW)
    assert judge.state is None


class LearningMachine(RuleBasedStateMachine):
    """A limit that hears all kinds of ends, at any time, under bounds that people move."""

    @initialize(low=st.integers(1, 5), more=st.integers(0, 30), factor=st.sampled_from([None, 1.5, 2.0]))
    def start(self, low: int, more: int, factor: float | None) -> None:
        """Begin."""
        self.now = NOW
        self.terms = AdaptiveTerms(low=low, high=low + more, factor=factor)
        self.learnt = begin(self.terms)
        self.told = self.learnt.limit
        self.cuts: list[int] = []
        self.told_growth: list[int] = []

    @rule(
        said=st.lists(st.sampled_from(["good", "bad", "other"]), min_size=1, max_size=20),
        seconds=st.floats(0, 5),
        used=st.integers(0, 40),
    )
    def hear(self, said: list[Said], seconds: float, used: int) -> None:
        """Let attempts end."""
        before, step = (
            self.learnt,
            learn(self.learnt, [Heard(one, seconds) for one in said], used, self.terms, self.now),
        )
        self.learnt = step.learnt
        if self.learnt.value < before.value:
            self.cuts.append(self.now)
            assert self.learnt.value >= max(self.terms.low, before.value * 0.7 - 1e-9)
        if "bad" in said or used < 0.8 * before.limit:
            assert self.learnt.value <= before.value
        if step.why == "success":
            self.told_growth.append(self.now)
        if step.why is not None:
            assert self.told != self.learnt.limit
            self.told = self.learnt.limit

    @rule(micros=st.sampled_from([1_000, 300_000, 1_000_000, 70_000_000, -2_000_000]))
    def wait(self, micros: int) -> None:
        """Let time pass, or a clock be set back: what was before that is no measure of time any more."""
        self.now += micros
        if micros < 0:
            self.cuts, self.told_growth = [], []

    @rule(low=st.integers(1, 5), more=st.integers(0, 30))
    def bound(self, low: int, more: int) -> None:
        """Let a person move the bounds."""
        self.terms = AdaptiveTerms(low=low, high=low + more, factor=self.terms.factor)
        step = within(self.learnt, self.terms, self.now)
        self.learnt = step.learnt
        self.told = self.learnt.limit if step.why else self.told

    @invariant()
    def stays_within_its_bounds(self) -> None:
        """It is a whole number of places within its bounds, whatever was heard."""
        assert self.terms.low <= self.learnt.limit <= self.learnt.value <= self.terms.high

    @invariant()
    def is_cut_once_a_while(self) -> None:
        """Two cuts are at least a second apart, and so are two tellings of its growth."""
        for times in (self.cuts, self.told_growth):
            assert all(abs(one - other) >= SECOND for one, other in pairwise(times))

    @invariant()
    def remembers_little(self) -> None:
        """It keeps ten minutes at most, and knows what people were told."""
        assert len(self.learnt.lows) <= 10
        assert self.learnt.told == self.told


TestLearningMachine = LearningMachine.TestCase
