"""The pure decision about a step's candidates and gates."""

from __future__ import annotations

from collections import Counter
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from lineshaft.clock import SECOND
from lineshaft.features.limits.concurrency import ConcurrencyKind
from lineshaft.features.limits.order import OrderKind
from lineshaft.features.limits.rate import RateKind
from lineshaft.gates import Gate, Judge, Pass, Sample
from lineshaft.options import Concurrency, Order, Rate
from lineshaft.worker.verdict import PLACES, Candidate, Seat, Verdict, decide, ordered, seat, seat_alone

NOW: Final = 1_800_000_000 * SECOND
KINDS: Final = {"concurrency": ConcurrencyKind(), "rate": RateKind()}
NAMES: Final = ("a", "b", "c")
_RATE: Final = Rate(10, "1s", burst=2)


def gate(key: str, held: int = 0, ready: int = 0, wake_at: int | None = None, **columns: object) -> Gate:
    """Return a gate of which the store knows no rule."""
    return Gate(key, key, None, None, 0, None, wake_at, held, ready, None)._replace(**columns)


def place(key: str, limit: int = 1) -> Pass:
    """Return a pass for a gate of places."""
    return Pass(key, key, "concurrency", Concurrency(limit).terms())


def token(key: str = "r") -> Pass:
    """Return a pass for a gate with two tokens."""
    return Pass(key, key, "rate", _RATE.terms())


def step(gates: list[Gate], *candidates: Candidate, concerns: tuple[Pass, ...] = ()) -> Verdict:
    """Decide about candidates; `concerns` names gates that jobs have left."""
    passes = [*concerns, *(one for candidate in candidates for one in candidate.passes)]
    seats = seat(passes, {one.key: one for one in gates}, KINDS, NOW)
    return decide(candidates, (), seats, NOW)


@st.composite
def steps(draw: st.DrawFn) -> tuple[dict[str, int], list[Gate], list[Candidate]]:
    """Gates with limits, in any state, and candidates that need some of them."""
    limits = {name: draw(st.integers(1, 4)) for name in NAMES}
    gates = [
        gate(
            name, draw(st.integers(0, 5)), draw(st.integers(0, 3)), draw(st.sampled_from([None, NOW - 1, NOW + SECOND]))
        )
        for name in NAMES
    ]
    needs = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
    candidates = []
    for number in range(draw(st.integers(0, 12))):
        passes = ordered(place(name, limits[name]) for name in draw(needs))
        own = draw(st.sampled_from([None, *(one.key for one in passes)]))
        candidates.append(Candidate(f"job-{number:02}", passes, own))
    return limits, gates, candidates


@given(steps())
def test_no_gate_holds_more_than_its_limit(given_step: tuple[dict[str, int], list[Gate], list[Candidate]]) -> None:
    """Whoever asks, whatever is held already: nobody passes a gate that is full."""
    limits, gates, candidates = given_step
    verdict = step(gates, *candidates)
    by_id = {one.id: one for one in candidates}
    passed = Counter(found.key for job in verdict.passed for found in by_id[job].passes)
    for one in gates:
        assert passed[one.key] <= max(0, limits[one.key] - one.held)


@given(steps())
def test_each_candidate_passes_or_stands_in_one_line(
    given_step: tuple[dict[str, int], list[Gate], list[Candidate]],
) -> None:
    """A job passes all of its gates or is parked in front of one of them; its places are counted where it passed."""
    _, gates, candidates = given_step
    verdict = step(gates, *candidates)
    assert sorted([*verdict.passed, *verdict.parked]) == [one.id for one in candidates]
    for one in candidates:
        keys = {found.key for found in one.passes}
        slots = {key for job, key in verdict.slots if job == one.id}
        if one.id in verdict.parked:
            assert verdict.parked[one.id] in keys
            assert not slots
        else:
            assert slots == keys - {one.gate}


@given(steps())
def test_only_as_many_leave_a_line_as_may_start(
    given_step: tuple[dict[str, int], list[Gate], list[Candidate]],
) -> None:
    """Heads leave a line for the places that nobody has or was promised."""
    limits, gates, candidates = given_step
    verdict = step(gates, *candidates, concerns=tuple(place(name, limits[name]) for name in NAMES))
    by_id = {one.id: one for one in candidates}
    passed = Counter(found.key for job in verdict.passed for found in by_id[job].passes)
    begun = set(verdict.parked.values())
    for one in gates:
        free = limits[one.key] - one.held - passed[one.key] - one.ready
        has_line = one.wake_at is not None or one.key in begun
        assert verdict.releases.get(one.key, 0) == (max(0, free) if has_line else 0)


@given(steps())
def test_every_line_has_somebody_who_looks(given_step: tuple[dict[str, int], list[Gate], list[Candidate]]) -> None:
    """A gate whose line begins, or whose look is overdue, is given a time to be looked at that is still to come."""
    _, gates, candidates = given_step
    verdict = step(gates, *candidates, concerns=tuple(place(name) for name in NAMES))
    looks = {one.key: one.wake_at for one in verdict.moves}
    for one in gates:
        if one.wake_at is None and one.key in verdict.parked.values():
            assert (looks[one.key] or 0) > NOW
        if one.wake_at is not None and one.wake_at <= NOW:
            assert (looks[one.key] or 0) > NOW


def test_nothing_is_spent_where_another_gate_refuses() -> None:
    """A job that its places hold back leaves the tokens of its rate to others."""
    both = Candidate("one", ordered([place("full"), token()]))
    verdict = step(
        [gate("full", held=1), gate("r")], both, Candidate("two", (token(),)), Candidate("three", (token(),))
    )
    assert verdict.parked == {"one": "full"}
    assert verdict.passed == ["two", "three"]


def test_who_waits_comes_before_who_is_new() -> None:
    """A job that comes fresh is parked behind a line, although a place is free; the line's head gets it."""
    verdict = step([gate("a", wake_at=NOW + SECOND)], Candidate("new", (place("a"),)))
    assert verdict.parked == {"new": "a"}
    assert verdict.releases == {"a": 1}


def test_released_jobs_that_nobody_can_claim_do_not_stop_a_line() -> None:
    """One that leaves makes room for one, whoever was released before; so does a look at the line's time."""
    stuck = gate("a", ready=1, wake_at=NOW - 1, kind="concurrency", declared=Concurrency(1).terms())
    seats = seat([place("a")], {"a": stuck}, KINDS, NOW, {"a": 1})
    assert decide((), (), seats, NOW).releases == {"a": 1}
    assert decide((), (), {"a": seat_alone(stuck, KINDS, NOW)}, NOW).releases == {"a": 1}
    assert step([stuck], concerns=(place("a"),)).releases == {}


def test_a_job_of_a_strict_order_that_was_just_parked_elsewhere_stays_there() -> None:
    """An order whose first job stands in another line lets nobody out of that."""
    first = Candidate("first", (Pass("o", "o", "order", Order().terms()), place("full")))
    gates = {"o": gate("o", first="first", wake_at=NOW + SECOND), "full": gate("full", held=1)}
    seats = seat(first.passes, gates, {**KINDS, "order": OrderKind()}, NOW, {"o": 1})
    verdict = decide([first._replace(gate="o")], (), seats, NOW)
    assert verdict.parked == {"first": "full"}
    assert verdict.released == []


def test_who_was_released_by_one_gate_is_not_sent_back_by_the_line_of_another() -> None:
    """Two gates with lines do not send the same jobs to and fro."""
    released = Candidate("one", (place("a"), place("b")), "a")
    verdict = step([gate("a", wake_at=NOW + SECOND), gate("b", wake_at=NOW + SECOND)], released)
    assert verdict.passed == ["one"]


def test_a_gate_without_a_line_is_not_written_for_nothing() -> None:
    """A job that passes a gate of places costs its row no write."""
    assert step([gate("a")], Candidate("one", (place("a"),))).moves == []


def test_a_look_that_is_planned_soon_is_not_written_anew() -> None:
    """A line whose gate moves all the time is not written each time."""
    verdict = step([gate("a", held=1, wake_at=NOW + 2 * SECOND)], concerns=(place("a"),))
    assert verdict.moves == []
    assert verdict.stirred == {}


def test_a_gate_that_only_releases_is_written_in_case_its_line_ends() -> None:
    """Whoever lets heads out has the store look whether any is left."""
    verdict = step([gate("a", wake_at=NOW + 2 * SECOND)], concerns=(place("a"),))
    assert verdict.releases == {"a": 1}
    assert list(verdict.stirred) == ["a"]


def test_a_gate_of_an_unknown_rule_lets_one_out_at_a_time() -> None:
    """Where nobody here knows the limit, the claim of a single job has to tell it."""
    one = gate("a", ready=1, wake_at=NOW - 1)
    assert decide((), (), {"a": seat_alone(one, KINDS, NOW)}, NOW).releases == {"a": 1}
    assert decide((), (), {"a": seat_alone(one, KINDS, NOW, leaving=3)}, NOW).releases == {"a": 3}


def test_a_gate_of_a_stored_rule_is_judged_by_it() -> None:
    """Without a job at hand, what the store knows of the rule decides."""
    one = gate("a", held=1, wake_at=NOW - 1, kind="concurrency", declared=Concurrency(4).terms())
    assert decide((), (), {"a": seat_alone(one, KINDS, NOW)}, NOW).releases == {"a": 3}


def test_the_first_of_a_strict_order_comes_before_its_line() -> None:
    """One that was tried again and is first does not queue behind those that wait for it, and no other one passes."""
    one = Pass("o", "o", "order", Order().terms())
    gates = {"o": gate("o", wake_at=NOW + SECOND, first="j1")}
    candidates = [Candidate("j1", (one,), None), Candidate("j4", (one,), None)]
    verdict = decide(candidates, (), seat([one], gates, {"order": OrderKind()}, NOW), NOW)
    assert (verdict.passed, verdict.parked) == (["j1"], {"j4": "o"})


def test_a_strict_order_lets_out_the_one_whose_turn_it_is() -> None:
    """Of a strict order it is not the line's head that follows, but the first unfinished job."""

    class Open(ConcurrencyKind):
        name = "order"  # type: ignore[assignment]

    one = gate("a", wake_at=NOW - 1, first="the-first", kind="order", declared=Concurrency(1).terms())
    verdict = decide((), (), {"a": seat_alone(one, {"order": Open()}, NOW)}, NOW)
    assert (verdict.released, verdict.releases) == (["the-first"], {})


class Closed(Judge):
    """Refuses everybody, at once, and notes what it heard."""

    fails_refused = True  # type: ignore[assignment]
    refusal = "closed"  # type: ignore[assignment]
    tat = 0  # type: ignore[assignment]
    state = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.heard: list[Sample] = []

    def allows(self, one: Pass, job_id: str) -> bool:  # noqa: ARG002 - the shape of a judge
        """Refuse."""
        return False

    def let(self, one: Pass, job_id: str) -> None:  # noqa: ARG002 - the shape of a judge
        """Never asked."""
        raise AssertionError

    def hear(self, sample: Sample) -> None:
        """Note it."""
        self.heard.append(sample)

    def to_release(self) -> int:
        """Release nobody."""
        return 0

    def look_at(self) -> int:
        """Return some time."""
        return NOW + SECOND


def test_a_gate_that_lets_nobody_wait_fails_who_it_refuses() -> None:
    """Such a job is not parked; it ends with what the gate says."""
    judge = Closed()
    seats = {"b": Seat(gate("b"), "breaker", judge)}
    verdict = decide([Candidate("one", (Pass("b", "b", "breaker", "{}"),))], (), seats, NOW)
    assert verdict.failed == {"one": "closed"}
    assert not verdict.parked


def test_ends_are_heard_before_anybody_asks() -> None:
    """What an end says counts for the candidates of the same step."""
    judge = Closed()
    sample = Sample("b", "b", "breaker", "{}", "boom")
    decide(
        [Candidate("one", (Pass("b", "b", "breaker", "{}"),))], [sample], {"b": Seat(gate("b"), "breaker", judge)}, NOW
    )
    assert judge.heard == [sample]


def test_jobs_ask_their_gates_in_one_order() -> None:
    """Breakers first, then orders, rates and places: whatever order the features named them in."""
    passes = [place("c"), token(), Pass("b", "b", "breaker", "{}"), Pass("o", "o", "order", "{}")]
    assert [one.kind for one in ordered(passes)] == ["breaker", "order", "rate", "concurrency"]
    assert PLACES.isdisjoint({"rate"})
