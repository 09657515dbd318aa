"""`lineshaft doctor`."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import asdict
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from lineshaft.app.store import open_engine
from lineshaft.cli.output import count_of, is_terminal, one_line, print_hint, print_json, print_text, styled
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.clock import SECOND, to_micros
from lineshaft.config import parse_store, to_bytes
from lineshaft.doctor import Patient, Report, ailments, examine
from lineshaft.errors import LineshaftError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine

_INDENT = " " * 10


@click.command("doctor")
@click.option(
    "--held", default="1m", show_default=True, metavar="DURATION",
    help="How long somebody's transaction may be open (PostgreSQL).",
)  # fmt: skip
@click.option(
    "--waiting", default="1m", show_default=True, metavar="DURATION",
    help="How long a job may be due in a queue without a worker.",
)  # fmt: skip
@click.option(
    "--free", metavar="SIZE",
    help="What has to be free on the disk, such as 5GiB; else 1 GiB, or a tenth of a small volume.",
)  # fmt: skip
@shared_options("app", "store", "json", "debug")
@pass_session
def doctor(session: Session, *, held: str, waiting: str, free: str | None) -> int:
    """Look the store over, print everything that is wrong with its cause and cure, and exit with 1 if anything is.

    Example: lineshaft doctor --store postgresql://app@db/shop
    """
    wanted = ailments(
        held_seconds=to_micros(held, "--held") / SECOND,
        waiting=to_micros(waiting, "--waiting"),
        least_free_bytes=None if free is None else to_bytes(free, "--free"),
    )
    settings = session.store().settings
    engine = open_engine(parse_store(settings.store))
    try:
        _refuse_foreign(engine)
        program, app_program = _programs(session, engine)
        report = examine(Patient(engine, settings, _tasks(session), program, app_program), wanted)
    finally:
        engine.close()
    print_json(_as_json(report)) if session.is_json else _print(report)
    return 0 if report.is_well else 1


def _refuse_foreign(engine: Engine) -> None:
    try:
        has_schema = engine.has_schema()
    except StoreUnavailableError:
        raise
    except StoreError:  # this role may not look: that is told with what else is wrong
        return
    if not has_schema:
        msg = f"{engine.address} holds no Lineshaft store; check the address, or create one with 'lineshaft migrate'"
        raise LineshaftError(msg)


def _tasks(session: Session) -> frozenset[str]:
    """Return the names of the app's tasks; with `--store` the user's code is not imported."""
    if session.store_address is not None or session.app_path is None:
        return frozenset()
    app = session.app()
    app.load_imports()
    return frozenset(task.name for task in app)


def _programs(session: Session, engine: Engine) -> tuple[str, str]:
    """Return how commands begin that mean this store, without and with the app; no password is printed."""
    store = "" if session.store_address is None else f" --store {quote(engine.address)}"
    app = f" --app {quote(session.given['app'])}" if "app" in session.given else ""
    needed = app or ("" if session.app_path else " --app MODULE:NAME")
    return f"lineshaft{app}{store}", f"lineshaft{needed}{store}"


def _as_json(report: Report) -> dict[str, Any]:
    return {"is_well": report.is_well, **asdict(report)}


def _print(report: Report) -> None:
    for number, one in enumerate(report.findings, 1):
        print_text(styled(_fitted(f"{number}. {one_line(one.symptom)}", "   "), "red"))
        for label, text in (("cause", one.cause), ("cure", one.command), ("then", one.advice)):
            line = f"   {label:5}  {one_line(text)}"
            shown = line if label == "cure" else _fitted(line, _INDENT)  # a command is whole, to be pasted
            print_text(shown.replace(label, styled(label, "bold"), 1))
        print_text("")
    for missed in report.unseen:
        print_hint(_fitted(f"not seen: {one_line(missed.reason)}", _INDENT))
    found = count_of(len(report.findings), "problem") if report.findings else "nothing is wrong"
    print_text(_fitted(f"{report.store}: {found}; looked for {', '.join(report.looked_for)}", "   "))


def _fitted(text: str, indent: str) -> str:
    """Return a line as it is, on a terminal broken between words to its width."""
    if not is_terminal():
        return text
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(text, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
