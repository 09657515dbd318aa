"""Where in the user's code something is said."""

from __future__ import annotations

import click
from click.testing import CliRunner

from lineshaft import Concurrency, ConfigError
from lineshaft.place import calling_place


def test_the_place_is_the_callers() -> None:
    """Whoever calls is named with its file and line."""
    place, line = calling_place().rsplit(":", 1)
    assert place.endswith("test_place.py")
    assert int(line) > 0


def test_a_command_of_the_users_own_has_a_place() -> None:
    """Code of a user's own command line is code of the user."""

    @click.command()
    def own() -> None:
        Concurrency(0)

    error = CliRunner().invoke(own).exception
    assert isinstance(error, ConfigError)
    assert "test_place.py:" in str(error)
