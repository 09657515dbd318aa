"""`lineshaft breakers open`, `close` and `reset`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from lineshaft.cli.breakers.form import breaker_form, state_of
from lineshaft.cli.completion import complete_breakers
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from lineshaft.app.breakers import BreakerStatus


def _changing_many(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function the command `breakers NAME`, which moves each of the breakers that it is given."""

    def make(change: Callable[..., None]) -> click.Command:
        names = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_breakers)
        return click.command(name)(names(shared_options("app", "store", "json", "debug")(pass_session(change))))

    return make


@_changing_many("open")
def open_breakers(session: Session, names: tuple[str, ...]) -> None:
    """Have breakers let no job through until they are reset or closed; what runs goes on.

    Example: lineshaft breakers open smtp
    """
    _move(session, names, session.store().breakers.open)


@_changing_many("close")
def close(session: Session, names: tuple[str, ...]) -> None:
    """Have breakers let all jobs through, whatever fails, until they are reset or opened.

    Example: lineshaft breakers close smtp
    """
    _move(session, names, session.store().breakers.close)


@_changing_many("reset")
def reset(session: Session, names: tuple[str, ...]) -> None:
    """Have breakers be closed and decide by themselves again, with no failure behind them.

    Example: lineshaft breakers reset smtp
    """
    _move(session, names, session.store().breakers.reset)


def _move(session: Session, names: tuple[str, ...], move: Callable[[str], BreakerStatus]) -> None:
    moved = [move(name) for name in names]
    if session.is_json:
        print_json([breaker_form(one) for one in moved])
        return
    for one in moved:
        print_text(f"breaker {one.name} is {state_of(one)}")
