"""The page about jobs names every option, filter and event that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineshaft.app.jobs import _FILTERS
from lineshaft.events import KINDS
from lineshaft.options import Options

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", sorted(set(Options.__dataclass_fields__) - {"deadline_in"}))
def test_every_option_has_its_row(option: str) -> None:
    """Each option of a job stands in the first column of the table of options."""
    first_columns = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert any(f"`{option}`" in cell for cell in first_columns)


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_is_named(kind: str) -> None:
    """Each kind of event that `app.on` takes is listed behind "The kinds are"."""
    assert f"`{kind}`" in PAGE.partition("The kinds are")[2].partition("\n\n")[0]


@pytest.mark.parametrize("name", sorted(_FILTERS))
def test_every_filter_is_named(name: str) -> None:
    """Each filter of `app.jobs` is named where finding jobs is explained."""
    assert f"`{name}`" in PAGE.partition("## Finding and acting")[2]
