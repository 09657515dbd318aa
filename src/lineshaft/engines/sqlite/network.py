"""SQLite's locks and shared memory do not work over a network: such folders are refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import psutil

from lineshaft.errors import ConfigError

_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "afs", "fuse.sshfs", "glusterfs", "ceph"}
    | {"fuse.glusterfs", "lustre", "beegfs", "webdav", "davfs", "fuse.s3fs", "ncpfs", "gpfs"}
)


def refuse_network_file_system(path: Path) -> None:
    """Raise `ConfigError` when the store's folder lies on a network file system (sqlite.org/faq.html#q5)."""
    kind = _file_system_of(path.parent)
    if kind in _NETWORK_FILE_SYSTEMS:
        msg = f"{path} lies on {kind}, where SQLite loses data; use a local folder, or PostgreSQL for several hosts"
        raise ConfigError(msg)


@cache
def _file_system_of(folder: Path) -> str:
    mounts = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    real = folder.resolve()
    return next((mounts[one] for one in (real, *real.parents) if one in mounts), "")
