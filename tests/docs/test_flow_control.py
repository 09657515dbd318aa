"""docs/flow-control.md shows what is drawn from real runs, and the breaker as the code has it."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.pictures.__main__ import DIAGRAM, IMAGES, SCENES
from lineshaft.features.breaker.moves import MOVES, Phase

PAGE = (Path(__file__).parents[2] / "docs" / "flow-control.md").read_text(encoding="utf-8")
IMAGE = re.compile(r"^!\[[^\]]{20,}\]\(images/flow-([\w-]+)\.svg\)$", re.MULTILINE)
BY_ITSELF = ("trip", "rest", "recover", "relapse")


def test_every_picture_is_shown_once_with_words_for_it() -> None:
    """Each scene has its picture in the page, with a text for those who do not see it, and its file."""
    assert sorted(IMAGE.findall(PAGE)) == sorted([*SCENES, DIAGRAM])
    assert {path.name for path in IMAGES.glob("flow-*.svg")} == {f"flow-{name}.svg" for name in [*SCENES, DIAGRAM]}


def test_every_scene_is_explained() -> None:
    """Under each picture of a scene stands, in italics, what one sees."""
    for name in SCENES:
        below = PAGE.partition(f"(images/flow-{name}.svg)")[2].lstrip()
        assert re.match(r"\*[A-Z0-9][^*]{60,}\*\n", below), name


def test_the_diagram_says_what_a_breaker_does() -> None:
    """Each phase and each move that nobody makes by hand stands in the drawn diagram, in the code's words."""
    drawn = (IMAGES / f"flow-{DIAGRAM}.svg").read_text(encoding="utf-8")
    for phase in (Phase.CLOSED, Phase.OPEN, Phase.HALF_OPEN):
        assert f">{phase.value.replace('_', '-')}</text>" in drawn
    for move in BY_ITSELF:
        assert f">{MOVES[move].when}</text>" in drawn
