"""One call that follows a job."""

from __future__ import annotations

from typing import Any

from lineshaft.app.store import Store
from lineshaft.app.story import Story
from lineshaft.app.watch import Watch
from lineshaft.app.watcher import Watches
from lineshaft.events import JobEvent
from lineshaft.job import Job, no_such_job
from lineshaft.store.inspect import get_job


class Follow:
    """Reads a job whenever there is news of it, until it is final. The job object is renewed each time."""

    def __init__(self, watches: Watches, store: Store, job: Job[Any]) -> None:
        self._watches, self._store, self._job = watches, store, job
        self._watch = Watch([job.id])
        self._story = Story()
        self._is_begun = False

    @property
    def is_over(self) -> bool:
        """Whether the job is final, and all is told."""
        return self._story.is_over

    def begin(self) -> None:
        """Hear of the job from now on; followed by `end` in any case."""
        self._watches.begin(self._watch)
        self._watch.tell([self._job.id])

    def end(self) -> None:
        """Hear of nothing any more."""
        self._watches.end(self._watch)

    def told(self) -> list[JobEvent]:
        """Read the job if there is news of it, and return what has happened, maybe nothing.

        Raises `JobNotFound` when the job is gone, and `ResultTimeout` when nothing will ever happen to it.
        """
        if not self._watch.take():
            self._watches.check(self._watch)
            return []
        row = self._store.read(lambda tx: get_job(tx, self._job.id))
        if row is None:
            raise no_such_job(self._job.id)
        self._job.take(row)
        return self._story.tell(row, self._store.engine.clock.now())

    def rest(self) -> None:
        """Wait until there is news."""
        self._watch.rest(None)

    async def arest(self) -> None:
        """As `rest`."""
        await self._watch.arest(None)
