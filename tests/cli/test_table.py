"""Tables and texts: how they fit a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lineshaft.cli.output import count_of, many_lines, one_line
from lineshaft.cli.table import Column, fit
from lineshaft.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob

COLUMNS = (Column("id"), Column("task", may_be_cut=True), Column("queue", is_extra=True), Column("n", is_extra=True))
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(
    "room, widths",
    [
        (66, [20, 30, 5, 5]),
        (65, [20, 29, 5, 5]),
        (52, [20, 16, 5, 5]),
        (51, [20, 22, 5, 0]),
        (44, [20, 22, 0, 0]),
        (20, [20, 16, 0, 0]),
    ],
)
def test_fit(room: int, widths: list[int]) -> None:
    """Long texts are cut to 16 characters first; then extra columns go, the last one first; the rest stays whole."""
    assert fit(COLUMNS, [20, 30, 5, 5], room) == widths


def test_a_narrow_terminal_shows_whole_ids(terminal: Callable[..., Ran], address: str, make_job: MakeJob) -> None:
    """On 80 columns no line wraps, ids stay whole, states are coloured and long names are cut."""
    made = make_job(State.DEAD, name="a.very.long.module.with.a.long.function_name").id
    shown = terminal("jobs", "list", "--store", address).out
    head, line = COLOUR.sub("", shown).splitlines()
    assert head.split() == ["id", "state", "task", "queue", "created"]
    assert line.startswith(made)
    assert "…" in line
    assert len(line) <= 80
    assert "\x1b[31mdead" in shown


def test_text_is_harmless() -> None:
    """Control characters are shown, not sent to the terminal; letters of any script stay."""
    assert one_line("ä漢\x1b[2J\n\t\u202e") == "ä漢\\x1b[2J\\n\\t\\u202e"
    assert many_lines("a\x07\n\tb") == "a\\x07\n    b"


def test_counts_agree_with_their_noun() -> None:
    """One job is one job."""
    assert (count_of(1, "job"), count_of(0, "job"), count_of(1234, "job")) == ("1 job", "0 jobs", "1,234 jobs")
