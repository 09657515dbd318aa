"""What a circuit breaker is and how it moves: decided here, stored and told elsewhere.

`MOVES` is the only list of its moves; the diagram in the docs is drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from lineshaft.options import BreakerTerms

_LONGEST_ERROR: Final = 500
# A probe that has died is not told of: its name stays until the breaker moves, and so many may stay.
_DEAD_PROBES: Final = 16


class Phase(StrEnum):
    """What a breaker does with the jobs that come to it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"


class Move(NamedTuple):
    """A way from some phases to another one."""

    sources: tuple[Phase, ...]
    target: Phase
    when: str


ByHand = Literal["open", "close", "reset"]
MoveName = Literal["trip", "rest", "recover", "relapse", "open", "close", "reset"]
MOVES: Final[Mapping[MoveName, Move]] = {
    "trip": Move((Phase.CLOSED,), Phase.OPEN, "`failures` failures within `within`"),
    "rest": Move((Phase.OPEN,), Phase.HALF_OPEN, "`reset` has passed"),
    "recover": Move((Phase.HALF_OPEN,), Phase.CLOSED, "a probe succeeds"),
    "relapse": Move((Phase.HALF_OPEN,), Phase.OPEN, "a probe fails"),
    "open": Move(tuple(one for one in Phase if one is not Phase.FORCED_OPEN), Phase.FORCED_OPEN, "opened by hand"),
    "close": Move(tuple(one for one in Phase if one is not Phase.FORCED_CLOSED), Phase.FORCED_CLOSED, "closed by hand"),
    "reset": Move(tuple(one for one in Phase if one is not Phase.CLOSED), Phase.CLOSED, "reset by hand"),
}


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of a breaker; times in microseconds."""

    phase: Phase = Phase.CLOSED
    since: int = 0
    """When it came into its phase."""
    failures: tuple[int, ...] = ()
    """When attempts failed that still count, while it is closed."""
    error: str | None = None
    """The last failure."""
    probes: tuple[str, ...] = ()
    """The jobs that were let through since it is half-open and have not ended, as far as that is known."""
    terms: str | None = None
    """What the last job said of it that brought it along, where no worker's code declares it."""


class End(NamedTuple):
    """What an attempt's end tells a breaker."""

    job_id: str
    said: Literal["succeeded", "failed", "gone"]
    error: str | None = None


NEW: Final = State()
UNSAID: Final = "{}"
"""The terms of a breaker of which only the name is said."""
_decode: Final = msgspec.json.Decoder(State).decode
_encode: Final = msgspec.json.Encoder().encode


def load_state(text: str | None) -> State:
    """Return what a gate remembers of its breaker."""
    return NEW if text is None else _decode(text)


def dump_state(state: State) -> str:
    """Return the state as the gate keeps it."""
    return _encode(state).decode()


def terms_of(declared: str | None, state: State) -> BreakerTerms:
    """Return what rules a breaker: what code declares, else what jobs have brought along, else the defaults."""
    return _terms(state.terms or UNSAID if declared in (None, UNSAID) else declared)


@lru_cache(maxsize=1_000)
def _terms(text: str) -> BreakerTerms:
    return msgspec.json.decode(text, type=BreakerTerms)


def brought(state: State, terms: str, declared: str | None) -> State:
    """Note what a job says of a breaker of which no worker's code says more than the name."""
    is_declared = declared not in (None, UNSAID)
    return state if is_declared or terms in (UNSAID, state.terms) else msgspec.structs.replace(state, terms=terms)


def moved(state: State, name: MoveName, now: int) -> State:
    """Return the state after a move of `MOVES`, with nothing of the phase before."""
    move = MOVES[name]
    assert state.phase in move.sources, (name, state.phase)
    return State(move.target, now, (), state.error, (), state.terms)


def by_hand(state: State, name: ByHand, now: int) -> State:
    """Return the state after a person's word; a reset also forgets the failures of one that is closed."""
    if state.phase in MOVES[name].sources:
        return moved(state, name, now)
    return msgspec.structs.replace(state, failures=())


def rested(state: State, terms: BreakerTerms, now: int) -> State:
    """Return the state as it is now: half-open, if it has been open for long enough, since the end of that time.

    One that came into its phase in the future did so before the clock was set back, and is in it from now on.
    """
    if state.since > now:
        state = msgspec.structs.replace(state, since=now)
    if state.phase is Phase.OPEN and now >= state.since + terms.reset:
        return moved(state, "rest", state.since + terms.reset)
    return state


def ended(state: State, end: End, terms: BreakerTerms, now: int) -> State:
    """Return the state after an attempt's end.

    While it is open, or not closed by itself, an end says nothing; while it is half-open only those of probes do.
    """
    if end.said == "failed":
        state = msgspec.structs.replace(state, error=(end.error or "")[:_LONGEST_ERROR])
    if state.phase is Phase.CLOSED and end.said == "failed":
        return _failed(state, terms, now)
    if state.phase is Phase.HALF_OPEN and end.job_id in state.probes:
        return _probed(state, end, now)
    return state


def let_through(state: State, job_id: str, terms: BreakerTerms) -> State:
    """Note that a job is let through; while it is half-open that is a probe."""
    if state.phase is not Phase.HALF_OPEN or job_id in state.probes:
        return state
    kept = terms.half_open + _DEAD_PROBES
    return msgspec.structs.replace(state, probes=(*state.probes, job_id)[-kept:])


def may_pass(state: State, job_id: str, terms: BreakerTerms, held: int) -> bool:
    """Tell whether a job may start; `held` counts the other jobs of its gate that workers hold.

    A probe whose worker died is not held any more, so it leaves its place: at most as many run as are held.
    """
    if state.phase is Phase.HALF_OPEN:
        return _running(state, held, job_id) < terms.half_open
    return state.phase in (Phase.CLOSED, Phase.FORCED_CLOSED)


def places(state: State, terms: BreakerTerms, held: int) -> int:
    """Return how many more probes may start while it is half-open."""
    return max(0, terms.half_open - _running(state, held)) if state.phase is Phase.HALF_OPEN else 0


def _running(state: State, held: int, besides: str | None = None) -> int:
    return min(sum(one != besides for one in state.probes), held)


def _failed(state: State, terms: BreakerTerms, now: int) -> State:
    # Clocks are set: a failure in the future was noted before that, and counts from now on.
    times = (*(min(at, now) for at in state.failures if at > now - terms.within), now)
    if len(times) >= terms.failures:
        return moved(state, "trip", now)
    return msgspec.structs.replace(state, failures=times)


def _probed(state: State, end: End, now: int) -> State:
    match end.said:
        case "succeeded":
            return moved(state, "recover", now)
        case "failed":
            return moved(state, "relapse", now)
        case _:
            left = tuple(one for one in state.probes if one != end.job_id)
            return msgspec.structs.replace(state, probes=left)
