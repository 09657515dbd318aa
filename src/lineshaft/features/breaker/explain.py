"""Which circuit breaker holds a job, since when, and when it lets the next one through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lineshaft.clock import to_datetime
from lineshaft.explaining import Hold
from lineshaft.features.breaker.kind import PREFIX, BreakerKind
from lineshaft.features.breaker.moves import Phase, State, load_state, rested, terms_of
from lineshaft.features.limits.lines import stand_of
from lineshaft.features.limits.wording import before, span
from lineshaft.gates import Gate, Pass
from lineshaft.store.gates import read_gates
from lineshaft.transitions import Stage

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.job import JobRow
    from lineshaft.options import BreakerTerms

PassesOf = Callable[["JobRow", str | None], Sequence[Pass]]


def explain(tx: Tx, job: JobRow, now: int, kind: BreakerKind, passes_of: PassesOf) -> Iterator[Hold]:
    """Yield the breaker in whose line a job stands, or one that would refuse it; `passes_of` knows which it has."""
    if job.worker is not None or job.stage not in (Stage.READY, Stage.PARKED):
        return
    gate, options, ahead = stand_of(tx, job.id)
    if job.stage == Stage.PARKED:
        keys = [gate] if gate is not None and gate.startswith(PREFIX) else []
        yield from (_hold(one, now, ahead) for one in read_gates(tx, keys).values())
        return
    passes = {one.key: one for one in passes_of(job, options)}
    for key, one in read_gates(tx, list(passes)).items():
        if not kind.judge(one, passes[key].terms, now).allows(passes[key], job.id):
            yield _hold(one, now, None)
            return


def _hold(gate: Gate, now: int, ahead: int | None) -> Hold:
    state = load_state(gate.state)
    terms = terms_of(gate.declared, state)
    state = rested(state, terms, now)
    name = gate.rule.removeprefix(PREFIX)
    facts = {
        "breaker": name, "phase": state.phase.value, "since": to_datetime(state.since), "error": state.error,
        "ahead": ahead,
    }  # fmt: skip
    until = state.since + terms.reset if state.phase is Phase.OPEN else None
    return Hold(
        "breaker",
        f"Breaker {name!r} {_said(state, terms, now)}{before(ahead)}",
        None if until is None else to_datetime(until),
        f"lineshaft breakers reset {name}",
        facts,
    )


def _said(state: State, terms: BreakerTerms, now: int) -> str:
    since = span(now - state.since)
    match state.phase:
        case Phase.OPEN:
            return f"is open for {since}, the last failure was {state.error}"
        case Phase.HALF_OPEN:
            return f"tries {terms.half_open:,} at a time for {since}, the last failure was {state.error}"
        case Phase.FORCED_OPEN:
            return f"was opened by hand {since} ago"
        case _:
            return "is closed, and lets its line go"
