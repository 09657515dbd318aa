"""`lineshaft workers drain`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import click

from lineshaft.cli.completion import complete_workers
from lineshaft.cli.output import count_of, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.schemas import Drained
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.errors import LineshaftError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lineshaft.app.queues import WorkerInfo, Workers

_LOOK_SECONDS: Final = 0.5
_LOOKS_IN_VAIN: Final = 20


@click.command("drain")
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1, shell_complete=complete_workers)
@click.option("--host", metavar="NAME", help="Every worker of this host.")
@click.option("--all", "everything", is_flag=True, help="Every worker of the store.")
@click.option("--wait", "must_wait", is_flag=True, help="Return when they have ended.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared_options("app", "store", "json", "debug")
@pass_session
def drain(
    session: Session, /, ids: tuple[int, ...], host: str | None, *, everything: bool, must_wait: bool, yes: bool
) -> int:
    """Have workers claim no more, finish what they run, however long it takes, and end with exit code 0.

    They hear of it within a heartbeat (1 s). A process under 'worker --processes' is not started again.

    Example: lineshaft workers drain --host web-3 --yes --wait
    """
    _check(ids, host, everything=everything)
    workers = session.store().workers
    chosen = list(ids) or [one.id for one in workers.list() if everything or one.host == host]
    if not ids and chosen:
        confirm(f"Drain {count_of(len(chosen), 'worker')}?", is_sure=yes)
    found = workers.drain(chosen)
    unknown = [one for one in dict.fromkeys(ids) if one not in found]
    for one in unknown:
        click.echo(f"lineshaft: there is no worker {one}; 'lineshaft workers list' shows those there are", err=True)
    if must_wait:
        _wait(workers, found)
    _tell(session, found, unknown, has_ended=must_wait)
    return 1 if unknown else 0


def _check(ids: Sequence[int], host: str | None, *, everything: bool) -> None:
    if bool(ids) + bool(host) + everything != 1:
        context = click.get_current_context()
        raise click.UsageError("say which workers to drain in one way: ids, --host or --all", context)


def _wait(workers: Workers, ids: set[int]) -> None:
    """Look until the workers have signed off; one that fell silent never will, unless others bury it."""
    pause = threading.Event()
    looks_in_vain = 0
    while left := [one for one in workers.list() if one.id in ids]:
        is_silent = all(one.state == "silent" for one in left)
        looks_in_vain = looks_in_vain + 1 if is_silent else 0
        if looks_in_vain > _LOOKS_IN_VAIN:
            raise LineshaftError(_silent(left))
        pause.wait(_LOOK_SECONDS)


def _silent(left: Sequence[WorkerInfo]) -> str:
    names = ", ".join(f"{one.id} ({one.host}, pid {one.pid})" for one in left)
    return f"not heard of any more, so they will not end: {names}; look whether these processes still run"


def _tell(session: Session, found: set[int], unknown: list[int], *, has_ended: bool) -> None:
    if session.is_json:
        print_json(Drained(drained=sorted(found), unknown=unknown, has_ended=has_ended))
    elif found or not unknown:
        what = count_of(len(found), "worker")
        print_text(f"{what} ended" if has_ended else f"asked {what} to finish what runs there and to end")
