"""`lineshaft queues`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from lineshaft.app.depths import DEPTHS, WAYS
from lineshaft.app.fairness import BY, FAIRNESS
from lineshaft.app.flows import rate_text
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
_COUNTS: Final = (*DEPTHS, "concurrency")
_FLOWS: Final = {"concurrency", "rate"}
_STATES: Final = (State.QUEUED, State.RUNNING, State.SCHEDULED, State.RETRYING)
_COLUMNS: Final = (
    Column("name", may_be_cut=True),
    Column("state"),
    *(Column(state.value, is_number=True) for state in _STATES),
    Column("max depth", is_number=True),
    Column("when full", is_extra=True),
    Column("at once", is_extra=True),
    Column("rate", is_extra=True),
    Column("paused by", may_be_cut=True, is_extra=True),
)


@click.group("queues")
@shared_options(*SHARED)
def queues() -> None:
    """List, pause, resume, update and purge queues. A queue exists as soon as it is named."""


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


@queues.command("show")
@click.argument("name", metavar="NAME", shell_complete=complete_queues)
@shared_options("app", "store", "json", "debug")
@pass_session
def show(session: Session, name: str) -> None:
    """Show what a queue holds, what limits it, and which workers have how many of its places.

    Example: lineshaft queues show pdf
    """
    found = session.store().queues.get(name)
    if session.is_json:
        print_json(_object(found))
        return
    waits = ", ".join(f"{count} {state.value}" for state, count in found.counts.items()) or "empty"
    print_text(f"queue {name} is {'paused' if found.paused else 'open'}, {waits}")
    for line in filter(None, (_limits(found), _flow(found), _turns(found) if found.fair else "", _holders(found))):
        print_text(f"queue {name} {line}")


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


@queues.command("update")
@click.argument("name", metavar="NAME", shell_complete=complete_queues)
@click.option("--max-depth", metavar="N|none", help="The most jobs that may wait in it.")
@click.option("--max-depth-per-tenant", metavar="N|none", help="The most that may wait of each tenant.")
@click.option("--on-full", type=click.Choice(WAYS), metavar="|".join(WAYS), help="What becomes of one more.")
@click.option("--block-timeout", metavar="DURATION", help="How long --on-full block waits for room.")
@click.option("--concurrency", metavar="N|none", help="How many of its jobs run at once, over all workers.")
@click.option("--rate", metavar="N/TIME|none", help="How often its jobs start, over all workers, such as 100/m.")
@click.option(
    "--fair", type=click.Choice((*BY, "none")), metavar="|".join((*BY, "none")), help="Whose jobs take turns."
)
@click.option(
    "--weight", "weights", multiple=True, metavar="NAME=N", help="A share of the turns; given again for more."
)
@shared_options("app", "store", "json", "debug")
@pass_session
def update(session: Session, /, name: str, weights: tuple[str, ...], **given: str | None) -> None:
    """Change how many jobs of a queue run at once, how often they start, whose take turns, and how many may wait.

    What is not said stays. One more than may wait is refused, or takes the place of another, or waits. Weights take
    the place of those before; who is named by none has 1.

    Example: lineshaft queues update pdf --concurrency 5 --rate 100/m
    """
    said: dict[str, Any] = {
        option: _count(option, text) for option in _COUNTS if (text := given.pop(option)) is not None
    }
    said |= {option: _or_none(text) for option, text in given.items() if text is not None}
    said |= {"fair_weights": dict(map(_weight, weights))} if weights else {}
    queues = session.store().queues
    queues.update(name, **said)
    found = queues.get(name)
    told = [
        _flow(found) if said.keys() & _FLOWS else "",
        _turns(found) if said.keys() & set(FAIRNESS) else "",
        _limits(found) if said.keys() - _FLOWS - set(FAIRNESS) else "",
    ]
    _tell(session, (name,), " and ".join(filter(None, told)) or "limits neither how many jobs run nor how often")


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


def _flow(queue: Queue) -> str:
    at_once = f"runs at most {count_of(queue.concurrency, 'job')} at once" if queue.concurrency else ""
    rate = f"starts at most {rate_text(queue.rate)}" if queue.rate else ""
    return " and ".join(filter(None, (at_once, rate)))


def _holders(queue: Queue) -> str:
    if queue.concurrency is None:
        return ""
    held = [f"{count_of(places, 'place')} with worker {worker}" for worker, places in queue.holders.items()]
    return f"has {', '.join(held) or 'no place'} taken"


def _turns(queue: Queue) -> str:
    if queue.fair is None:
        return "runs its jobs in the order of their times"
    weights = ", ".join(f"{name}={weight}" for name, weight in sorted(queue.fair_weights.items()))
    return f"has jobs take turns by {queue.fair}{weights and f', with the weights {weights}'}"


def _weight(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition("=")
    if not name or not number.isdecimal():
        msg = f"--weight {text!r} must be a tenant or key and a whole number, such as acme=3"
        raise click.UsageError(msg, click.get_current_context())
    return name, int(number)


def _or_none(text: str) -> str | None:
    return None if text.lower() == "none" else text


def _count(option: str, text: str) -> int | None:
    if _or_none(text) is None:
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
        "concurrency": queue.concurrency,
        "rate": None if queue.rate is None else rate_text(queue.rate),
        "burst": None if queue.rate is None else queue.rate.burst,
        "fair": queue.fair,
        "fair_weights": dict(queue.fair_weights),
        "holders": {str(worker): places for worker, places in queue.holders.items()},
        "counts": {state.value: count for state, count in queue.counts.items()},
    }


def _row(queue: Queue) -> tuple[Any, ...]:
    counts = (queue.counts.get(state, 0) for state in _STATES)
    note = ": ".join(filter(None, [queue.paused_by, queue.pause_reason]))
    rate = None if queue.rate is None else rate_text(queue.rate)
    limits = (queue.max_depth, _when_full(queue), _at_once(queue), rate)
    return queue.name, "paused" if queue.paused else "open", *counts, *limits, note


def _at_once(queue: Queue) -> str | None:
    return None if queue.concurrency is None else f"{sum(queue.holders.values())} of {queue.concurrency}"


def _when_full(queue: Queue) -> str:
    of_tenant = f"{queue.max_depth_per_tenant} a tenant" if queue.max_depth_per_tenant else None
    return ", ".join(filter(None, [of_tenant, None if queue.on_full == "reject" else queue.on_full]))
