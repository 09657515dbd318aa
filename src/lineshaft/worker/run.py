"""One claimed job on its way through a lane, and the `current_job()` that its code sees."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.clock import Clock
from lineshaft.context import log_fields
from lineshaft.current import CurrentJob, check_progress
from lineshaft.gates import Pass
from lineshaft.options import Options
from lineshaft.outcomes import Cancelled, Cause
from lineshaft.store.claim import Claimed
from lineshaft.task import Task
from lineshaft.worker.joblog import JobLog

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from lineshaft.worker.transaction import AsyncHeldTransaction, HeldTransaction, JobTransactions

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class Run(CurrentJob):
    """A job that this worker holds.

    `stop_permit` is taken by whoever comes first: the code that tells the job to stop, or the end of the job. Taking
    from a list is atomic, so exactly one of them gets it.
    """

    claimed_at = 0
    """When it was claimed, in microseconds; noted only where features may ask at its end."""
    passes: tuple[Pass, ...] | None = None
    """The gates that it passed; None: no limit concerns it."""
    has_slots = False
    """Whether it has places in gates that do not count it as their own."""
    seconds = 0.0
    """How long its code ran; measured only where a limit concerns it."""
    signals: Mapping[str, Any] | None = None
    """What features noted about the error that it raised."""
    _began_at: float | None = None

    def __init__(self, claimed: Claimed, task: Task[Any, Any, Any], options: Options, clock: Clock) -> None:
        self.claimed = claimed
        self.task = task
        self.options = options
        self.clock = clock
        self.is_started = False
        self.is_ended = False
        self.is_hung = False
        """Whether it ignores being stopped."""
        self.on_start: Callable[[Run], None] | None = None
        self.on_error: Callable[[Run, BaseException], None] | None = None
        """Is given what the job's code raised; only tests want it, and an error kept would keep all that it holds."""
        self.stop_cause: Cause | None = None
        self.stop_permit = [True]
        self.stop_sent = False
        self.is_stop_lost = False
        """Whether Python swallowed the stop that was sent."""
        self.stop_wanted: Cause | None = None
        """What a stop that found the permit taken was for."""
        self.progress_text: str | None = None
        self.stored_progress: str | None = None
        self.joblog: JobLog | None = None
        self.transactions: JobTransactions | None = None
        self.held_transaction: HeldTransaction | AsyncHeldTransaction | None = None

    @property
    def id(self) -> str:  # type: ignore[override]
        """The job's id."""
        return self.claimed.held.id

    @property
    def name(self) -> str:  # type: ignore[override]
        """The task's name."""
        return self.claimed.name

    @property
    def queue(self) -> str:  # type: ignore[override]
        """The queue that the job was taken from."""
        return self.claimed.queue

    @property
    def attempt(self) -> int:  # type: ignore[override]
        """The number of this attempt, from 1."""
        return self.claimed.held.attempt

    @property
    def tags(self) -> list[str]:
        """The job's tags."""
        return list(_decode(self.claimed.tags)) if self.claimed.tags else []

    @property
    def meta(self) -> dict[str, Any]:
        """What was noted about the job at enqueue."""
        return dict(_decode(self.claimed.meta)) if self.claimed.meta else {}

    @property
    def tenant(self) -> str | None:
        """The job's owner."""
        return self.claimed.tenant

    @property
    def cancelled(self) -> bool:
        """Whether the job was told to stop."""
        return self.stop_cause is not None

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when the job was told to stop."""
        if self.stop_cause is not None:
            raise Cancelled(self.stop_cause)

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Say how far the job is; the worker stores the latest word at most twice a second."""
        check_progress(fraction)
        self.progress_text = _encode([float(fraction), message, self.clock.now()]).decode()

    @property
    def unstored_progress(self) -> str | None:
        """What it last said of its progress, None when that is stored."""
        return None if self.progress_text is self.stored_progress else self.progress_text

    @property
    def has_news(self) -> bool:
        """Whether it has progress or log lines that are not stored yet."""
        return self.unstored_progress is not None or (self.joblog is not None and self.joblog.is_changed)

    def start(self) -> None:
        """Note that its lane begins to run it."""
        self.is_started = True
        if self.passes is not None:
            self._began_at = self.clock.monotonic()
        if self.on_start is not None:
            self.on_start(self)

    def stop_watch(self) -> None:
        """Note how long its code ran."""
        if self._began_at is not None:
            self.seconds = self.clock.monotonic() - self._began_at

    @contextmanager
    def unstoppable(self) -> Iterator[None]:
        """Put off a stop until the end of the block: raised inside, it would leave locks of the library taken."""
        has_permit = self.take_permit()
        while not has_permit and not self.stop_sent:
            time.sleep(0)  # it is under way, and arrives here
        try:
            yield
        finally:
            if has_permit:
                self.stop_permit.append(True)
        if has_permit and self.stop_wanted is not None and self.take_permit():
            self.stop_cause, self.stop_sent = self.stop_wanted, True
            raise Cancelled(self.stop_wanted)

    def note_lost_stop(self) -> None:
        """Let the stop be sent again: it was raised in a destructor or the like, where Python only prints it.

        Called in the job's own thread: what has not ended yet has not given its permit away either.
        """
        self.stop_sent, self.is_stop_lost = False, True
        self.stop_permit.append(True)

    def take_permit(self) -> bool:
        """Take the permit to stop the job, which exactly one can; popping from a list is atomic."""
        try:
            self.stop_permit.pop()
        except IndexError:
            return False
        return True

    @cached_property
    def log_fields(self) -> dict[str, Any]:
        """What each of its log lines says of the context that it carries."""
        return log_fields(self.claimed.context)

    def keep_log_record(self, record: logging.LogRecord) -> None:
        """Keep a line that the job logged."""
        if self.joblog is None:
            self.joblog = JobLog(self.clock, self.log_fields)
        self.joblog.add(record)

    def transaction(self) -> AbstractContextManager[Any]:
        """Open the transaction in which this job completes."""
        assert self.transactions is not None
        return self.transactions.open(self)

    def atransaction(self) -> AbstractAsyncContextManager[Any]:
        """As `transaction`, for `async with`."""
        assert self.transactions is not None
        return self.transactions.aopen(self)
