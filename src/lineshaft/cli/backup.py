"""`lineshaft backup`."""

from __future__ import annotations

from pathlib import Path

import click

from lineshaft.app.store import open_engine
from lineshaft.backup import Manifest, back_up, read_manifest
from lineshaft.cli.bench.progress import watching
from lineshaft.cli.output import count_of, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.schemas import BackedUp, BackupForm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.clock import to_datetime
from lineshaft.config import parse_store
from lineshaft.errors import ConfigError, LineshaftError


@click.command("backup")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", "-y", is_flag=True, help="Do not ask before an older backup is replaced.")
@shared_options("app", "store", "json", "debug")
@pass_session
def backup(session: Session, file: Path, *, yes: bool) -> None:
    """Write what the store holds at this moment into a file; workers go on meanwhile.

    Example: lineshaft backup jobs-monday.backup
    """
    path = file.absolute()
    engine = open_engine(parse_store(session.store().settings.store))
    try:
        if path.exists():
            _refuse_others(path)
            confirm(f"Replace the backup {path}?", is_sure=yes)
        with watching(is_quiet=True) as watcher:
            manifest = back_up(engine, path, watcher)
    finally:
        engine.close()
    _print(session, path, manifest)


def _refuse_others(path: Path) -> None:
    """Replace backups only: the file may be somebody's store."""
    try:
        read_manifest(path)
    except LineshaftError as error:
        msg = f"{path} exists and is no backup that could be replaced; choose another name"
        raise ConfigError(msg) from error


def _print(session: Session, path: Path, manifest: Manifest) -> None:
    size = path.stat().st_size
    if session.is_json:
        said: BackedUp = {"file": str(path), "bytes": size, **describe(manifest)}
        print_json(said)
        return
    print_text(f"backed up {what_is_in(manifest)} of {manifest.store} to {path} ({size / 2**20:,.1f} MiB)")


def describe(manifest: Manifest) -> BackupForm:
    """Return a backup as `--json` shows it."""
    return {
        "store": manifest.store,
        "schema": manifest.schema,
        "made_at": to_datetime(manifest.made_at),
        "rows": {name: table.count for name, table in manifest.tables.items()},
    }


def what_is_in(manifest: Manifest) -> str:
    """Return a backup's contents in words."""
    unfinished, finished = (manifest.tables[name].count for name in ("unfinished", "finished"))
    return f"{count_of(unfinished, 'unfinished job')} and {count_of(finished, 'finished job')}"
