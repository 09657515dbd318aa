"""How a circuit breaker decides in one transaction: a gate that lets everybody pass, nobody, or a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lineshaft.clock import SECOND, to_datetime
from lineshaft.features.breaker.moves import (
    End,
    Phase,
    State,
    brought,
    dump_state,
    ended,
    let_through,
    load_state,
    may_pass,
    places,
    rested,
    terms_of,
)
from lineshaft.gates import Gate, GateKind, Judge, Kind, News, Pass, Sample

PREFIX: Final = "breaker:"

# A line that everybody may leave is released in steps, so that what has just come back is not run over.
_STEP: Final = 1_000
_STEP_EVERY: Final = SECOND // 10
_PROBED_EVERY: Final = 2 * SECOND
_FORCED_EVERY: Final = 60 * SECOND

_NEWS: Final = {
    Phase.OPEN: "breaker_opened",
    Phase.FORCED_OPEN: "breaker_opened",
    Phase.HALF_OPEN: "breaker_half_opened",
    Phase.CLOSED: "breaker_closed",
    Phase.FORCED_CLOSED: "breaker_closed",
}


class BreakerKind(GateKind):
    """Circuit breakers; `notice(key, now)` is called when one is found not to be closed."""

    name: Kind = "breaker"

    def __init__(self, notice: Callable[[str, int], None]) -> None:
        self._notice = notice

    def judge(self, gate: Gate, terms: str, now: int) -> Judge:
        """Return who decides for one breaker."""
        return BreakerJudge(gate, terms, now, self._notice)


class BreakerJudge(Judge):
    """Decides for one breaker in one transaction."""

    def __init__(self, gate: Gate, terms: str, now: int, notice: Callable[[str, int], None]) -> None:
        self._gate, self._now, self._notice = gate, now, notice
        self._held = gate.held
        self._news: list[News] = []
        self._before = load_state(gate.state)
        self._state = brought(self._before, terms, gate.declared)
        self._terms = terms_of(gate.declared, self._state)
        self._become(rested(self._state, self._terms, now), "it has rested")

    def allows(self, one: Pass, job_id: str) -> bool:  # noqa: ARG002 - the shape of a judge
        """Tell whether the job may start: as a probe while the breaker is half-open."""
        return may_pass(self._state, job_id, self._terms, self._held)

    def let(self, one: Pass, job_id: str) -> None:  # noqa: ARG002 - the shape of a judge
        """Note that the job starts."""
        self._state = let_through(self._state, job_id, self._terms)
        self._held += 1

    def hear(self, sample: Sample) -> None:
        """Take in how an attempt ended."""
        end: End = sample.said
        self._become(ended(self._state, end, self._terms, self._now), _why(end, self._terms.failures, self._state))

    @property
    def fails_refused(self) -> bool:
        """Whether jobs fail while it is open."""
        return self._terms.when_open == "fail"

    @property
    def refusal(self) -> str:
        """What a job that it refuses fails with, as a message."""
        return open_message(self._gate.rule, self._state)

    def to_release(self) -> int:
        """Return how many may leave the line: as many as there are places for probes, or a part of all."""
        match self._state.phase:
            case Phase.OPEN | Phase.FORCED_OPEN:
                return 0
            case Phase.HALF_OPEN:
                return max(0, places(self._state, self._terms, self._held) - self._gate.ready)
            case _:
                return max(0, _STEP - self._gate.ready)

    def look_at(self) -> int:
        """Return when it has rested; later, whether its probes live, and when the next part of the line may leave."""
        match self._state.phase:
            case Phase.OPEN:
                return self._state.since + self._terms.reset
            case Phase.HALF_OPEN:
                return self._now + _PROBED_EVERY
            case Phase.FORCED_OPEN:
                return self._now + _FORCED_EVERY
            case _:
                return self._now + _STEP_EVERY

    @property
    def tat(self) -> int:
        """A breaker has no tokens."""
        return self._gate.tat

    @property
    def state(self) -> str | None:
        """What it remembers from now on."""
        return self._gate.state if self._state == self._before else dump_state(self._state)

    def news(self) -> tuple[News, ...]:
        """Return how it has moved."""
        return tuple(self._news)

    def _become(self, state: State, why: str) -> None:
        news = moved_news(self._gate.key, self._gate.rule, self._state, state, self._now, why)
        if news is not None:
            self._news.append(news)
        if state.phase not in (Phase.CLOSED, Phase.FORCED_CLOSED):
            self._notice(self._gate.key, self._now)
        self._state = state


def moved_news(key: str, rule: str, before: State, after: State, now: int, why: str) -> News | None:
    """Return what is told of a move; None when there was none."""
    return None if before.phase is after.phase else News(key, rule, _NEWS[after.phase], now, why=why)


def open_message(rule: str, state: State) -> str:
    """Return what is told about a breaker that refuses jobs."""
    name = rule.removeprefix(PREFIX)
    if state.phase is Phase.FORCED_OPEN:
        return f"breaker {name!r} was opened by hand and lets no job through; lineshaft breakers reset {name}"
    since = to_datetime(state.since).isoformat(timespec="seconds").replace("+00:00", "Z")
    phase = "being tried" if state.phase is Phase.HALF_OPEN else "open"
    return f"breaker {name!r} is {phase} since {since} and lets no job through; last failure: {state.error}"


def _why(end: End, failures: int, before: State) -> str:
    if before.phase is Phase.HALF_OPEN:
        return f"job {end.job_id} succeeded" if end.said == "succeeded" else f"job {end.job_id} failed: {end.error}"
    return f"{failures} failures, the last one: {end.error}"
