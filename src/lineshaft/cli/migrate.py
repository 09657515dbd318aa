"""`lineshaft migrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lineshaft.app.store import open_engine
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.schemas import Migrated, MigrationForm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.config import parse_store
from lineshaft.store import migrate as steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lineshaft.engines.base import Engine


@click.command("migrate")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when something is to be done.")
@shared_options("app", "store", "json", "debug")
@pass_session
def migrate(session: Session, *, check: bool) -> int:
    """Create the store's schema, or bring it up to this version.

    Example: lineshaft migrate --store postgresql://app@db/shop
    """
    app = session.store(may_create=True)
    engine = open_engine(parse_store(app.settings.store))
    try:
        done = _pending(engine) if check else steps.migrate(engine)
        now = steps.version(engine)
    finally:
        engine.close()
    _print(session, engine.address, done, now, check=check)
    return 1 if check and done else 0


def _pending(engine: Engine) -> list[steps.Migration]:
    now = steps.version(engine)
    steps.refuse_newer(engine, now)
    return [one for one in steps.migrations(engine.dialect) if one.number > now]


def _print(session: Session, address: str, found: Sequence[steps.Migration], now: int, *, check: bool) -> None:
    if session.is_json:
        listed: list[MigrationForm] = [{"number": one.number, "name": one.name} for one in found]
        said: Migrated = {"store": address, "schema": now}
        said["pending" if check else "applied"] = listed
        print_json(said)
        return
    for one in found:
        print_text(f"{'pending' if check else 'applied'}  {one.number:04}  {one.name}")
    if not (check and found):
        print_text(f"the store {address} has the newest schema, {now}")
