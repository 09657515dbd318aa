"""Which limit holds a waiting job, who is before it, and when it is free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lineshaft.clock import SECOND, to_datetime, to_text
from lineshaft.explaining import Hold
from lineshaft.features.limits.concurrency import limit_of
from lineshaft.features.limits.lines import Holder, holders, stand_of
from lineshaft.features.limits.rate import RateJudge, RateKind, rate_of
from lineshaft.features.limits.ruling import said_of
from lineshaft.features.limits.wording import before, span
from lineshaft.gates import Gate, GateKind, Kind, Pass
from lineshaft.options import AdaptiveTerms, ConcurrencyTerms, OrderTerms, RateTerms
from lineshaft.store.explain import stored_job
from lineshaft.store.gates import read_gates
from lineshaft.transitions import Stage, state_of

if TYPE_CHECKING:
    from lineshaft.engines.base import Tx
    from lineshaft.job import JobRow

_MOST_HOLDERS: Final = 10
_NAMED: Final[tuple[Kind, ...]] = ("order", "rate", "concurrency", "adaptive")

PassesOf = Callable[["JobRow", str | None], Sequence[Pass]]


class Held(NamedTuple):
    """A gate that holds a job back."""

    gate: Gate
    one: Pass
    """What the job asks of it; of a limit that only the store knows, what that says."""
    ahead: int | None
    """How many stand before the job in its line; None: it stands in none yet."""


def explain(tx: Tx, job: JobRow, now: int, kinds: Sequence[GateKind], passes_of: PassesOf) -> Iterator[Hold]:
    """Yield the limit that holds a waiting job: the one in whose line it stands, or one that would refuse it."""
    held = find_held(tx, job, now, kinds, passes_of)
    if held is None:
        return
    match held.one.kind:
        case "adaptive":
            return  # told by its own feature
        case "order":
            yield _order(tx, job.id, held, now)
        case "rate":
            yield _rate(held, now)
        case _:
            yield _limit(tx, held, now)


def find_held(tx: Tx, job: JobRow, now: int, kinds: Sequence[GateKind], passes_of: PassesOf) -> Held | None:
    """Return the gate in whose line a job stands, or the first of these kinds that would refuse it."""
    if job.worker is not None or job.stage not in (Stage.READY, Stage.PARKED):
        return None
    gate, options, ahead = stand_of(tx, job.id)
    passes = {one.key: one for one in passes_of(job, options)}
    if job.stage == Stage.PARKED:
        return _parked(read_gates(tx, [gate or ""]).get(gate or ""), passes, ahead)
    return _refused(read_gates(tx, list(passes)), passes, job.id, now, kinds)


def _parked(gate: Gate | None, passes: Mapping[str, Pass], ahead: int) -> Held | None:
    if gate is None:
        return None
    one = passes.get(gate.key)
    if one is None and gate.kind in _NAMED:
        one = Pass(gate.key, gate.rule, gate.kind, gate.declared or "{}")
    return None if one is None else Held(gate, one, ahead)


def _refused(
    gates: Mapping[str, Gate], passes: Mapping[str, Pass], job_id: str, now: int, kinds: Sequence[GateKind]
) -> Held | None:
    judging = {kind.name: kind for kind in kinds}
    for key, gate in gates.items():
        one = passes[key]
        if not judging[one.kind].judge(gate, one.terms, now).allows(one, job_id):
            return Held(gate, one, None)
    return None


def _limit(tx: Tx, held: Held, now: int) -> Hold:
    said = said_of(held.gate.declared, held.one.terms, ConcurrencyTerms)
    return taken(tx, held, said, limit_of(said, held.gate.overrides), now)


def taken(tx: Tx, held: Held, said: ConcurrencyTerms | AdaptiveTerms, limit: int, now: int) -> Hold:
    """Return how many places of a limit are taken, and by whom."""
    gate, inside = held.gate, holders(tx, held.gate.key, _MOST_HOLDERS)
    what = _named(gate, said.key, per_tenant=said.per_tenant)
    text = f"{gate.held:,} of {limit:,} places of limit {what} are taken"
    if inside:
        first = inside[0]
        text += f", longest by {first.id} ({first.name}, worker {first.worker}) for {span(now - first.started_at)}"
    facts = {**_facts(held), "limit": limit, "held": gate.held, "jobs": [_shown(one, now) for one in inside]}
    return Hold("limit", text + before(held.ahead), facts=facts)


def _rate(held: Held, now: int) -> Hold:
    gate = held.gate
    said = rate_of(said_of(gate.declared, held.one.terms, RateTerms), gate.overrides)
    judge = RateKind().judge(gate, held.one.terms, now)
    until = max(now, _free_at(judge, held, said))
    what = _named(gate, said.key, per_tenant=said.per_tenant)
    text = f"Rate {what} lets {said.count:,} in {to_text(said.per)} start"
    facts = {**_facts(held), "count": said.count, "seconds": said.per / SECOND, "burst": said.most}
    return Hold("rate", text + before(held.ahead), to_datetime(until), facts=facts)


def _free_at(judge: RateJudge, held: Held, said: RateTerms) -> int:
    """Return when its tokens are there, if those before it cost what it costs, or what each job does."""
    each = said.cost or held.one.cost
    return judge.tat - (max(0, said.most - held.one.cost) - (held.ahead or 0) * each) * said.per // said.count


def _order(tx: Tx, job_id: str, held: Held, now: int) -> Hold:
    gate = held.gate
    said = said_of(gate.declared, held.one.terms, OrderTerms)
    what = _named(gate, said.key, per_tenant=said.per_tenant)
    first = None if gate.first in (None, job_id) else stored_job(tx, gate.first)
    if first is None:
        inside = holders(tx, gate.key, 1)
        who = f"{inside[0].id} of it runs" if inside else "one that was enqueued before it is about to run"
        return Hold("order", f"Order {what}: {who}" + before(held.ahead), facts=_facts(held))
    row = first.row
    state = state_of(row.stage, is_held=row.worker is not None, is_cancel_requested=bool(row.cancel_requested))
    waits = row.worker is None and row.run_at > now
    when = f" until {to_datetime(row.run_at):%Y-%m-%dT%H:%M:%SZ}" if waits else ""
    text = f"Job {row.id} of the same order {what} goes first, and is {state.value}{when}"
    facts = {**_facts(held), "first": row.id, "state": state.value}
    until = to_datetime(row.run_at) if waits else None
    return Hold("order", text + before(held.ahead), until, f"lineshaft jobs why {row.id}", facts)


def _named(gate: Gate, key: Sequence[str], *, per_tenant: bool) -> str:
    _, _, value = gate.key.partition("=")
    names = ", ".join((["tenant"] if per_tenant else []) + list(key))
    return f"{gate.rule!r} for {names}={value}" if names and value else repr(gate.rule)


def _facts(held: Held) -> dict[str, Any]:
    return {"rule": held.gate.rule, "key": held.gate.key, "ahead": held.ahead}


def _shown(one: Holder, now: int) -> dict[str, Any]:
    return {"id": one.id, "task": one.name, "worker": one.worker, "seconds": (now - one.started_at) / SECOND}
