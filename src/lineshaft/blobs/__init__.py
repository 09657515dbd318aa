"""Large values: bytes, files and streams that jobs take and give, kept beside the store and not in it.

A payload holds a small reference. The content lies in a place (a folder, or whatever `fsspec` reaches) under a key of
which the job's id is a part: each job owns its blobs, so that they can go when the job goes.
"""

from __future__ import annotations

from lineshaft.blobs.blob import Blob
from lineshaft.blobs.depot import Depot, folder_beside, open_depot, temporary_depot
from lineshaft.blobs.references import by_content, noted, taken

__all__ = ["Blob", "Depot", "by_content", "folder_beside", "noted", "open_depot", "taken", "temporary_depot"]
