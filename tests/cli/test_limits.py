"""`limits` and `breakers`: how they are listed on a narrow terminal, and how wrong values are refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.options import Breaker, Concurrency, Rate
from lineshaft.store.rules import Rule, put_rules
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft import Lineshaft
    from tests.cli.conftest import Ran

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CONCURRENCY = Concurrency(3, name="crm-of-the-sales-team")
RATE = Rate(2_000, "1m", name="partner-api")


@pytest.fixture
def declared(store: Lineshaft) -> Lineshaft:
    """A store that knows a concurrency limit, a rate and a breaker."""
    store.migrate()
    limits: list[Any] = [("concurrency", CONCURRENCY), ("rate", RATE)]
    known = [Rule("breaker:smtp", "breaker", Breaker("smtp").terms(), None)]
    known += [Rule(one.name, kind, one.terms(), None) for kind, one in limits]
    store.runtime().engine.write(lambda tx: put_rules(tx, known, now=NOW))
    store.breakers.open("smtp")
    return store


@pytest.mark.parametrize(
    "arguments, said",
    [
        (
            ("limits", "update", CONCURRENCY.name, "--limit", "0"),
            "limit=0 of Concurrency must be a whole number from 1",
        ),
        (("limits", "update", CONCURRENCY.name, "--limit", "5001"), "limit=5001 of Concurrency is over 5,000"),
        (("limits", "update", RATE.name, "--rate", "0/s"), "must be a whole number"),
        (("limits", "update", RATE.name, "--rate", "5/never"), "never"),
        (("queues", "update", "pdf", "--rate", "0/s"), "must be a whole number"),
    ],
)
def test_a_wrong_value_has_no_place_on_the_command_line(
    call: Callable[..., Ran], declared: Lineshaft, address: str, arguments: tuple[str, ...], said: str
) -> None:
    """What is refused is told in one line, without a place in code: nobody's code said it."""
    assert declared.limits.list()
    ran = call(*arguments, "--store", address)
    assert ran.code == 2
    assert said in ran.complaint
    assert " (at " not in ran.complaint
    assert ".py" not in ran.complaint


@pytest.mark.parametrize("group", ["limits", "breakers"])
def test_lists_fit_a_narrow_terminal(
    terminal: Callable[..., Ran], declared: Lineshaft, address: str, group: str
) -> None:
    """On 80 columns no line wraps; columns in which nothing stands go first, and the numbers stay."""
    assert declared.breakers.list()
    lines = COLOUR.sub("", terminal(group, "list", "--store", address).out).splitlines()
    assert max(map(len, lines)) <= 80
    assert "waiting" in lines[0]
    assert ("changed" in lines[0], "of each" in lines[0]) == (False, False)


def test_a_pipe_has_all_columns(call: Callable[..., Ran], declared: Lineshaft, address: str) -> None:
    """Where no terminal has to be fitted, every column is there, whatever stands in it."""
    assert declared.limits.list()
    head = call("limits", "list", "--store", address).out.splitlines()[0]
    assert re.split(r"  +", head) == ["name", "kind", "lets in", "of each", "keys", "running", "waiting", "changed"]
