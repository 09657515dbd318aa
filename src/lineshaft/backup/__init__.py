"""Copies of a store in one file, made and put back while workers run: `lineshaft backup` and `lineshaft restore`.

The file is a SQLite store with a manifest, whichever engine it comes from, and goes back into either.
"""

from lineshaft.backup.manifest import Manifest, read_manifest
from lineshaft.backup.restore import Restored, restore
from lineshaft.backup.write import back_up
from lineshaft.store.watcher import Watcher

__all__ = ["Manifest", "Restored", "Watcher", "back_up", "read_manifest", "restore"]
