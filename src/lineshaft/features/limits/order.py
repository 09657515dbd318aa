"""Strict orders: one job at a time, and only the first unfinished one of its sequence."""

from __future__ import annotations

from lineshaft.features.limits.concurrency import NET
from lineshaft.gates import Gate, GateKind, Judge, Pass


class OrderJudge(Judge):
    """Lets the first one pass once nobody is inside: one that was enqueued earlier may have been stored later."""

    def __init__(self, gate: Gate, now: int) -> None:
        self._gate, self._now = gate, now
        self._is_taken = gate.held > 0

    def allows(self, one: Pass, job_id: str) -> bool:  # noqa: ARG002 - every job takes the one place
        """Tell whether it is the first; one that the sequence does not know yet is, if it is older than that."""
        first = self._gate.first
        return not self._is_taken and (first is None or job_id <= first)

    def let(self, one: Pass, job_id: str) -> None:  # noqa: ARG002
        """Take the place."""
        self._is_taken = True

    def to_release(self) -> int:
        """Return 1 when the first one may come; whoever releases takes it, not the head of the line."""
        return 0 if self._is_taken or self._gate.ready else 1

    def look_at(self) -> int:
        """Return when to look whether the first one went unseen."""
        return self._now + NET

    @property
    def tat(self) -> int:
        """What it was."""
        return self._gate.tat

    @property
    def state(self) -> str | None:
        """What it was."""
        return self._gate.state


class OrderKind(GateKind):
    """`Order(…)`."""

    name = "order"

    def judge(self, gate: Gate, terms: str, now: int) -> OrderJudge:  # noqa: ARG002 - an order has nothing to say
        """Return who decides."""
        return OrderJudge(gate, now)
