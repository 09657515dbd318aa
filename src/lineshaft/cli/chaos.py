"""`lineshaft chaos`: runs workers that are killed, paused and stopped, on a store that fails, and reports."""

from __future__ import annotations

import random
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lineshaft.cli.output import count_of, print_hint, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.values import duration
from lineshaft.clock import SECOND, to_micros
from lineshaft.config import parse_store
from lineshaft.errors import ConfigError

if TYPE_CHECKING:
    from lineshaft.testing.fleet import FleetReport

_LOCAL: Final = ("", "localhost", "127.0.0.1", "::1")
_SEEDS: Final = 1_000_000


@click.command("chaos")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Repeat the faults of this seed.")
@click.option(
    "--rate", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Share of store calls with a fault."
)
@click.option("--for", "length", type=duration, default="60s", show_default=True, help="How long faults go on.")
@click.option("--queues", metavar="NAME:N,…", help="Queues with their concurrency, as for 'worker'.")
@click.option("--processes", type=click.IntRange(1), default=2, show_default=True, help="How many worker processes.")
@click.option("--yes", is_flag=True, help="Do it on a store that is not local, too.")
@shared_options("app", "store", "json", "debug")
@pass_session
def chaos(
    session: Session, /, seed: int | None, rate: float, length: str, queues: str | None, processes: int, *, yes: bool
) -> int:
    """Run workers under faults: they are killed, paused and stopped, and their calls of the store fail.

    Afterwards workers without faults run what is left. Exit code 1 says that some job did not come to its end.

    Example: lineshaft --app work:app chaos --seed 7 --for 30s
    """
    app, path = session.app(), session.app_path
    assert path is not None
    store = app.settings.store
    _refuse(store, app.address, is_sure=yes)
    from lineshaft.testing.fleet import Fleet

    chosen = random.randrange(_SEEDS) if seed is None else seed  # noqa: S311 - repeatable faults, no secret
    print_hint(f"faults of seed {chosen} for {length} on {app.address}; to repeat them: --seed {chosen}")
    with tempfile.TemporaryDirectory(prefix="lineshaft-chaos-") as folder:
        fleet = Fleet(app, path, queues, processes, seed=chosen, rate=rate, folder=Path(folder))
        report = fleet.run(to_micros(length) / SECOND)
    if session.is_json:
        print_json(asdict(report))
    else:
        _print(report)
    return 1 if report.unfinished else 0


def _refuse(store: str, address: str, *, is_sure: bool) -> None:
    kind = parse_store(store).kind
    if kind == "memory":
        raise ConfigError("a store in memory lives in one process, and processes are killed here; name a SQLite file")
    if kind == "postgres" and not _is_local(store):
        confirm(f"{address} is not on this machine. Kill its workers' jobs on purpose?", is_sure=is_sure)


def _is_local(store: str) -> bool:
    from lineshaft.testing.fleet import hosts_of

    return all(host in _LOCAL or host.startswith("/") for host in hosts_of(store))


def _print(report: FleetReport) -> None:
    for what, count in report.faults.items():
        print_text(f"{what:<10} {count:,}")
    for state, count in report.jobs.items():
        print_text(f"{state:<10} {count_of(count, 'job')}")
    if report.unfinished:
        print_text(f"{count_of(report.unfinished, 'job')} did not come to an end; seed {report.seed}")
    else:
        print_text(f"every job came to its end; seed {report.seed}")
