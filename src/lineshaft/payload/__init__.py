"""Arguments and results as JSON text: checked where they are given, rebuilt by annotation where they are used.

The stored text of a call is `[[positional…],{keyword…}]`, as the caller gave them: positional stays positional,
and defaults are not stored, so that a new default counts for waiting jobs too. A result is its JSON value alone.
"""

from __future__ import annotations

from lineshaft.payload.codecs import Codecs
from lineshaft.payload.picking import Picker
from lineshaft.payload.signature import Signature
from lineshaft.payload.wire import DEFAULT_LIMIT, dump_plain, load_plain

__all__ = ["DEFAULT_LIMIT", "Codecs", "Picker", "Signature", "dump_plain", "load_plain"]
