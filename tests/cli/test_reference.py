"""docs/cli.md tells of every command and option, and of no other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from lineshaft.cli.root import root

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command that does something, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(root))


def options(command: click.Command) -> set[str]:
    """The long and short options of a command."""
    parameters = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {text for parameter in parameters for text in parameter.opts}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_told(words: tuple[str, ...]) -> None:
    """The table of commands has a line for each command, with an example, and each of its options stands in a table."""
    assert re.search(rf"^\| `{' '.join(words)}` \| .+ \| `lineshaft .*{' '.join(words)}", PAGE, re.MULTILINE)
    told = set(re.findall(r"`(--?[a-z-]+)", PAGE))
    assert options(COMMANDS[words]) - told == set()


def test_every_example_is_accepted() -> None:
    """Each example of the page names a command and options that there are."""
    examples = re.findall(r"`lineshaft ((?!COMMAND)[a-z-][^`]+)`", PAGE)
    assert len(examples) > len(COMMANDS)
    for example in examples:
        given = shlex.split(example)
        words = next(words for words in COMMANDS if any(given[at : at + len(words)] == [*words] for at in (0, 2)))
        known = options(COMMANDS[words]) | options(root)
        assert {word for word in given if re.match("--?[a-z]", word)} <= known, example
