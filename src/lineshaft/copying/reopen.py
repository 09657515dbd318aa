"""Opening a store again whose copy is not wanted any more."""

from __future__ import annotations

from lineshaft.copying.record import Record, closed_record, refuse_closed
from lineshaft.engines.base import Engine, Tx
from lineshaft.errors import StoreError
from lineshaft.store.closure import open_store
from lineshaft.store.migrate import refuse_other


def reopen(source: Engine) -> Record:
    """Open the source of a copy again and return what it knew of it; what the target took over stays there too.

    Raises `StoreError` when it is not closed, `StoreClosedError` when it is a target, which holds a part only.
    """
    refuse_other(source)

    def lift(tx: Tx) -> Record:
        record = closed_record(tx)
        if record is None:
            msg = f"{source.address} is not closed; nothing was done"
            raise StoreError(msg)
        if record.role == "target":
            raise refuse_closed(record)
        open_store(tx, source, None)
        return record

    return source.write(lift)
