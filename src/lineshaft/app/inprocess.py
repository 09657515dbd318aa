"""Running a worker in this process: beside a script, inside a web server, or as the process itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from lineshaft.app.crossing import in_store_thread
from lineshaft.counts import is_count
from lineshaft.errors import ConfigError
from lineshaft.options import Options

if TYPE_CHECKING:
    from lineshaft.worker.worker import Worker

Queues = Mapping[str, int] | Sequence[str] | str | None

DEFAULT_CONCURRENCY: Final = 10


class InProcessWorker:
    """A worker for the length of a `with` or `async with` block; `queues` as in `lineshaft worker --queues`."""

    def __init__(self, make: Callable[[], Worker | None]) -> None:
        self._make = make
        self._worker: Worker | None = None

    def start(self) -> Self:
        """Start the worker."""
        stop_child_import()
        self._worker = self._make()
        if self._worker is not None:  # in a test nothing runs by itself
            self._worker.start()
        return self

    def stop(self, grace: float | None = None) -> None:
        """Stop the worker: claim no more, let running jobs finish for `grace` seconds, put back the others.

        A job that ignores being stopped stays with this process: no other worker takes it before its code has ended.
        """
        if self._worker is not None:
            self._worker.stop(grace)

    @property
    def worker(self) -> Worker:
        """The running worker."""
        assert self._worker is not None
        return self._worker

    def __enter__(self) -> Self:
        """Start the worker."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the worker."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start the worker."""
        stop_child_import()
        return await in_store_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the worker."""
        await in_store_thread(self.stop)


def run_until_signal(make: Callable[[], Worker], grace: float | None) -> None:
    """Run a worker in the main thread until SIGTERM or SIGINT; a second signal ends its grace.

    A worker that gave up, because jobs hang in it or its lease was lost, ends the process: whoever started it starts
    it anew.
    """
    from lineshaft.worker.main import Main, leave
    from lineshaft.worker.signals import Inbox, StopRequested

    inbox = Inbox()
    main = Main(inbox, grace)
    with inbox.listening():
        try:
            worker = main.start(make)
        except StopRequested:
            return
        code = main.run(worker, lambda: None)
    if code:
        leave(code)


def parse_queues(queues: Queues, default: Sequence[str]) -> dict[str, int]:
    """Return queues with their concurrency from `{"pdf": 4}`, `["pdf"]` or `"pdf:4,default:10"`.

    Raises `ConfigError` for a wrong name or number.
    """
    match queues:
        case None:
            return dict.fromkeys(default, DEFAULT_CONCURRENCY)
        case str():
            return dict(_parse_item(item.strip()) for item in queues.split(",") if item.strip()) or _nothing(queues)
        case Mapping():
            return {name: _checked(name, limit) for name, limit in queues.items()} or _nothing(queues)
        case _:
            return {name: _checked(name, DEFAULT_CONCURRENCY) for name in queues} or _nothing(queues)


def _parse_item(item: str) -> tuple[str, int]:
    name, colon, number = item.partition(":")
    if not colon:
        return name, _checked(name, DEFAULT_CONCURRENCY)
    if not number.isdigit():
        msg = f"{item!r} is not a queue with its concurrency; write name:4"
        raise ConfigError(msg)
    return name, _checked(name, int(number))


def _checked(name: str, limit: int) -> int:
    Options().but(queue=name)
    if not is_count(limit):
        msg = f"the concurrency {limit!r} of queue {name!r} must be a whole number from 1"
        raise ConfigError(msg)
    return limit


def _nothing(queues: object) -> dict[str, int]:
    msg = f"queues={queues!r} names no queue; a worker has to serve at least one"
    raise ConfigError(msg)


def stop_child_import() -> None:
    """In a child of a worker, which only imports the app's module, go no further than its worker."""
    if os.environ.get("LINESHAFT_CHILD") == "1":
        from lineshaft.worker.child import ImportStop

        raise ImportStop
