"""`lineshaft copy`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lineshaft.app.store import open_engine
from lineshaft.blobs import folder_beside
from lineshaft.cli.bench.progress import watching
from lineshaft.cli.output import count_of, iso, print_hint, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.schemas import CopiedForm, ReopenedForm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table
from lineshaft.clock import to_datetime
from lineshaft.config import parse_store
from lineshaft.copying import Copied, copy_store, get_record, reopen
from lineshaft.store.copy import TABLES

if TYPE_CHECKING:
    from lineshaft.config import StoreAddress
    from lineshaft.copying import Record
    from lineshaft.engines.base import Engine

_COLUMNS = (Column("table"), Column("rows", is_number=True), Column("checksum of both"))


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO", required=False)
@click.option("--reopen", "must_reopen", is_flag=True, help="Open FROM again: its copy is not wanted any more.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before a store is opened again.")
@shared_options("json", "debug")
@pass_session
def copy(session: Session, source: str, target: str | None, *, must_reopen: bool, yes: bool) -> None:
    """Move a store to another address, on either engine; FROM is closed, TO opens when both are equal.

    Every worker has to end first. When it breaks off, the same line goes on where it stopped.

    Example: lineshaft copy sqlite:///jobs.db postgresql://app@db/shop
    """
    if must_reopen is (target is not None):
        msg = "name FROM and TO, or FROM alone with --reopen"
        raise click.UsageError(msg, click.get_current_context())
    with ExitStack() as opened:
        addresses = [parse_store(one) for one in (source, target) if one is not None]
        engines = [_open(one, opened) for one in addresses]
        if must_reopen:
            _reopen(session, *engines, is_sure=yes)
        else:
            _copy(session, *engines)
            _tell_of_blobs(addresses[0])


def _open(address: StoreAddress, opened: ExitStack) -> Engine:
    engine = open_engine(address)
    opened.callback(engine.close)
    return engine


def _copy(session: Session, source: Engine, target: Engine) -> None:
    with watching(is_quiet=session.is_json) as watcher:
        copied = copy_store(source, target, watcher)
    if session.is_json:
        print_json(_described(copied))
        return
    unfinished, finished = (copied.tables[name].count for name in ("unfinished", "finished"))
    what = f"{count_of(unfinished, 'unfinished job')} and {count_of(finished, 'finished job')}"
    print_text(f"moved {what} from {copied.source} to {copied.target}")
    rows = [(one.title, f"{copied.tables[one.name].count:,}", copied.tables[one.name].digest) for one in TABLES]
    print_table(_COLUMNS, rows, empty="")
    if copied.interrupted:
        print_text(_about_interrupted(len(copied.interrupted)))
    print_text(f"{copied.source} is closed since {_moment(copied.closed_at)}; start the workers on {copied.target}")


def _tell_of_blobs(source: StoreAddress) -> None:
    folder = folder_beside(source)
    if folder is not None and Path(folder).is_dir():
        here = Path(folder).resolve()
        print_hint(f"its large values stay in {here}: copy them too, or name that folder with LINESHAFT_BLOBS")


def _about_interrupted(number: int) -> str:
    if number == 1:
        return "1 job was held by a worker that had died; it waits again and no attempt was used up"
    return f"{number:,} jobs were held by workers that had died; they wait again and no attempt was used up"


def _described(copied: Copied) -> CopiedForm:
    return {
        "source": copied.source,
        "target": copied.target,
        "closed_at": to_datetime(copied.closed_at),
        "interrupted": copied.interrupted,
        "tables": {name: {"rows": part.count, "digest": part.digest} for name, part in copied.tables.items()},
    }


def _reopen(session: Session, source: Engine, *, is_sure: bool) -> None:
    record = source.read(get_record) if source.has_schema() else None
    if record is not None:
        confirm(_question(source, record), is_sure=is_sure)
    reopened = reopen(source)
    if session.is_json:
        said: ReopenedForm = {"source": source.address, "target": reopened.target}
        print_json(said)
        return
    print_text(f"{source.address} is open again; {reopened.target} must not be used beside it")


def _question(source: Engine, record: Record) -> str:
    return f"Open {source.address} again? Where {record.target} is in use too, jobs run in both."


def _moment(instant: int) -> str:
    return iso(to_datetime(instant))
