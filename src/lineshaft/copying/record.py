"""What each of the two stores knows of a copy; it is written in the transactions that do the copying."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lineshaft.engines.base import Tx
from lineshaft.errors import StoreClosedError
from lineshaft.store.closure import Closure, get_closure
from lineshaft.store.copy import Digest


class Part(msgspec.Struct, frozen=True):
    """How far a table is copied."""

    count: int = 0
    digest: str = Digest().text
    """The `store.copy.Digest` of the rows so far."""
    end: list[int | str] | None = None
    """Behind which row the next chunk begins."""
    is_whole: bool = False


class Record(msgspec.Struct, frozen=True):
    """A copy, as its source or its target knows it."""

    role: Literal["source", "target"]
    copy: str
    """Tells this copy from every other one; the same in both stores."""
    source: str
    target: str
    """The addresses, without passwords."""
    closed_at: int
    """When the source was closed, in microseconds since the epoch."""
    interrupted: list[str] = []
    """Ids of the jobs that dead workers held then."""
    last_worker: int = 0
    """The greatest number that a worker had been given in the source."""
    parts: dict[str, Part] = {}
    """In the target: its tables."""
    is_done: bool = False


NOTES: Final = {
    "source": (
        "the store {source} was closed to be moved to {target}; use that one, or lift this "
        "by 'lineshaft copy {source} --reopen'"
    ),
    "target": (
        "the store {target} is being copied from {source} and opens when it is whole; if that broke off, "
        "repeat 'lineshaft copy'"
    ),
}


def closure_of(record: Record) -> Closure:
    """Return what a store is closed with."""
    return Closure(note_of(record), encode(record))


def note_of(record: Record) -> str:
    """Return what those are told who write to a store that is closed by a copy."""
    return NOTES[record.role].format(source=record.source, target=record.target)


def encode(record: Record) -> str:
    """Return a record as it is stored."""
    return msgspec.json.encode(record).decode()


def get_record(tx: Tx) -> Record | None:
    """Return what a store knows of the last copy of it or into it; None when there was none."""
    found = get_closure(tx)
    return found and msgspec.json.decode(found.record, type=Record)


def closed_record(tx: Tx) -> Record | None:
    """Return the record of the copy by which a store is closed; None when it is open."""
    found = get_closure(tx)
    return get_record(tx) if found is not None and found.note is not None else None


def refuse_closed(record: Record) -> StoreClosedError:
    """Return the error that says that a store is closed, and why."""
    return StoreClosedError(note_of(record))
