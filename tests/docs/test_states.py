"""The page about states says what the code does."""

from __future__ import annotations

from pathlib import Path

from lineshaft.features.breaker.moves import MOVES as BREAKER_MOVES
from lineshaft.transitions import MOVES, State
from tools.breaker_states import BY_ITSELF, diagram
from tools.states import UNDRAWN, page, reachable

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_page_is_what_the_generator_prints() -> None:
    """docs/states.md is up to date with the table of moves; `make states` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_diagram_draws_every_move() -> None:
    """Each move from a state that can be reached is an arrow of the diagram, save those that the page names."""
    arrows = {line.strip() for line in page().splitlines() if "-->" in line}
    for move, (sources, targets, _) in MOVES.items():
        for source in set(sources) & {*reachable(), None}:
            for target in targets:
                drawn = [one for one in arrows if one.startswith(f"{source or '[*]'} --> {target or '[*]'}:")]
                is_drawn = any(move in one.partition(": ")[2].split(", ") for one in drawn)
                assert is_drawn is (move not in UNDRAWN)


def test_every_state_has_its_line() -> None:
    """No state is missing from the page's table."""
    lines = page().splitlines()
    assert all(any(line.startswith(f"| `{state}` |") for line in lines) for state in State)


def test_every_move_of_a_breaker_is_drawn() -> None:
    """Each move of a circuit breaker is an arrow of its diagram, from the state itself or from all by themselves."""
    arrows = {line.strip() for line in diagram() if "-->" in line}
    for name, (sources, target, _) in BREAKER_MOVES.items():
        for source in sources:
            froms = [source, "by_itself"] if source in BY_ITSELF else [source]
            assert any(f"{one} --> {target}: {name}" in arrows for one in froms)
    assert len(arrows) == 13
