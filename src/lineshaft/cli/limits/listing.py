"""`lineshaft limits list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.completion import complete_limits
from lineshaft.cli.limits.form import keyed_by, limit_form, ruled_by
from lineshaft.cli.output import one_line, print_json, print_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from lineshaft.app.limits import Limit, LimitKey
    from lineshaft.cli.schemas import LimitKeyForm, WholeLimit

_COLUMNS: Final = (
    Column("name", may_be_cut=True, keeps=24),
    Column("kind", is_extra=True),
    Column("lets in"),
    Column("of each", may_be_cut=True, keeps=12),
    Column("keys", is_number=True, is_extra=True),
    Column("running", is_number=True),
    Column("waiting", is_number=True),
    Column("changed", is_extra=True),
)
_KEYS: Final = (
    Column("key", may_be_cut=True, keeps=24),
    Column("running", is_number=True),
    Column("waiting", is_number=True),
    Column("limit", is_number=True, is_extra=True),
    Column("next at", is_extra=True),
    Column("longest", is_extra=True),
)


@click.command("list")
@shared_options("app", "store", "json", "debug")
@pass_session
def list_limits(session: Session) -> None:
    """List the limits that the code of workers has declared; breakers are not among them.

    Of each limit up to 1,000 keys are looked at, and of each line of one 10,000 jobs, of many 100.

    Example: lineshaft limits list
    """
    found = session.store().limits.list()
    if session.is_json:
        print_json([limit_form(one) for one in found])
    else:
        print_table(_COLUMNS, map(_row, found), empty="no limits")


@click.command("show")
@click.argument("name", metavar="NAME", shell_complete=complete_limits)
@shared_options("app", "store", "json", "debug")
@pass_session
def show(session: Session, name: str) -> None:
    """Show a limit and its busiest keys, up to 100: how many jobs of each run and wait, and the longest that runs.

    Example: lineshaft limits show crm
    """
    limit = session.store().limits.get(name)
    if session.is_json:
        whole: WholeLimit = {**limit_form(limit), "busiest": [_key_form(one) for one in limit.busiest]}
        print_json(whole)
        return
    of_each = f", of each {keyed_by(limit)}" if keyed_by(limit) else ""
    changed = f"; changed by a person: {', '.join(limit.overridden)}" if limit.overridden else ""
    print_text(one_line(f"{limit.name}: {ruled_by(limit)}{of_each}{changed}"))
    print_table(_KEYS, map(_key_row, limit.busiest), empty="nothing runs or waits")


def _row(limit: Limit) -> tuple[Any, ...]:
    changed = ", ".join(limit.overridden)
    rest = limit.keys, limit.held, limit.waiting, changed
    return limit.name, limit.kind, ruled_by(limit), keyed_by(limit), *rest


def _key_row(one: LimitKey) -> tuple[Any, ...]:
    when = None if one.free_at is None else f"{one.free_at:%Y-%m-%dT%H:%M:%SZ}"
    return one.key, one.held, one.waiting, one.limit, when, next(iter(one.jobs), None)


def _key_form(one: LimitKey) -> LimitKeyForm:
    return {
        "key": one.key, "held": one.held, "waiting": one.waiting, "jobs": list(one.jobs), "free_at": one.free_at,
        "limit": one.limit,
    }  # fmt: skip
