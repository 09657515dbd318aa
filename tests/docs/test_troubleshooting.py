"""docs/troubleshooting.md says what the doctor says: a section for each ailment, with the words that are printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lineshaft.doctor import ailments

if TYPE_CHECKING:
    from lineshaft.doctor import Ailment, Remedy

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS = ["## " + part for part in PAGE.split("\n## ")[1:]]
AILMENTS = {one.name: one for one in ailments()}
REMEDIES = {f"{name}: {kind}": (one, remedy) for name, one in AILMENTS.items() for kind, remedy in one.remedies.items()}


def section_of(ailment: Ailment) -> str:
    """Return the part of the page that tells of an ailment, on one line."""
    [found] = [" ".join(part.split()) for part in SECTIONS if f"\n\nIn JSON: `{ailment.name}`.\n" in part]
    return found


@pytest.mark.parametrize("ailment, remedy", REMEDIES.values(), ids=REMEDIES)
def test_the_doctors_words_stand_in_the_page(ailment: Ailment, remedy: Remedy) -> None:
    """Cause, command and advice of each kind of finding are found by whoever searches its section for them."""
    section = section_of(ailment)
    assert remedy.cause in section
    assert f"`{remedy.command}`" in section.replace(r"\|", "|")
    assert remedy.advice in section


@pytest.mark.parametrize("ailment", AILMENTS.values(), ids=AILMENTS)
def test_every_ailment_has_a_section_with_its_symptom(ailment: Ailment) -> None:
    """The page tells how each ailment looks to whoever has it."""
    assert "**Symptom.**" in section_of(ailment)


def test_sections_stand_in_the_order_in_which_ailments_are_told() -> None:
    """The page and the doctor begin with the gravest, and the page names no ailment that the doctor does not know."""
    named = [part.partition("In JSON: `")[2].partition("`")[0] for part in SECTIONS]
    assert [name for name in named if name] == list(AILMENTS)
