"""Running a worker in this process: beside a script, inside a web server, or as the process itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final, Self

from lineshaft.app.crossing import in_store_thread
from lineshaft.errors import ConfigError
from lineshaft.options import Options

if TYPE_CHECKING:
    from lineshaft.worker.worker import Worker

Queues = Mapping[str, int] | Sequence[str] | str | None

DEFAULT_CONCURRENCY: Final = 10


class InProcessWorker:
    """A worker for the length of a `with` or `async with` block; `queues` as in `lineshaft worker --queues`."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._worker: Worker | None = None

    def start(self) -> Self:
        """Start the worker."""
        stop_child_import()
        self._worker = self._make()
        self._worker.start()
        return self

    def stop(self, grace: float | None = None) -> None:
        """Stop the worker: claim no more, let running jobs finish for `grace` seconds, put back the others."""
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


def run_until_signal(worker: Worker, grace: float | None) -> int:
    """Run a worker until SIGTERM or SIGINT and return the exit code; a second signal ends its grace."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape of a signal handler
        if stop.is_set():
            worker.stop_at_once()
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker.start()
        threading.Thread(target=_set_after, args=(stop, worker.ended), name="lineshaft-ended", daemon=True).start()
        stop.wait()
        stopping = threading.Thread(target=worker.stop, args=(grace,), name="lineshaft-stop")
        stopping.start()
        stopping.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _set_after(event: threading.Event, other: threading.Event) -> None:
    other.wait()
    event.set()


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
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
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
