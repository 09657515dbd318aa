"""Writing what became of claimed jobs. Every write is conditional on the job, its claim and its worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from lineshaft.engines.base import Params, Row, Statement, Tx
from lineshaft.outcomes import JobError
from lineshaft.store.queries import Statements
from lineshaft.transitions import Close, Complete, Held, PutBack, Stage, Transition

SQL: Final = Statements("finish")

# Longer arrays made PostgreSQL's finish slower, not faster (docs/decisions/0001).
_CHUNK: Final = 250

_encode_error: Final = msgspec.json.Encoder().encode

Keep = Callable[[Transition], int]
"""When the row of a finished job expires, in microseconds since the epoch."""


class Progress(NamedTuple):
    """A running job's latest progress, as JSON text."""

    held: Held
    text: str


class LogLines(NamedTuple):
    """What a running job has logged so far in this claim, as JSON lines."""

    held: Held
    lines: str


class Written(list[Transition]):
    """The transitions that took effect."""

    is_certain = True
    """Whether this very transaction has written them all; else some may have been written by one before it."""


def write_transitions(tx: Tx, transitions: Sequence[Transition], *, worker: int, now: int, keep: Keep) -> Written:
    """Write what the transitions say and return those that took effect; the others had lost their lease.

    Writing the same transitions again after a commit whose answer was lost changes nothing and returns them.
    """
    completed = [one for one in transitions if type(one) is Complete]
    closed = [one for one in transitions if type(one) is Close]
    put_back = [one for one in transitions if type(one) is PutBack]
    written = Written()
    write = _Writer(tx, worker, now, written)
    write(SQL.complete_jobs, SQL.finished_by, completed, lambda one: _complete_row(one, keep(one)), _completion)
    write(SQL.close_jobs, SQL.finished_by, closed, lambda one: _close_row(one, keep(one)), _closing)
    write(SQL.put_back_jobs, SQL.put_back_among, put_back, _put_back_row, _putting_back)
    return written


T = TypeVar("T", Complete, Close, PutBack)


class _Writer(NamedTuple):
    tx: Tx
    worker: int
    now: int
    written: Written

    def __call__(
        self,
        statement: Statement,
        check: Statement,
        transitions: list[T],
        to_row: Callable[[T], Params],
        to_trace: Callable[[T], Row],
    ) -> None:
        for chunk in _chunks(transitions):
            params = {"worker": self.worker, "now": self.now}
            count = self.tx.run(statement, params, [to_row(one) for one in chunk])[0][0]
            if count == len(chunk):
                self.written.extend(chunk)
            else:
                self.written.extend(self._effective(check, chunk, to_trace))
                self.written.is_certain = False

    def _effective(self, check: Statement, chunk: Sequence[T], to_trace: Callable[[T], Row]) -> Iterator[T]:
        ids = [one.held.id for one in chunk]
        settled = set(self.tx.run(check, {"worker": self.worker, "ids": ids}))
        return (one for one in chunk if to_trace(one) in settled)


def save_progress(tx: Tx, updates: Iterable[Progress], *, worker: int) -> None:
    """Store the latest progress of running jobs."""
    for chunk in _chunks(list(updates)):
        tx.run(SQL.save_progress, {"worker": worker}, [_fence(one.held) | {"progress": one.text} for one in chunk])


def save_logs(tx: Tx, logs: Iterable[LogLines], *, now: int) -> None:
    """Store what jobs have logged in their present claim, in place of what was stored for it before."""
    for chunk in _chunks(list(logs)):
        rows = [
            {"id": one.held.id, "claim": one.held.claim, "attempt": one.held.attempt, "lines": one.lines}
            for one in chunk
        ]
        tx.run(SQL.save_logs, {"now": now}, rows)


def _completion(one: Complete) -> Row:
    """Return what the check finds where it took effect: by stage, for the same claim may have ended in another way."""
    return (one.held.id, one.held.claim, int(Stage.COMPLETED))


def _closing(one: Close) -> Row:
    return (one.held.id, one.held.claim, int(one.stage))


def _putting_back(one: PutBack) -> Row:
    return (one.held.id, one.held.claim)


def _complete_row(one: Complete, expires_at: int) -> Params:
    held = one.held
    return {"id": held.id, "key": held.key, "claim": held.claim, "result": one.result, "expires_at": expires_at}


def _close_row(one: Close, expires_at: int) -> Params:
    return _fence(one.held) | {
        "stage": int(one.stage),
        "reason": one.reason,
        "error": _error_text(one.error),
        "losses": one.losses,
        "expires_at": expires_at,
    }


def _put_back_row(one: PutBack) -> Params:
    return _fence(one.held) | {
        "stage": int(one.stage),
        "run_at": one.run_at,
        "attempts_back": int(one.gives_attempt_back),
        "losses": one.losses,
        "is_isolated": one.isolates,
        "unknown_since": one.unknown_since,
        "error": _error_text(one.error),
    }


def _fence(held: Held) -> dict[str, Any]:
    return {"id": held.id, "key": held.key, "claim": held.claim}


def _error_text(error: JobError | None) -> str | None:
    return None if error is None else _encode_error(error).decode()


def _chunks(items: list[C]) -> Iterator[list[C]]:
    ordered = sorted(items, key=lambda one: one.held.id)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))


class _HoldsJob(Protocol):
    @property
    def held(self) -> Held: ...


C = TypeVar("C", bound=_HoldsJob)
