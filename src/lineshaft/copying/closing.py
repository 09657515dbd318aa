"""Closing both stores: first the source, so that it cannot change any more, then the empty target."""

from __future__ import annotations

from uuid import uuid4

import msgspec

from lineshaft.copying.record import Record, closed_record, closure_of, get_record, refuse_closed
from lineshaft.copying.reopen import reopen
from lineshaft.engines.base import Engine, Tx
from lineshaft.errors import ConfigError, StoreError
from lineshaft.store.closure import bar, close_store
from lineshaft.store.copy import holds_anything, remove_schedules
from lineshaft.store.epoch import last_worker, lock_store
from lineshaft.store.migrate import migrate, refuse_other
from lineshaft.store.upkeep import ensure_history


def close_both(source: Engine, target: Engine) -> Record:
    """Close both stores, or find them closed by an earlier run, and return the source's record.

    Nothing is closed when one of them is not fit. Raises `ConfigError`, `SchemaError` or `StoreError` then.
    """
    _refuse_misuse(source, target)
    refuse_other(source)
    known = source.read(closed_record)
    if known is not None:
        _check_source(known, target)
    if target.has_schema():
        refuse_other(target)
        target.read(lambda tx: _check_target(tx, target, known))
    else:
        migrate(target)
    record = known or source.write(lambda tx: _close_source(tx, source, target))
    try:
        target.write(lambda tx: _close_target(tx, target, record))
    except ConfigError:  # two names of one empty store
        reopen(source)
        raise
    return record


def _refuse_misuse(source: Engine, target: Engine) -> None:
    for engine in (source, target):
        if engine.is_ephemeral:
            msg = f"{engine.address} ends with its process and cannot be copied; name a file or a database"
            raise ConfigError(msg)
    if source.address == target.address:
        raise _one_store(source.address, target.address)


def _one_store(source: str, target: str) -> ConfigError:
    return ConfigError(f"{source} and {target} are the same store; name another one to copy to")


def _check_source(known: Record, target: Engine) -> None:
    """Refuse a source that some other copy has closed."""
    if known.role == "target":
        raise refuse_closed(known)
    if known.target != target.address and _record_in(target, known) is None:
        msg = (
            f"the store {known.source} was closed to be moved to {known.target}, not to {target.address}; "
            f"copy it there, or open it again by 'lineshaft copy {known.source} --reopen'"
        )
        raise StoreError(msg)


def _record_in(target: Engine, known: Record) -> Record | None:
    """Return the target's record of this copy; None when it has none."""
    if not target.has_schema():
        return None
    found = target.read(get_record)
    return found if found is not None and found.role == "target" and found.copy == known.copy else None


def _check_target(tx: Tx, target: Engine, known: Record | None) -> None:
    """Refuse a target that holds anything but what this copy has brought there."""
    found, closed = get_record(tx), closed_record(tx)
    if found is not None and known is not None and found.role == "target" and found.copy == known.copy:
        return
    if closed is not None:
        if closed.role == "target":
            msg = (
                f"{target.address} holds a part of another copy, of {closed.source} as it was then; "
                "delete it, or name an empty store"
            )
            raise StoreError(msg)
        raise refuse_closed(closed)
    if known is not None and known.is_done:
        msg = f"{known.source} was moved to {known.target} before; use that one"
        raise StoreError(msg)
    if holds_anything(tx):
        msg = f"{target.address} holds jobs or settings that a copy would mix with; name an empty store"
        raise StoreError(msg)


def _close_source(tx: Tx, source: Engine, target: Engine) -> Record:
    lock_store(tx)
    found = closed_record(tx)
    if found is not None:  # another process was as quick
        _check_source(found, target)
        return found
    record = Record("source", uuid4().hex, source.address, target.address, source.clock.now())
    interrupted = close_store(tx, source, closure_of(record))
    record = msgspec.structs.replace(record, interrupted=interrupted, last_worker=last_worker(tx))
    bar(tx, closure_of(record))
    return record


def _close_target(tx: Tx, target: Engine, record: Record) -> None:
    lock_store(tx)
    found = get_record(tx)
    if found is not None and found.copy == record.copy:
        if found.role == "source":
            raise _one_store(record.source, record.target)
        return
    _check_target(tx, target, record)
    remove_schedules(tx)  # of its housekeeping: those of the source come
    ensure_history(tx, now=target.clock.now())
    close_store(tx, target, closure_of(msgspec.structs.replace(record, role="target")))
