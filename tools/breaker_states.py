"""The moves of a circuit breaker as a diagram and as a table, from `lineshaft.features.breaker.moves`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lineshaft.features.breaker.moves import MOVES, Phase

MEANINGS: Final = {
    Phase.CLOSED: "jobs run, and failures are counted",
    Phase.OPEN: "jobs wait, or fail: as the breaker says",
    Phase.HALF_OPEN: "a few jobs at a time are let through, to see",
    Phase.FORCED_OPEN: "as open, and time changes nothing",
    Phase.FORCED_CLOSED: "jobs run, and failures change nothing",
}
BY_ITSELF: Final = (Phase.CLOSED, Phase.OPEN, Phase.HALF_OPEN)
"""The states between which a breaker moves by itself; a move from all of them is one arrow."""


def section() -> list[str]:
    """Return the lines of the section about circuit breakers."""
    return [*_states(), "", *diagram(), "", *_moves()]


def diagram() -> list[str]:
    """Return the moves as a diagram in Mermaid's language."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> closed", '    state "by itself" as by_itself {']
    arrows = list(_arrows())
    lines += [f"        {one}" for one in arrows if not _is_by_hand(one)]
    return [*lines, "    }", *(f"    {one}" for one in arrows if _is_by_hand(one)), "```"]


def _arrows() -> Iterator[str]:
    for name, (sources, target, _) in MOVES.items():
        together = set(BY_ITSELF) <= set(sources)
        for source in sources:
            if not together or source not in BY_ITSELF:
                yield f"{source} --> {target}: {name}"
        if together:
            yield f"by_itself --> {target}: {name}"


def _is_by_hand(arrow: str) -> bool:
    return arrow.rpartition(": ")[2] in ("open", "close", "reset")


def _states() -> list[str]:
    lines = ["## Circuit breakers", "", "| state | meaning |", "| --- | --- |"]
    return [*lines, *(f"| `{phase}` | {MEANINGS[phase]} |" for phase in Phase)]


def _moves() -> list[str]:
    lines = ["| move | from | to | when |", "| --- | --- | --- | --- |"]
    for name, (sources, target, when) in MOVES.items():
        lines.append(f"| `{name}` | {', '.join(f'`{one}`' for one in sources)} | `{target}` | {when} |")
    return lines


if __name__ == "__main__":
    print("\n".join(section()))
