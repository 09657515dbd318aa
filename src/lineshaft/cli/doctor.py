"""`lineshaft doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lineshaft.app.store import open_engine
from lineshaft.cli.output import count_of, one_line, print_hint, print_json, print_text, styled
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.clock import SECOND, to_micros
from lineshaft.config import parse_store
from lineshaft.doctor import Report, ailments, examine
from lineshaft.errors import LineshaftError

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine


@click.command("doctor")
@click.option(
    "--held", default="1m", show_default=True, metavar="DURATION",
    help="How long somebody's transaction may be open (PostgreSQL).",
)  # fmt: skip
@shared_options("app", "store", "json", "debug")
@pass_session
def doctor(session: Session, *, held: str) -> int:
    """Look the store over, print everything that is wrong with its cause and cure, and exit with 1 if anything is.

    Example: lineshaft doctor --store postgresql://app@db/shop
    """
    wanted = ailments(held_seconds=to_micros(held, "--held") / SECOND)
    engine = open_engine(parse_store(session.store().settings.store))
    try:
        _refuse_foreign(engine)
        report = examine(engine, wanted)
    finally:
        engine.close()
    print_json(_as_json(report)) if session.is_json else _print(report)
    return 0 if report.is_well else 1


def _refuse_foreign(engine: Engine) -> None:
    if not engine.has_schema():
        msg = f"{engine.address} holds no Lineshaft store; check the address, or create one with 'lineshaft migrate'"
        raise LineshaftError(msg)


def _as_json(report: Report) -> dict[str, Any]:
    return {"is_well": report.is_well, **asdict(report)}


def _print(report: Report) -> None:
    for number, one in enumerate(report.findings, 1):
        print_text(f"{number}. {styled(one_line(one.symptom), 'red')}")
        for label, text in (("cause", one.cause), ("cure", one.command), ("then", one.advice)):
            print_text(f"   {styled(f'{label:5}', 'bold')}  {one_line(text)}")
        print_text("")
    for missed in report.unseen:
        print_hint(f"not seen: {one_line(missed.reason)}")
    looked_for = f"looked for {', '.join(report.looked_for)}"
    found = count_of(len(report.findings), "problem") if report.findings else "nothing is wrong"
    print_text(f"{report.store}: {found}; {looked_for}")
