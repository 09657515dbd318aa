"""The page about jobs names every reason that can be given for a job that does not run."""

from __future__ import annotations

import re
from pathlib import Path

from lineshaft.app.why.ended import TEXTS

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8").partition("## Why a job does not run")[2]
TABLE = SECTION.partition("\n## ")[0].partition("| --- |")[2]
SOURCE = ROOT / "src" / "lineshaft"
SOURCES = [*sorted((SOURCE / "app" / "why").glob("*.py")), *sorted(SOURCE.glob("features/*/explain.py"))]


def test_every_kind_has_its_row() -> None:
    """The table of kinds has a row for each that the code gives, and no other but the final states."""
    given = {kind for source in SOURCES for kind in re.findall(r'Hold\(\s*"([a-z-]+)"', source.read_text("utf-8"))}
    rows = [line.split("|")[1] for line in TABLE.splitlines() if line.startswith("| `")]
    told = {kind for cell in rows for kind in re.findall(r"`([a-z-]+)`", cell)}
    assert "paused" in given
    assert told - given <= {state.value for state in TEXTS}
    assert given <= told
