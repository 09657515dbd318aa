"""The page about configuration names every setting as the code has it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from lineshaft.config import Settings, load_settings
from lineshaft.errors import ConfigError

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| `(LINESHAFT_\w+)` \| `([^`]+)` \| (.+) \|$", re.MULTILINE)
ROWS = {name: (variable, default) for name, variable, default, _ in ROW.findall(PAGE)}
SETTINGS = [one.name for one in fields(Settings)]


def test_every_setting_has_its_row() -> None:
    """The table lists the settings that exist, all of them, in the code's order."""
    assert list(ROWS) == SETTINGS


@pytest.mark.parametrize("name", SETTINGS)
def test_default_is_the_one_shown(name: str) -> None:
    """The default that the page shows, given as the setting, is the default."""
    assert load_settings({name: ROWS[name][1]}, {}) == Settings()


@pytest.mark.parametrize("name", SETTINGS)
def test_variable_is_the_one_read(name: str) -> None:
    """The variable that the page names sets this setting: what it says is refused in that variable's name."""
    variable, default = ROWS[name]
    assert load_settings({}, {variable: default}) == Settings()
    with pytest.raises(ConfigError, match=f"{variable}|store address"):
        load_settings({}, {variable: "no such value"})
