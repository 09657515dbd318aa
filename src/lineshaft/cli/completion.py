"""Completion in bash, zsh and fish: of commands and options, and of names that the store knows.

The shell runs the program again at each TAB, so nothing here may take long, print anything else, or make a store: what
does not answer within two seconds completes nothing.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from lineshaft.cli.output import print_text
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.errors import LineshaftError

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine, Tx

VARIABLE: Final = "_LINESHAFT_COMPLETE"
"""Set by the shells' functions, which click writes: what they want to know."""
_SHELLS: Final = ("bash", "zsh", "fish")
_PATIENCE_SECONDS: Final = 2.0
_MOST_QUEUES: Final = 200
_MOST_JOBS: Final = 50
_MOST_SCHEDULES: Final = 200
_HEADER_BYTES: Final = 20
_MODE_AT: Final = 18
"""Where SQLite's file format says twice whether there is a write-ahead log: 2."""

Names = Callable[["Tx"], Iterable[str]]


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS), metavar="bash|zsh|fish")
@shared_options("debug")
@pass_session
def completion(_session: Session, /, shell: str) -> None:
    """Print what makes a shell complete this program's commands, options, queues, schedules, tasks and job ids.

    \b
    bash: eval "$(lineshaft completion bash)"                in ~/.bashrc
    zsh:  eval "$(lineshaft completion zsh)"                 in ~/.zshrc
    fish: lineshaft completion fish | source                 in ~/.config/fish/config.fish
    """  # noqa: D301 - \b is click's: it keeps the lines apart
    print_text(ShellComplete.source(_shell(shell)), end="")


def answer(instruction: str) -> int:
    """Answer a shell's function, such as for `bash_complete`, and return the exit code.

    It ends this process when the store does not answer in time.
    """
    shell, _, what = instruction.partition("_")
    if shell not in _SHELLS or what != "complete":
        return 2
    found: list[str] = []
    work = threading.Thread(target=lambda: found.append(_complete(_shell(shell))), daemon=True)
    work.start()
    work.join(_PATIENCE_SECONDS)
    if found:
        print_text(found[0])
    if work.is_alive():
        sys.stdout.flush()
        os._exit(0)  # a driver that waits for its server would hold up Python's own end
    return 0


def _shell(name: str) -> ShellComplete:
    from lineshaft.cli.root import root

    kind = get_completion_class(name)
    assert kind is not None
    return kind(root, {"obj": Session()}, "lineshaft", VARIABLE)


def _complete(shell: ShellComplete) -> str:
    """Return click's answer; what the user's modules print on import must not become part of it."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123
        try:
            return shell.complete()
        except Exception:  # noqa: BLE001 - a half-typed line may be wrong in any way; there is nobody to tell
            return ""


def complete_queues(context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the name of a queue that holds jobs, has settings or is served by a worker."""
    return _completed(context, start, _queues)


def complete_tasks(context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the name of a task that a worker of the store runs."""
    return _completed(context, start, _tasks)


def complete_jobs(context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the id of one of the newest jobs."""
    return _completed(context, start, _jobs)


def complete_schedules(context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the name of a schedule."""
    return _completed(context, start, partial(_schedules, start=start))


def complete_limits(context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the name of a limit."""
    return _completed(context, start, _limits)


def complete_breakers(context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the name of a circuit breaker."""
    return _completed(context, start, _breakers)


def complete_workers(context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the id of a worker."""
    return _completed(context, start, _workers)


def _completed(context: click.Context, start: str, names: Names) -> list[CompletionItem[str]]:
    engine = _engine(context.find_object(Session) or Session())
    if engine is None:
        return []
    try:
        found = engine.read(names) if engine.has_schema() else []
        return [CompletionItem(name) for name in sorted(set(found)) if name.startswith(start)]
    except LineshaftError:
        return []
    finally:
        engine.close()


def _engine(session: Session) -> Engine | None:
    """Open the store that the line so far means, if there is one."""
    from lineshaft.app.store import open_engine
    from lineshaft.config import parse_store

    try:
        address = parse_store(session.store().settings.store)
    except (LineshaftError, click.UsageError):
        return None
    if address.kind == "memory" or (address.path is not None and not _is_store(Path(address.path))):
        return None
    return open_engine(address)


def _is_store(path: Path) -> bool:
    """Tell whether a file is a database in the mode of a store: our connection would turn any other into one."""
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_BYTES)[_MODE_AT:] == b"\2\2"
    except OSError:
        return False


def _queues(tx: Tx) -> Iterable[str]:
    import msgspec

    from lineshaft.store import inspect, rates

    yield from (row[0] for row in inspect.list_queues(tx))
    yield from (head.queue for head in rates.list_heads(tx, limit=_MOST_QUEUES))
    for worker in inspect.list_workers(tx):
        yield from msgspec.json.decode(worker.queues)


def _tasks(tx: Tx) -> Iterable[str]:
    import msgspec

    from lineshaft.store import inspect

    for worker in inspect.list_workers(tx):
        yield from msgspec.json.decode(worker.tasks)


def _jobs(tx: Tx) -> Iterable[str]:
    from lineshaft.store import inspect

    return (row.id for row in inspect.list_jobs(tx, inspect.Filter(), limit=_MOST_JOBS, cursor=None))


def _limits(tx: Tx) -> Iterable[str]:
    from lineshaft.store.rules import list_rules

    yield from (rule.name for rule in list_rules(tx) if rule.kind != "breaker")


def _breakers(tx: Tx) -> Iterable[str]:
    from lineshaft.features.breaker.records import list_breakers

    yield from (breaker.name for breaker in list_breakers(tx, 0))


def _schedules(tx: Tx, start: str) -> Iterable[str]:
    """Return the first names from `start` on: of thousands, those that begin with it are among them."""
    from lineshaft.features.schedules import records

    if records.get_schedule(tx, start) is not None:
        yield start
    yield from (row.name for row in records.list_schedules(tx, after=start, limit=_MOST_SCHEDULES))


def _workers(tx: Tx) -> Iterable[str]:
    from lineshaft.store import inspect

    return (str(worker.id) for worker in inspect.list_workers(tx))
