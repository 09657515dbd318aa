"""How a circuit breaker moves: decided without a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lineshaft.clock import SECOND
from lineshaft.features.breaker.kind import BreakerKind
from lineshaft.features.breaker.moves import (
    MOVES,
    NEW,
    End,
    MoveName,
    Phase,
    State,
    by_hand,
    dump_state,
    ended,
    let_through,
    load_state,
    may_pass,
    places,
    rested,
    terms_of,
)
from lineshaft.gates import Gate, Pass, Sample
from lineshaft.options import Breaker, BreakerTerms

NOW = 1_800_000_000 * SECOND
TERMS = BreakerTerms(failures=3, within=60 * SECOND, reset=10 * SECOND, half_open=2)
FAILED = End("job", "failed", "OSError: away")


def opened(terms: BreakerTerms = TERMS) -> State:
    """Return a breaker that has just opened."""
    state = NEW
    for _ in range(terms.failures):
        state = ended(state, FAILED, terms, NOW)
    return state


def gate(state: State = NEW, *, held: int = 0, ready: int = 0, declared: str | None = None) -> Gate:
    """Return a gate of a breaker."""
    return Gate("breaker:smtp", "breaker:smtp", declared, None, 0, dump_state(state), None, held, ready, None, None)


def test_it_opens_at_so_many_failures_within_the_time() -> None:
    """The failures that count are those within the time; the last of them opens it."""
    state = ended(NEW, FAILED, TERMS, NOW)
    state = ended(state, FAILED, TERMS, NOW + 1)
    late = ended(state, FAILED, TERMS, NOW + 60 * SECOND + 1)
    assert (late.phase, len(late.failures)) == (Phase.CLOSED, 1)
    state = ended(state, FAILED, TERMS, NOW + 60 * SECOND - 1)
    assert (state.phase, state.since, state.error) == (Phase.OPEN, NOW + 60 * SECOND - 1, "OSError: away")


def test_failures_of_the_future_count_from_now_on() -> None:
    """After the clock was set back, failures noted before that do not count for longer than they should."""
    state = ended(NEW, FAILED, TERMS, NOW + 3600 * SECOND)
    assert ended(state, FAILED, TERMS, NOW).failures == (NOW, NOW)


def test_it_rests_and_then_tries() -> None:
    """It is half-open from the end of its rest on, and not a moment sooner."""
    state = opened()
    assert rested(state, TERMS, NOW + TERMS.reset - 1) is state
    tried = rested(state, TERMS, NOW + TERMS.reset)
    assert (tried.phase, tried.since) == (Phase.HALF_OPEN, NOW + TERMS.reset)


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.HALF_OPEN, Phase.FORCED_OPEN])
def test_a_clock_that_is_set_back_makes_it_rest_once_more_at_most(phase: Phase) -> None:
    """A breaker that opened in the future is open from now on: it tries after one rest, not when that time is back."""
    kind, terms = BreakerKind(lambda _key, _at: None), Breaker(failures=3, reset="10s", half_open=2).terms()
    early = NOW - 3600 * SECOND
    judge = kind.judge(gate(State(phase, NOW, error="OSError: away"), declared=terms), "{}", early)
    kept = load_state(judge.state)
    assert (kept.phase, kept.since, kept.error) == (phase, early, "OSError: away")
    assert judge.look_at() <= early + 60 * SECOND
    later = load_state(kind.judge(gate(kept, declared=terms), "{}", early + 10 * SECOND).state)
    assert later.phase is (Phase.HALF_OPEN if phase is Phase.OPEN else phase)


@pytest.mark.parametrize("said, phase", [("succeeded", Phase.CLOSED), ("failed", Phase.OPEN)])
def test_the_first_probe_decides(said: Any, phase: Phase) -> None:
    """A probe's success closes it, its failure opens it anew; the end of another job says nothing meanwhile."""
    state = let_through(rested(opened(), TERMS, NOW + TERMS.reset), "probe", TERMS)
    assert ended(state, End("other", said), TERMS, NOW).phase is Phase.HALF_OPEN
    assert ended(state, End("probe", said), TERMS, NOW).phase is phase


def test_a_probe_that_says_nothing_leaves_its_place() -> None:
    """A probe that was cancelled neither closes nor opens it, and another one takes its place."""
    state = rested(opened(), TERMS, NOW + TERMS.reset)
    state = let_through(let_through(state, "a", TERMS), "b", TERMS)
    assert not may_pass(state, "c", TERMS, held=2)
    state = ended(state, End("a", "gone"), TERMS, NOW)
    assert may_pass(state, "c", TERMS, held=1)


def test_a_probe_that_died_leaves_its_place() -> None:
    """A probe that no worker holds any more does not count, whether or not its end was told."""
    state = rested(opened(), TERMS, NOW + TERMS.reset)
    state = let_through(let_through(state, "a", TERMS), "b", TERMS)
    assert places(state, TERMS, held=1) == 1
    assert may_pass(state, "c", TERMS, held=1)
    assert may_pass(state, "a", TERMS, held=1)
    assert not may_pass(let_through(state, "c", TERMS), "a", TERMS, held=2)


def test_jobs_of_before_do_not_take_the_places_of_probes() -> None:
    """Jobs that the breaker had released and that still run are no probes."""
    state = rested(opened(), TERMS, NOW + TERMS.reset)
    assert may_pass(state, "a", TERMS, held=7)


def test_by_hand_stays_until_it_is_reset() -> None:
    """What a person says holds whatever fails, succeeds or rests."""
    for word, phase in (("open", Phase.FORCED_OPEN), ("close", Phase.FORCED_CLOSED)):
        state = by_hand(opened(), word, NOW)  # type: ignore[arg-type]
        for said in ("failed", "succeeded", "gone"):
            state = ended(state, End("job", said), TERMS, NOW)  # type: ignore[arg-type]
        assert rested(state, TERMS, NOW + 10**15).phase is phase
        assert by_hand(state, "reset", NOW).phase is Phase.CLOSED


def test_a_reset_forgets_failures() -> None:
    """A breaker that is closed counts anew after a reset."""
    state = by_hand(ended(NEW, FAILED, TERMS, NOW), "reset", NOW)
    assert (state.phase, state.failures) == (Phase.CLOSED, ())


def test_what_only_jobs_say_of_it_is_remembered() -> None:
    """Where no worker's code says more than the name, the last job that did rules; else the code does."""
    terms = Breaker("smtp", failures=1, reset="5s").terms()
    failed = Sample("breaker:smtp", "breaker:smtp", "breaker", terms, FAILED)
    judge = BreakerKind(lambda _key, _at: None).judge(gate(), terms, NOW)
    judge.hear(failed)
    state = load_state(judge.state)
    assert state.phase is Phase.OPEN
    assert terms_of("{}", state).reset == 5 * SECOND
    declared = BreakerKind(lambda _key, _at: None).judge(gate(declared='{"failures":2}'), terms, NOW)
    declared.hear(failed)
    assert load_state(declared.state).phase is Phase.CLOSED


def test_a_line_is_released_in_steps_once_it_is_closed() -> None:
    """A line that everybody may leave goes by 1,000 every 100 ms, less those that are released and not claimed."""
    judge = BreakerKind(lambda _key, _at: None).judge(gate(ready=400), "{}", NOW)
    assert (judge.to_release(), judge.look_at()) == (600, NOW + SECOND // 10)


def test_an_open_one_is_looked_at_when_it_has_rested() -> None:
    """Nobody leaves the line of an open breaker; somebody looks when its rest is over, and lets probes out."""
    noticed: list[str] = []
    kind, terms = BreakerKind(lambda key, _at: noticed.append(key)), Breaker(reset="10s", half_open=2).terms()
    judge = kind.judge(gate(opened(), declared=terms), "{}", NOW)
    assert (judge.to_release(), judge.look_at()) == (0, NOW + 10 * SECOND)
    one = Pass("breaker:smtp", "breaker:smtp", "breaker", "{}")
    assert not judge.allows(one, "job")
    judge = kind.judge(gate(opened(), declared=terms), "{}", NOW + 10 * SECOND)
    assert (judge.to_release(), [news.kind for news in judge.news()]) == (2, ["breaker_half_opened"])
    assert noticed == ["breaker:smtp"] * 2


@given(st.lists(st.sampled_from(["failed", "succeeded", "gone"]), max_size=30), st.integers(1, 5))
def test_nothing_but_failures_opens_it(ends: Sequence[Any], failures: int) -> None:
    """A breaker opens exactly when as many ends as it says were failures, all within the time."""
    terms, state = BreakerTerms(failures=failures), NEW
    for number, said in enumerate(ends):
        state = ended(state, End("job", said), terms, NOW + number)
    assert (state.phase is Phase.OPEN) == (ends.count("failed") >= failures)


class BreakerMachine(RuleBasedStateMachine):
    """A breaker with jobs that come, end, die and are rescued, and a person that has a hand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.state = NOW, NEW
        self.running: dict[str, bool] = {}
        """Jobs that workers hold, and whether the breaker let them through while it was half-open."""
        self.dead: list[str] = []
        self.count = 0

    def become(self, state: State, *moves: MoveName) -> None:
        """Take a new state; a change of phase is one of these moves of the table."""
        if state.phase is not self.state.phase:
            fitting = [MOVES[one] for one in moves]
            assert any(self.state.phase in one.sources and state.phase is one.target for one in fitting)
        if state.phase is not self.state.phase:
            self.running = dict.fromkeys(self.running, False)
        self.state = state

    @rule(seconds=st.sampled_from([0, 1, 4, 11, 61]))
    def wait(self, seconds: int) -> None:
        """Let time pass, and somebody look."""
        self.now += seconds * SECOND
        self.become(rested(self.state, TERMS, self.now), "rest")

    @rule(is_back=st.booleans())
    def come(self, *, is_back: bool) -> None:
        """Let a new job come, or one whose worker has died."""
        self.count += 1
        job = self.dead.pop() if is_back and self.dead else str(self.count)
        if may_pass(self.state, job, TERMS, len(self.running)):
            self.running[job] = self.state.phase is Phase.HALF_OPEN
            self.state = let_through(self.state, job, TERMS)

    @rule(data=st.data(), said=st.sampled_from(["failed", "succeeded", "gone"]))
    def end(self, data: st.DataObject, said: Any) -> None:
        """Let a job end."""
        if self.running:
            job = data.draw(st.sampled_from(sorted(self.running)))
            del self.running[job]
            self.become(ended(self.state, End(job, said), TERMS, self.now), "trip", "recover", "relapse")

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """Let a job's worker die, and the job be put back."""
        if self.running:
            job = data.draw(st.sampled_from(sorted(self.running)))
            del self.running[job]
            self.dead.append(job)

    @rule(word=st.sampled_from(["open", "close", "reset"]))
    def have_a_hand(self, word: Any) -> None:
        """Let a person move it."""
        self.become(by_hand(self.state, word, self.now), word)

    @invariant()
    def keeps_to_its_probes(self) -> None:
        """No more jobs run that were let through since it is half-open than it says."""
        if self.state.phase is Phase.HALF_OPEN:
            assert sum(self.running.values()) <= TERMS.half_open

    @invariant()
    def always_goes_on(self) -> None:
        """While nobody runs and no person has shut it, a job can pass now or after its rest."""
        if not self.running and self.state.phase is not Phase.FORCED_OPEN:
            later = rested(self.state, TERMS, self.state.since + TERMS.reset)
            assert may_pass(later, "one more", TERMS, held=0)

    @invariant()
    def is_small(self) -> None:
        """What it remembers stays small, and survives being stored."""
        assert load_state(dump_state(self.state)) == self.state
        assert len(self.state.failures) < TERMS.failures
        assert len(self.state.probes) <= TERMS.half_open + 16


TestBreakerMachine = BreakerMachine.TestCase


def test_the_table_names_every_move() -> None:
    """Each name of a move has its line in the table, and no move leads from a phase to itself."""
    assert set(MOVES) == set(get_args(MoveName))
    assert all(move.target not in move.sources for move in MOVES.values())
