"""Moving a store to another address, in steps that a kill cannot undo: `lineshaft copy`.

At any moment at most one of the two stores is open, so no job can run in both and nothing that was acknowledged is left
behind (docs/decisions/0023).
"""

from lineshaft.copying.copy import Copied, copy_store
from lineshaft.copying.record import Part, Record, get_record
from lineshaft.copying.reopen import reopen

__all__ = ["Copied", "Part", "Record", "copy_store", "get_record", "reopen"]
