"""`lineshaft restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lineshaft.app.store import open_engine
from lineshaft.backup import Restored, read_manifest, restore
from lineshaft.cli.backup import describe, what_is_in
from lineshaft.cli.bench.progress import watching
from lineshaft.cli.output import count_of, iso, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.schemas import RestoredForm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.clock import to_datetime
from lineshaft.config import parse_store
from lineshaft.store.copy import holds_anything

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine


@click.command("restore")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--resume", is_flag=True, help="Do not pause the queues.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before what the store holds is replaced.")
@shared_options("app", "store", "json", "debug")
@pass_session
def restore_command(session: Session, file: Path, *, resume: bool, yes: bool) -> None:
    """Replace what the store holds by a backup, with its queues paused; running workers start anew.

    Example: lineshaft restore jobs-monday.backup --yes
    """
    path = file.absolute()
    manifest = read_manifest(path)  # before anybody is asked, or a store is made
    engine = open_engine(parse_store(session.store(may_create=True).settings.store))
    try:
        if _is_in_use(engine):
            confirm(f"Replace all jobs of {engine.address} by the backup of {_made(manifest.made_at)}?", is_sure=yes)
        with watching(is_quiet=True) as watcher:
            restored = restore(engine, path, resumes=resume, watcher=watcher)
    finally:
        engine.close()
    _print(session, engine.address, path, restored)


def _is_in_use(engine: Engine) -> bool:
    return engine.has_schema() and engine.read(holds_anything)


def _made(instant: int) -> str:
    return iso(to_datetime(instant))


def _print(session: Session, address: str, path: Path, restored: Restored) -> None:
    if session.is_json:
        said: RestoredForm = {
            "store": address,
            "file": str(path),
            "backup": describe(restored.manifest),
            "paused": restored.paused,
            "interrupted": restored.interrupted,
        }
        print_json(said)
        return
    manifest = restored.manifest
    print_text(f"restored {what_is_in(manifest)} from {path} ({_made(manifest.made_at)}) into {address}")
    if restored.interrupted:
        those = count_of(len(restored.interrupted), "job")
        print_text(f"{those} ran when the backup was made and may have ended since; no attempt was used up")
    if restored.paused:
        print_text("the queues are paused: what waits in them may have run since the backup; look it over")
        print_text("  lineshaft jobs list --state queued")
        print_text(f"and let workers take it\n  lineshaft queues resume {' '.join(restored.paused)}")
