"""`lineshaft demo`."""

from __future__ import annotations

from pathlib import Path

import click

from lineshaft.cli.session import Session, pass_session, shared_options


@click.command("demo")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("lineshaft-demo"),
    show_default=True,
    help="Where the store and the report go.",
)
@click.option("--files", type=click.IntRange(1), metavar="N", help="Measure so many files instead of all.")
@shared_options("store", "debug")
@pass_session
def demo(session: Session, directory: Path, files: int | None) -> int:
    """Measure a whole Python standard library with background jobs, in under a minute.

    The store is a file in --dir unless --store names another one: a demo does not fill the store of $LINESHAFT_STORE.

    Example: lineshaft demo --files 200
    """
    from rich.console import Console

    from lineshaft.demo.run import run_demo

    return run_demo(session.store_address, directory, files=files, console=Console())
