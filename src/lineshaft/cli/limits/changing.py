"""`lineshaft limits update` and `reset`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lineshaft.cli.completion import complete_limits
from lineshaft.cli.limits.form import limit_form, ruled_by
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from lineshaft.app.limits import Limit


@click.command("update")
@click.argument("name", metavar="NAME", shell_complete=complete_limits)
@click.option("--limit", metavar="N", type=int, help="Of a concurrency limit: how many jobs may run at once.")
@click.option("--rate", metavar="N/TIME", help="Of a rate: how many in which time, such as 100/m or 5/30s.")
@click.option("--burst", metavar="N|default", help="Of a rate: how many tokens may be saved up.")
@click.option("--low", metavar="N", type=int, help="Of a limit that learns: the least that it may be.")
@click.option("--high", metavar="N", type=int, help="Of a limit that learns: the most that it may be.")
@shared_options("app", "store", "json", "debug")
@pass_session
def update(session: Session, /, name: str, burst: str | None, **given: Any) -> None:
    """Change a limit for all workers from their next claim on; it stays through deploys, until 'limits reset'.

    Example: lineshaft limits update crm --limit 2
    """
    said = {option: value for option, value in given.items() if value is not None}
    if burst is not None:
        said["burst"] = _burst(burst)
    _tell(session, session.store().limits.update(name, **said))


@click.command("reset")
@click.argument("name", metavar="NAME", shell_complete=complete_limits)
@shared_options("app", "store", "json", "debug")
@pass_session
def reset(session: Session, name: str) -> None:
    """Take back what a person changed of a limit: it is as the code says again.

    Example: lineshaft limits reset crm
    """
    _tell(session, session.store().limits.reset(name))


def _burst(text: str) -> int | None:
    if text.lower() == "default":
        return None
    if not text.isdecimal():
        msg = f"--burst {text!r} must be a whole number from 1, or default"
        raise click.UsageError(msg, click.get_current_context())
    return int(text)


def _tell(session: Session, limit: Limit) -> None:
    if session.is_json:
        print_json(limit_form(limit))
    else:
        print_text(f"limit {limit.name} lets in {ruled_by(limit)}")
