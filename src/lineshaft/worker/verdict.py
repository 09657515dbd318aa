"""Decides which candidates pass their gates, which are parked in front of which, and which lines move.

Nothing here touches the store: what was read under the gates' locks comes in, what is to be written goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from lineshaft.clock import SECOND
from lineshaft.gates import KINDS, Gate, GateKind, Judge, Kind, News, Pass, Sample
from lineshaft.store.gates import Move

PLACES: Final[frozenset[Kind]] = frozenset({"breaker", "order", "concurrency", "adaptive"})
"""The kinds of gates inside which a job is until its attempt ends; a token is spent when it starts."""

_TRIED_EVERY: Final = 2 * SECOND
_NOBODY: Final[Mapping[str, int]] = MappingProxyType({})
_ORDER: Final = {kind: number for number, kind in enumerate(KINDS)}


class Candidate(NamedTuple):
    """A job that asks for its gates."""

    id: str
    passes: Sequence[Pass]
    """In the order in which it is to pass them."""
    gate: str | None = None
    """The gate that has released it, and counts it as its own."""


class Seat(NamedTuple):
    """A gate as it was read, and who decides for it, who is not shown those that it has released: that is done here.

    They have a place each, as a rule. But one may stand in a queue that nobody serves or that is paused: so who leaves
    makes room for one all the same, and a look at its time lets one more out. One too many is only refused again.
    """

    gate: Gate
    kind: Kind
    judge: Judge
    leaving: int = 0
    """How many jobs have left it for good in this transaction."""


class Verdict(NamedTuple):
    """What a transaction does about its candidates and its gates."""

    passed: list[str]
    parked: dict[str, str]
    """By job, the gate in whose line it stands from now on."""
    failed: dict[str, str]
    """By job that is not to wait, what it fails with."""
    slots: list[tuple[str, str]]
    """(job, gate): places taken by jobs which the gates do not know from their rows."""
    releases: dict[str, int]
    """By gate, how many heads leave its line."""
    released: list[str]
    """The jobs that are next in their strict orders, if they stand in a line."""
    moves: list[Move]
    news: list[News]
    stirred: dict[str, Gate]
    """Those of which nothing changes but, maybe, that their line ends: they are written unless it surely goes on."""
    wakes: list[int]
    """When the gates that are written and have a line have to be looked at."""

    @property
    def wake_at(self) -> int | None:
        """When the first of them has to be looked at."""
        return min(self.wakes, default=None)


def ordered(passes: Iterable[Pass]) -> tuple[Pass, ...]:
    """Return a job's gates in the order in which it passes them."""
    found = tuple(passes)
    return found if len(found) < 2 else tuple(sorted(found, key=lambda one: _ORDER[one.kind]))  # noqa: PLR2004 - to sort


def seat(
    concerns: Iterable[Pass | Sample],
    gates: Mapping[str, Gate],
    kinds: Mapping[Kind, GateKind],
    now: int,
    leaving: Mapping[str, int] = _NOBODY,
) -> dict[str, Seat]:
    """Return a judge for every gate that these passes and samples name; `Gate.held` leaves the candidates out.

    `leaving` says of gates how many jobs have left them.
    """
    seats: dict[str, Seat] = {}
    for one in concerns:
        key, kind = one.key, one.kind
        if key not in seats:
            gate = gates[key]
            judge = kinds[kind].judge(gate._replace(ready=0) if gate.ready else gate, one.terms, now)
            seats[key] = Seat(gate, kind, judge, leaving.get(key, 0))
    return seats


def seat_alone(gate: Gate, kinds: Mapping[Kind, GateKind], now: int, leaving: int = 1) -> Seat:
    """Return a judge for a gate of which no job is at hand that says what its limit is."""
    # A breaker that only jobs bring along is known by its name, and remembers what they say of it.
    name: Kind | None = "breaker" if gate.key.startswith("breaker:") else gate.kind
    kind = None if name is None else kinds.get(name)
    if name is None or kind is None:
        return Seat(gate, "concurrency", Stranger(gate, now, leaving), leaving)
    return Seat(gate, name, kind.judge(gate._replace(ready=0), gate.declared or "{}", now), leaving)


class Stranger(Judge):
    """Stands for who knows the limit: lets one out of the line, whose claim will tell what it is."""

    def __init__(self, gate: Gate, now: int, leaving: int) -> None:
        self._gate, self._now, self._leaving = gate, now, leaving

    def allows(self, one: Pass, job_id: str) -> bool:  # noqa: ARG002 - the shape of a judge
        """Refuse: it does not know the limit."""
        return False

    def let(self, one: Pass, job_id: str) -> None:
        """Let nobody pass."""

    def to_release(self) -> int:
        """Return one, or one for each that has left."""
        return max(1, self._leaving)

    def look_at(self) -> int:
        """Return the time of the next try."""
        return self._now + _TRIED_EVERY

    @property
    def tat(self) -> int:
        """What is there."""
        return self._gate.tat

    @property
    def state(self) -> str | None:
        """What is there."""
        return self._gate.state


def decide(candidates: Iterable[Candidate], samples: Iterable[Sample], seats: Mapping[str, Seat], now: int) -> Verdict:
    """Decide about candidates in the order in which they were claimed; every gate they name has its seat."""
    verdict = Verdict([], {}, {}, [], {}, [], [], [], {}, [])
    for sample in samples:
        seats[sample.key].judge.hear(sample)
    for one in candidates:
        _judge(one, seats, verdict)
    begun = set(verdict.parked.values())
    for key, one_seat in seats.items():
        gate, judge = one_seat.gate, one_seat.judge
        has_line = gate.wake_at is not None or key in begun
        is_moving = has_line and _release(one_seat, verdict)
        tat, state = judge.tat, judge.state
        has_changed = state != gate.state or tat != gate.tat
        wake_at = _look_at(one_seat, now) if has_line or has_changed else None
        if has_changed or (has_line and wake_at != gate.wake_at):
            verdict.moves.append(Move(key, tat, state, wake_at))
            if has_line and wake_at is not None:
                verdict.wakes.append(wake_at)
        elif is_moving:
            verdict.stirred[key] = gate
        if news := judge.news():
            verdict.news.extend(news)
    return verdict


def _judge(one: Candidate, seats: Mapping[str, Seat], verdict: Verdict) -> None:
    """Let a job pass if all of its gates allow it; nothing is spent at the others if one refuses."""
    for gate in one.passes:
        judge = seats[gate.key].judge
        if not (_is_open_to(one, seats[gate.key]) and judge.allows(gate, one.id)):
            if judge.fails_refused:
                verdict.failed[one.id] = judge.refusal
            else:
                verdict.parked[one.id] = gate.key
            return
    for gate in one.passes:
        seats[gate.key].judge.let(gate, one.id)
        if gate.kind in PLACES and gate.key != one.gate:
            verdict.slots.append((one.id, gate.key))
    verdict.passed.append(one.id)


def _is_open_to(one: Candidate, gate: Seat) -> bool:
    """Tell whether a job may ask at all: one that comes fresh is behind those that wait.

    Else a stream of new jobs would take each place that becomes free. One that some gate has released goes on: with
    two lines, each would send it into the other. In a strict order the first one goes before its line: it is the one
    that was tried again.
    """
    if one.gate is not None or gate.judge.fails_refused or gate.kind == "order":
        return True
    return gate.gate.wake_at is None


def _release(one: Seat, verdict: Verdict) -> bool:
    """Let those leave the line who may, and tell whether there are any."""
    room = one.judge.to_release()
    count = max(room - one.gate.ready, min(room, one.leaving))
    if count <= 0:
        return False
    if one.kind == "order" and one.gate.first is not None:
        if one.gate.first not in verdict.parked:
            verdict.released.append(one.gate.first)
    else:
        verdict.releases[one.gate.key] = count
    return True


def _look_at(one: Seat, now: int) -> int:
    """Return when to look at a gate's line again; what is planned may stay if it is only a little too early."""
    planned, wanted = one.gate.wake_at, max(one.judge.look_at(), now + 1)
    is_near = planned is not None and now + (wanted - now) // 2 <= planned <= wanted
    return planned if planned is not None and is_near else wanted
