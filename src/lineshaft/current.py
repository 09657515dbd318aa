"""The job that runs here: what `current_job()` returns, inside a job and outside of one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

from lineshaft.errors import ConfigError

OpenTransaction = Callable[[], AbstractContextManager[Any]]
AOpenTransaction = Callable[[], AbstractAsyncContextManager[Any]]

LOGGER: Final = logging.getLogger("lineshaft.job")
"""What `current_job().log` is; its lines are kept with the attempt that wrote them."""

joined: Final[ContextVar[Any]] = ContextVar("lineshaft_joined_transaction", default=None)
"""The open transaction (`engines.base.Tx`) of the code that runs here, which what it enqueues joins."""

_plain_transactions: list[tuple[OpenTransaction, AOpenTransaction]] = []


class CurrentJob:
    """Outside a job: a stand-in whose calls do nothing, so that the same code runs in a test or a shell."""

    id: str | None = None
    name: str | None = None
    queue: str | None = None
    attempt: int = 0

    @property
    def meta(self) -> dict[str, Any]:
        """What was noted about the job at enqueue; for a follow-up, `after` is the id of the job that it follows."""
        return {}

    @property
    def tick(self) -> datetime | None:
        """The time for which a schedule wanted the job, aware UTC; None for a job of no schedule."""
        said = self.meta
        try:
            return datetime.fromisoformat(said["tick"]) if "schedule" in said else None
        except (KeyError, TypeError, ValueError):  # somebody's own note of that name
            return None

    @property
    def log(self) -> logging.Logger:
        """A standard logger; inside a job its lines are kept: at most 1,000 lines or 64 KiB an attempt."""
        return LOGGER

    @property
    def cancelled(self) -> bool:
        """Whether the job was told to stop."""
        return False

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when the job was told to stop."""

    def progress(self, fraction: float, message: str | None = None) -> None:  # noqa: ARG002 - a stand-in
        """Say how far the job is: `fraction` from 0 to 1 and a message; stored at most twice a second."""
        check_progress(fraction)

    def transaction(self) -> AbstractContextManager[Any]:
        """Open a transaction on the store's database: `with current_job().transaction() as connection:`.

        In a job, what is written through the connection commits together with the job's completion.
        """
        return _only_app()[0]()

    def atransaction(self) -> AbstractAsyncContextManager[Any]:
        """As `transaction`, for `async with`."""
        return _only_app()[1]()


_STAND_IN: Final = CurrentJob()
running: Final[ContextVar[CurrentJob]] = ContextVar("lineshaft_current_job", default=_STAND_IN)


def current_job() -> CurrentJob:
    """Return the job that runs here, or a stand-in outside of one."""
    return running.get()


def check_progress(fraction: float) -> None:
    """Raise `ConfigError` for a fraction that is none."""
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
        msg = f"progress({fraction!r}): the fraction must be a number from 0 to 1"
        raise ConfigError(msg)


def offer_plain_transactions(sync: OpenTransaction, asynchronous: AOpenTransaction) -> Callable[[], None]:
    """Let code outside jobs open plain transactions on an app's store; returns how to take the offer back."""
    offer = (sync, asynchronous)
    _plain_transactions.append(offer)
    return lambda: _plain_transactions.remove(offer) if offer in _plain_transactions else None


def _only_app() -> tuple[OpenTransaction, AOpenTransaction]:
    if len(_plain_transactions) != 1:
        msg = (
            f"current_job().transaction() outside a job needs exactly one open app in this process, "
            f"there are {len(_plain_transactions)}; use app.transaction()"
        )
        raise ConfigError(msg)
    return _plain_transactions[0]
