"""What one caller has heard of the jobs that it waits for or follows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import Future

import anyio
import anyio.to_thread


class Watch:
    """The ids of jobs that there is news of: told by a watcher's thread, taken by the caller's."""

    def __init__(self, job_ids: Iterable[str]) -> None:
        self.job_ids = set(job_ids)
        """The jobs that the caller still wants to hear of."""
        self.is_closed = False
        """Whether nobody tells it anything any more."""
        self._lock = threading.Lock()
        self._news: dict[str, None] = {}
        self._bell: Future[None] = Future()

    def tell(self, job_ids: Iterable[str]) -> None:
        """Wake the caller: there is something new about these jobs."""
        with self._lock:
            self._news |= dict.fromkeys(job_ids)
            self._ring()

    def close(self) -> None:
        """Wake the caller for the last time."""
        with self._lock:
            self.is_closed = True
            self._ring()

    def take(self) -> list[str]:
        """Return the jobs that there has been news of since the last time."""
        with self._lock:
            news, self._news = [job_id for job_id in self._news if job_id in self.job_ids], {}
            if self._bell.done() and not self.is_closed:
                self._bell = Future()
            return news

    def rest(self, seconds: float | None) -> None:
        """Wait until there is news; raises `TimeoutError` when the time passes first."""
        self._bell.result(seconds)

    async def arest(self, seconds: float | None) -> None:
        """As `rest`, on any event loop."""
        with anyio.fail_after(seconds):
            await _await_future(self._bell)

    def _ring(self) -> None:
        if not self._bell.done() and self._bell.set_running_or_notify_cancel():
            self._bell.set_result(None)


async def _await_future(future: Future[None]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another kind of event loop
        await anyio.to_thread.run_sync(future.result, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    else:
        await asyncio.wrap_future(future)
