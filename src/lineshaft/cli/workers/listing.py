"""`lineshaft workers list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.cli.output import ago, print_json
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table

if TYPE_CHECKING:
    from lineshaft.app.queues import WorkerInfo

_COLUMNS: Final = (
    Column("id"),
    Column("host", may_be_cut=True),
    Column("pid", is_number=True, is_extra=True),
    Column("state"),
    Column("running", is_number=True),
    Column("queues", may_be_cut=True),
    Column("started", is_number=True, is_extra=True),
    Column("heard of", is_number=True),
    Column("leader", may_be_cut=True),
)


@click.command("list")
@shared_options("app", "store", "json", "debug")
@pass_session
def list_workers(session: Session) -> None:
    """List the workers that have not signed off: `silent` ones have not been heard of for a while.

    One of them is the leader, which does for all what has to be done once: its column says what it does now.

    Example: lineshaft workers list
    """
    found = session.store().workers.list()
    if session.is_json:
        print_json(found)
    else:
        print_table(_COLUMNS, map(_row, found), empty="no workers")


def _row(worker: WorkerInfo) -> tuple[Any, ...]:
    queues = ",".join(f"{name}:{limit}" for name, limit in worker.queues.items())
    heard = ago(worker.heartbeat_at)
    return (
        worker.id, worker.host, worker.pid, worker.state, worker.running, queues, ago(worker.started_at), heard,
        (worker.duty or "leads") if worker.leads else "",
    )  # fmt: skip
