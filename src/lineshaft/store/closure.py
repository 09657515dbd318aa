"""Closing a store: while it is closed it can be read, and whatever writes to it is refused with a note.

What refuses are triggers in the database itself, so it holds for every client, however old or new, and costs an open
store nothing: it has none (docs/decisions/0023).
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from lineshaft.config import Settings
from lineshaft.engines.base import Engine, MigrationTx, Statement, Tx
from lineshaft.errors import StoreError
from lineshaft.store.epoch import begin_epoch, last_worker, lock_store
from lineshaft.store.inspect import WorkerRow, list_workers
from lineshaft.store.queries import Statements
from lineshaft.store.upkeep import suspects

SQL: Final = Statements("closure")

_NOBODY: Final = 0
"""A number that no worker has."""


class Closure(NamedTuple):
    """What a store knows of being closed."""

    note: str | None
    """What those are told who write to it; None: it is open again."""
    record: str
    """What the copy knows that closed it, in JSON."""


def get_closure(tx: Tx) -> Closure | None:
    """Return what the store knows of being closed; None when it never was, or was opened again."""
    rows = tx.run(SQL.get_closure, {})
    return Closure(*rows[0]) if rows else None


def close_store(tx: Tx, engine: Engine, closure: Closure) -> list[str]:
    """Close a store and return the ids of the jobs that dead workers held: they wait again, no attempt used up.

    The transaction has to hold the lock of `lock_store`. Raises `StoreError` when a worker is alive.
    """
    _refuse_live_workers(tx, engine)
    interrupted = [row[0] for row in tx.run(SQL.put_back_held, {})]
    tx.run(SQL.remove_workers, {})
    bar(tx, closure)
    return interrupted


def bar(tx: Tx, closure: Closure) -> None:
    """Refuse every write from the commit on, anew where it was so before."""
    tx.run(SQL.put_closure, closure._asdict())
    unbar(tx)
    _run_texts(tx, SQL.bar_tables, closure.note)


def unbar(tx: Tx) -> None:
    """Refuse nothing any more; the note stays."""
    _run_texts(tx, SQL.unbar_tables, None)


def open_store(tx: Tx, engine: Engine, record: str | None, *, above: int = 0) -> None:
    """Open a store, as a new epoch whose workers have numbers above that one and all that were given here.

    `record` is what stays known of the copy; None: nothing.
    """
    lock_store(tx)
    unbar(tx)
    if record is None:
        tx.run(SQL.delete_closure, {})
    else:
        tx.run(SQL.put_closure, {"note": None, "record": record})
    # Two more: an epoch that no worker has seen yet may begin at the next number.
    begin_epoch(tx, first_worker=max(above, last_worker(tx)) + 2, now=engine.clock.now())


def _run_texts(tx: Tx, statement: Statement, note: str | None) -> None:
    """Run what a statement answers with: SQLite changes a schema by texts only."""
    for (text,) in tx.run(statement, {"note": note}):
        cast("MigrationTx", tx).run_script(text)  # every engine's own transactions can


def _refuse_live_workers(tx: Tx, engine: Engine) -> None:
    alive = _live_workers(tx, engine)
    if alive:
        who = ", ".join(f"{one.id} on {one.host}" for one in alive[:3]) + (", …" if len(alive) > 3 else "")  # noqa: PLR2004 - enough to find the rest
        msg = (
            f"{engine.address} has live workers ({who}); end them, by 'lineshaft workers drain --all --wait', and run "
            "this again; one that was killed counts as alive for some seconds"
        )
        raise StoreError(msg)


def _live_workers(tx: Tx, engine: Engine) -> list[WorkerRow]:
    """Return all workers but those that any worker of the store would take for dead."""
    known = Settings()
    silent = suspects(tx, worker=_NOBODY, now=engine.clock.now(), silence=known.silence, lease=known.lease)
    unlocked = set(engine.dead_workers(tx, [one.id for one in silent]))
    dead = {one.id for one in silent if one.is_lease_over or one.id in unlocked}
    return [one for one in list_workers(tx) if one.id not in dead]
