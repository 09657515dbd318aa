"""docs/troubleshooting.md says what the doctor says."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineshaft.doctor import held_open

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SAID = [held_open.CAUSE_ROWS, held_open.CAUSE_LOG, *held_open.ADVICE.values()]


@pytest.mark.parametrize("text", SAID)
def test_the_doctors_words_stand_in_the_page(text: str) -> None:
    """Every cause and every piece of advice that the doctor prints is found by whoever searches the page for it."""
    assert text in PAGE
