"""Print docs/states.md: the states of a job, its moves as a diagram and as a table, from `lineshaft.transitions`.

The states of circuit breakers follow, from `tools/breaker_states.py`.

`make states` writes the page; a test compares it with what this prints.
"""

from __future__ import annotations

from typing import Final

from lineshaft.transitions import FINAL, MOVES, Reason, State
from tools.breaker_states import section

MEANINGS: Final = {
    State.BLOCKED: "waits for other jobs",
    State.SCHEDULED: "waits for its time",
    State.QUEUED: "may run now",
    State.RUNNING: "a worker holds it",
    State.CANCELLING: "runs, and was asked to stop",
    State.RETRYING: "failed, and waits for its next attempt",
    State.WAITING: "sleeps or waits for a signal, and holds no slot",
    State.COMPLETED: "the function returned and the result is stored",
    State.DEAD: "will not be tried again unless a person asks; `job.reason` says why",
    State.CANCELLED: "was cancelled before it could complete",
    State.SKIPPED: "was a branch that was not taken",
    State.EXPIRED: "its deadline passed before it started",
}
REASONS: Final = {
    Reason.ERROR: "its attempts are used up, or the next one would come after its deadline",
    Reason.REJECTED: "trying again cannot help: an error that the policy never retries, `GiveUp`, arguments or a result"
    " that do not fit, a task still unknown after an hour",
    Reason.TIMEOUT: "the same, and its last attempt ran longer than its timeout",
    Reason.LOST: "the process that ran it alone died under it as often as it may be tried",
    Reason.DEPENDENCY: "a job that it needed did not complete (reserved: nothing gives this reason yet)",
}
HEAD: Final = """\
# States of a job

<!-- Written by tools/states.py: change src/lineshaft/transitions.py, then run `make states`. -->

A job is in one state at a time. The moves between states are listed once, in `src/lineshaft/transitions.py`. Every
write that moves a job is conditional: on the worker and the claim number of a running job, on nobody holding a waiting
one. A call on a job whose state does not allow it raises `InvalidTransition`.
"""
UNDRAWN: Final = frozenset({"delete"})
"""Moves that would lead from nearly every state and hide the others; the table has them."""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_states(), "", *_diagram(), "", *_moves(), "", *_reasons(), "", *section(), ""])


def reachable() -> set[State]:
    """Return the states that some move leads to."""
    return {state for _, targets, _ in MOVES.values() for state in targets if state is not None}


def _states() -> list[str]:
    lines = ["| state | final | meaning |", "| --- | --- | --- |"]
    for state in State:
        later = "" if state in reachable() else " (reserved: no move leads there yet)"
        lines.append(f"| `{state}` | {'yes' if state in FINAL else ''} | {MEANINGS[state]}{later} |")
    return lines


def _diagram() -> list[str]:
    lines = ["## Moves", "", "```mermaid", "stateDiagram-v2"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for move, (sources, targets, _) in MOVES.items():
        for source in sources:
            for target in targets:
                if move not in UNDRAWN and (source is None or source in reachable()):
                    arrows.setdefault((source or "[*]", target or "[*]"), []).append(move)
    lines += [f"    {source} --> {target}: {', '.join(moves)}" for (source, target), moves in arrows.items()]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL & reachable()]
    return [*lines, "```"]


def _moves() -> list[str]:
    lines = [f"The diagram leaves out `{'`, `'.join(UNDRAWN)}`.", ""]
    lines += ["| move | from | to | when |", "| --- | --- | --- | --- |"]
    for move, (sources, targets, reason) in MOVES.items():
        lines.append(f"| `{move}` | {_names(sources)} | {_names(targets)} | {reason} |")
    return lines


def _reasons() -> list[str]:
    lines = ["## Why a job is dead", "", "| `job.reason` | meaning |", "| --- | --- |"]
    return [*lines, *(f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items())]


def _names(states: tuple[State | None, ...]) -> str:
    return ", ".join(f"`{state}`" if state else "no job" for state in states)


if __name__ == "__main__":
    print(page(), end="")
