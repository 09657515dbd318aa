"""`lineshaft jobs why`."""

from __future__ import annotations

import shutil
import textwrap
from shlex import quote
from typing import TYPE_CHECKING, Final

import click

from lineshaft.cli.completion import complete_jobs
from lineshaft.cli.output import ago, is_terminal, iso, one_line, print_json, print_text, styled
from lineshaft.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lineshaft.cli.schemas import HoldForm, WhyForm
    from lineshaft.explaining import Explanation, Hold

_ANY: Final = "lineshaft "
_NEEDS_APP: Final = "--app MODULE:NAME "
_UNDER: Final = "   "
_UNDER_LABEL: Final = " " * 10


@click.command("why")
@click.argument("job_id", metavar="ID", shell_complete=complete_jobs)
@shared_options("app", "store", "json", "debug")
@pass_session
def why(session: Session, job_id: str) -> None:
    """Tell what holds a job and until when, the most decisive reason first; of a finished one, how it ended.

    Example: lineshaft jobs why 0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f
    """
    app = session.store()
    found = app.jobs.why(job_id)
    if session.is_json:
        print_json(_form(found))
        return
    print_text(f"{found.job_id}  {styled(found.state.value)}")
    for number, hold in enumerate(found, 1):
        for line in _lines(number, hold, _Program(session, app.address)):
            print_text(line)


class _Program:
    """How commands begin that mean the same app and store as this one."""

    def __init__(self, session: Session, address: str) -> None:
        given = session.given.get("app")
        self._store = ["--store", quote(address)] if session.store_address is not None else []
        self._app = ["--app", quote(given)] if given else []
        self._has_app = session.app_path is not None

    def completed(self, command: str) -> str:
        """Return a command as it may be pasted."""
        rest = command.removeprefix(_ANY).removeprefix(_NEEDS_APP)
        needed = ["--app", "MODULE:NAME"] if rest != command.removeprefix(_ANY) and not self._has_app else []
        return " ".join(["lineshaft", *(self._app or needed), *self._store, rest])


def _form(found: Explanation) -> WhyForm:
    return {"id": found.job_id, "state": found.state, "at": found.at, "holds": [_hold_form(one) for one in found]}


def _hold_form(hold: Hold) -> HoldForm:
    return {
        "kind": hold.kind, "text": hold.text, "until": hold.until, "cure": hold.cure, "facts": dict(hold.facts),
    }  # fmt: skip


def _lines(number: int, hold: Hold, program: _Program) -> Iterator[str]:
    yield styled(_fitted(f"{number}. {one_line(hold.text)}", _UNDER), "yellow" if number == 1 else "bold")
    if hold.until is not None:
        relative = ago(hold.until)
        yield _labelled("until", iso(hold.until) + (f" ({relative})" if relative != iso(hold.until) else ""))
    if hold.cure is not None:
        is_command = hold.cure.startswith(_ANY)
        cure = program.completed(hold.cure) if is_command else hold.cure
        yield _labelled("cure", one_line(cure), is_whole=is_command)


def _labelled(label: str, text: str, *, is_whole: bool = False) -> str:
    """Return a line under a reason; a command is whole, to be pasted."""
    line = f"{_UNDER}{label:5}  {text}"
    return (line if is_whole else _fitted(line, _UNDER_LABEL)).replace(label, styled(label, "dim"), 1)


def _fitted(text: str, indent: str) -> str:
    """Return a line as it is, on a terminal broken between words to its width."""
    if not is_terminal():
        return text
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(text, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
