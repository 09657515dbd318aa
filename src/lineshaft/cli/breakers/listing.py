"""`lineshaft breakers list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.breakers.form import breaker_form, ruled_by, state_of
from lineshaft.cli.completion import complete_breakers
from lineshaft.cli.output import ago, one_line, print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from lineshaft.app.breakers import BreakerStatus

_COLUMNS: Final = (
    Column("name", may_be_cut=True, keeps=24),
    Column("state"),
    Column("since", is_number=True),
    Column("tries", is_number=True, is_extra=True),
    Column("waiting", is_number=True),
    Column("failures", is_number=True, is_extra=True),
    Column("last failure", may_be_cut=True),
)


@click.command("list")
@shared_options("app", "store", "json", "debug")
@pass_session
def list_breakers(session: Session) -> None:
    """List the circuit breakers that code names or jobs have used; of each line 10,000 jobs are counted.

    Example: lineshaft breakers list
    """
    found = session.store().breakers.list()
    if session.is_json:
        print_json([breaker_form(one) for one in found])
    else:
        print_table(_COLUMNS, map(_row, found), empty="no circuit breakers")


@click.command("show")
@click.argument("name", metavar="NAME", shell_complete=complete_breakers)
@shared_options("app", "store", "json", "debug")
@pass_session
def show(session: Session, name: str) -> None:
    """Show what a circuit breaker does, and what rules it.

    Example: lineshaft breakers show smtp
    """
    breaker = session.store().breakers.get(name)
    if session.is_json:
        print_json(breaker_form(breaker))
        return
    print_text(one_line(f"{breaker.name}: {ruled_by(breaker)}"))
    print_table(_COLUMNS, [_row(breaker)], empty="")


def _row(breaker: BreakerStatus) -> tuple[Any, ...]:
    failures = f"{breaker.recent_failures}/{breaker.failures}" if breaker.recent_failures else None
    when = ago(breaker.since), ago(breaker.until)
    return breaker.name, state_of(breaker), *when, breaker.waiting, failures, breaker.error
