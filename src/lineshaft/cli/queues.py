"""`lineshaft queues`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.app.limits import DEPTHS, WAYS
from lineshaft.cli.caller import caller
from lineshaft.cli.completion import complete_queues
from lineshaft.cli.output import count_of, print_json, print_text
from lineshaft.cli.questions import confirm
from lineshaft.cli.schemas import Purged, QueueForm
from lineshaft.cli.session import SHARED, Session, pass_session, shared_options
from lineshaft.cli.table import Column, print_table
from lineshaft.transitions import State

if TYPE_CHECKING:
    from lineshaft.app.queues import Queue

_IF_FULL: Final = {"reject": "", "drop_oldest": " and drops its oldest", "block": " and has others wait for room"}
_STATES: Final = (State.QUEUED, State.RUNNING, State.SCHEDULED, State.RETRYING)
_COLUMNS: Final = (
    Column("name", may_be_cut=True),
    Column("state"),
    *(Column(state.value, is_number=True) for state in _STATES),
    Column("max depth", is_number=True),
    Column("when full", is_extra=True),
    Column("paused by", may_be_cut=True, is_extra=True),
)


@click.group("queues")
@shared_options(*SHARED)
def queues() -> None:
    """List, pause, resume, limit and purge queues. A queue exists as soon as it is named."""


@queues.command("list")
@shared_options("app", "store", "json", "debug")
@pass_session
def list_queues(session: Session) -> None:
    """List the queues that hold unfinished jobs, have settings or are served by a worker.

    Example: lineshaft queues list
    """
    found = session.store().queues.list()
    if session.is_json:
        print_json([_object(one) for one in found])
    else:
        print_table(_COLUMNS, map(_row, found), empty="no queues")


def _changing_many(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function the command `queues NAME`, which changes each of the queues that it is given."""

    def make(change: Callable[..., None]) -> click.Command:
        names = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_queues)
        return queues.command(name)(names(shared_options("app", "store", "json", "debug")(pass_session(change))))

    return make


@click.option("--reason", metavar="TEXT", help="Why: told to whoever asks what holds a job.")
@_changing_many("pause")
def pause(session: Session, names: tuple[str, ...], reason: str | None) -> None:
    """Have workers take nothing more of these queues; what runs goes on.

    Example: lineshaft queues pause pdf --reason "the printer is away"
    """
    _change(session, names, partial(session.store().queues.pause, by=caller(), reason=reason), "is paused")


@_changing_many("resume")
def resume(session: Session, names: tuple[str, ...]) -> None:
    """Have workers take the jobs of these queues again.

    Example: lineshaft queues resume pdf
    """
    _change(session, names, session.store().queues.resume, "is running again")


@queues.command("limit")
@click.argument("name", metavar="NAME", shell_complete=complete_queues)
@click.option("--max-depth", metavar="N|none", help="The most jobs that may wait in it.")
@click.option("--max-depth-per-tenant", metavar="N|none", help="The most that may wait of each tenant.")
@click.option("--on-full", type=click.Choice(WAYS), metavar="|".join(WAYS), help="What becomes of one more.")
@click.option("--block-timeout", metavar="DURATION", help="How long --on-full block waits for room.")
@shared_options("app", "store", "json", "debug")
@pass_session
def limit(session: Session, /, name: str, **given: str | None) -> None:
    """Let a queue hold so many waiting jobs at most: one more is refused, or takes the place of another, or waits.

    Example: lineshaft queues limit pdf --max-depth 10000 --on-full drop_oldest
    """
    said = {option: _depth(option, text) for option in DEPTHS if (text := given.pop(option)) is not None}
    said |= {option: text for option, text in given.items() if text is not None}
    found = session.store().queues
    found.update(name, **said)
    _tell(session, (name,), _limits(found.get(name)))


@queues.command("purge")
@click.argument("name", metavar="NAME", shell_complete=complete_queues)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared_options("app", "store", "json", "debug")
@pass_session
def purge(session: Session, name: str, *, yes: bool) -> None:
    """Delete every waiting job of a queue.

    Example: lineshaft queues purge pdf --yes
    """
    store = session.store()
    depth = store.queues.get(name).depth
    if depth:
        confirm(f"Delete {count_of(depth, 'waiting job')} of queue {name}?", is_sure=yes)
    count = store.queues.purge(name)
    if session.is_json:
        print_json(Purged(deleted=count))
    else:
        print_text(f"deleted {count_of(count, 'job')}")


def _limits(queue: Queue) -> str:
    depths = [
        f"{count_of(most, 'waiting job')}{whose}"
        for most, whose in ((queue.max_depth, ""), (queue.max_depth_per_tenant, " of each tenant"))
        if most is not None
    ]
    if not depths:
        return "has no depth limit"
    return f"holds at most {' and '.join(depths)}{_IF_FULL[queue.on_full]}"


def _depth(option: str, text: str) -> Any:
    if text.lower() == "none":
        return None
    if not text.isdecimal() or int(text) < 1:
        msg = f"--{option.replace('_', '-')} {text!r} must be a whole number from 1, or none"
        raise click.UsageError(msg, click.get_current_context())
    return int(text)


def _change(session: Session, names: tuple[str, ...], act: Callable[[str], None], what: str) -> None:
    for name in names:
        act(name)
    _tell(session, names, what)


def _tell(session: Session, names: tuple[str, ...], what: str) -> None:
    if session.is_json:
        found = {queue.name: queue for queue in session.store().queues.list()}
        print_json([_object(found.get(name) or session.store().queues.get(name)) for name in names])
        return
    for name in names:
        print_text(f"queue {name} {what}")


def _object(queue: Queue) -> QueueForm:
    return {
        "name": queue.name,
        "paused": queue.paused,
        "paused_at": queue.paused_at,
        "paused_by": queue.paused_by,
        "pause_reason": queue.pause_reason,
        "depth": queue.depth,
        "max_depth": queue.max_depth,
        "max_depth_per_tenant": queue.max_depth_per_tenant,
        "on_full": queue.on_full,
        "block_timeout": None if queue.block_timeout is None else queue.block_timeout.total_seconds(),
        "counts": {state.value: count for state, count in queue.counts.items()},
    }


def _row(queue: Queue) -> tuple[Any, ...]:
    counts = (queue.counts.get(state, 0) for state in _STATES)
    note = ": ".join(filter(None, [queue.paused_by, queue.pause_reason]))
    return queue.name, "paused" if queue.paused else "open", *counts, queue.max_depth, _when_full(queue), note


def _when_full(queue: Queue) -> str:
    of_tenant = f"{queue.max_depth_per_tenant} a tenant" if queue.max_depth_per_tenant else None
    return ", ".join(filter(None, [of_tenant, None if queue.on_full == "reject" else queue.on_full]))
