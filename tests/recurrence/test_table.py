"""The tables of docs/schedule-rules.md."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lineshaft.recurrence import Calendar
from tests.recurrence.saying import said

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "schedule-rules.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+=.+?)` \| .+ \| (.+?) \| `(test_\w+\.py)::(test_\w+)` \|$", PAGE, re.MULTILINE)


def test_every_kind_of_rule_has_rows() -> None:
    """Each argument that names a rule stands in a table, and no row of them is left out here."""
    assert {arguments.split("=")[0] for arguments, *_ in ROWS} == {"cron", "every", "at", "days"}
    assert len(ROWS) == len(re.findall(r"^\| `(?:cron|every|at|days)=", PAGE, re.MULTILINE))


@pytest.mark.parametrize("arguments, words", [row[:2] for row in ROWS])
def test_the_rows_are_true(arguments: str, words: str) -> None:
    """An example of the page can be declared, and says the words that stand beside it."""
    names = {"Calendar": Calendar, "datetime": datetime, "UTC": UTC}
    rule = eval(f"dict({arguments})", names)  # noqa: S307 - a page of our own
    assert said(**rule).in_words() == words


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`(?:(?:test_\w+\.py)::)?(test_\w+)`", PAGE))))
def test_named_tests_exist(test: str) -> None:
    """A test that the page names is one of this folder."""
    assert any(f"def {test}(" in file.read_text(encoding="utf-8") for file in HERE.glob("test_*.py"))
