"""A store's blobs: written before their job is stored, found again by reference, swept when their job is gone."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final

from lineshaft.blobs.blob import Blob, source_of, stored_blob
from lineshaft.blobs.content import Content, StoredContent
from lineshaft.blobs.keys import is_job, is_key, is_over, new_key, owner_of
from lineshaft.blobs.place import Place, open_place
from lineshaft.blobs.references import NAME, find_pending, refer
from lineshaft.config import AUTO, StoreAddress
from lineshaft.errors import BlobError, ConfigError

_log = logging.getLogger("lineshaft.store")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REFERENCE: Final = re.compile(r'\{"\$blob":"([^"]+)","size":')
_AT_ONCE: Final = 100
TEMPORARY_ROOT: Final = "memory"

Stored = Callable[[Sequence[str]], set[str]]
"""Tells which of some ids are those of stored jobs."""


class Depot:
    """The blobs of one store.

    `address` is where they are kept, None when nobody said; `root()` is asked once for the name of the store there.
    """

    def __init__(self, address: str | None = None, root: Callable[[], str] = lambda: TEMPORARY_ROOT) -> None:
        self._address, self._root = address, root

    @property
    def address(self) -> str | None:
        """Where the blobs are kept."""
        return self._address

    @cached_property
    def place(self) -> Place:
        """Where the blobs are kept; raises `ConfigError` when nobody said, or a driver is missing."""
        if self._address is None:
            msg = (
                "nothing says where to keep the blobs of this PostgreSQL store, which other hosts have to read too; "
                "set blobs= or LINESHAFT_BLOBS to a folder that all share, or to an address such as s3://bucket/jobs"
            )
            raise ConfigError(msg)
        return open_place(self._address)

    @cached_property
    def root(self) -> str:
        """What the keys of this store begin with."""
        return self._root()

    def writer(self, now: int) -> Writer:
        """Return what writes the blobs of one call; `now` is in microseconds since the epoch."""
        return Writer(self, now)

    def load(self, raw: Any) -> Blob:
        """Return the blob of a reference, without a look at its content; raises `ValueError` when it is none."""
        key = raw.get(NAME) if isinstance(raw, dict) else None
        blob = find_pending(key)
        if blob is not None:
            return blob
        size, sha256 = (raw.get("size"), raw.get("sha256")) if isinstance(raw, dict) else (None, None)
        if not (is_key(key) and isinstance(size, int) and isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
            msg = "a blob is given as lineshaft.Blob, from Python code"
            raise ValueError(msg)
        return stored_blob(self.stored(str(key), size, sha256))

    def stored(self, key: str, size: int, sha256: str) -> StoredContent:
        """Return a content that was written here."""
        return StoredContent(lambda: self.place, key, size, sha256)

    def discard(self, payloads: Iterable[str], stored: Stored) -> None:
        """Delete the blobs that these payloads refer to and whose job is gone; what fails is left to the sweep."""
        keys = [key for text in payloads for key in _REFERENCE.findall(text) if is_key(key)]
        if not keys:
            return
        kept = stored([owner_of(key) for key in keys])
        try:
            for key in keys:
                if owner_of(key) not in kept and key.startswith(f"{self.root}/"):
                    self.place.delete(key)
        except (BlobError, ConfigError) as error:
            _log.warning("deleting the blobs of deleted jobs failed, it is tried again within two days: %s", error)

    def sweep(self, now: int, stored: Stored) -> Iterator[None]:
        """Delete the blobs of jobs that are not stored, in pieces; raises `BlobError` when the place fails.

        Blobs of today and yesterday are left alone: their jobs may be about to be stored.
        """
        if self.address is None:
            return
        for day in sorted(self.place.list(self.root)):
            if is_over(day, now):
                yield from self._sweep_day(f"{self.root}/{day}", stored)

    def _sweep_day(self, day: str, stored: Stored) -> Iterator[None]:
        jobs = (name for name in self.place.list(day) if is_job(name))
        is_empty = True
        while found := list(islice(jobs, _AT_ONCE)):
            kept = stored(found)
            if len(kept) < len(found):
                self.place.delete_below(*(f"{day}/{job}" for job in found if job not in kept))
            is_empty = is_empty and not kept
            yield
        if is_empty:
            self.place.delete_below(day)


class Writer:
    """Writes the blobs of the jobs of one enqueue, or of one result; a content that several take is written once."""

    def __init__(self, depot: Depot, now: int) -> None:
        self._depot, self._now = depot, now
        self._written: dict[str, StoredContent] = {}

    def settle(self, payload: str, blobs: Iterable[Blob], job_id: str) -> str:
        """Write a job's blobs and return its payload with references to them; raises `BlobError`."""
        for blob in blobs:
            payload = refer(payload, blob, self._kept(blob, job_id))
        return payload

    def _kept(self, blob: Blob, job_id: str) -> StoredContent:
        place, source = self._depot.place, source_of(blob)
        known = self._written.get(source.token) or source.content
        if isinstance(known, StoredContent) and known.place is place:
            if owner_of(known.key) == job_id:
                return known
            kept = self._depot.stored(self._key(job_id), known.size, known.sha256)
            place.copy(known.key, kept.key)
        else:
            kept = self._write(known, job_id)
        source.now_stored(kept)
        self._written[source.token] = kept
        return kept

    def _write(self, content: Content, job_id: str) -> StoredContent:
        key, meter = self._key(job_id), _Meter()
        self._depot.place.write(key, meter.over(content.chunks()))
        return self._depot.stored(key, meter.size, meter.sha256)

    def _key(self, job_id: str) -> str:
        return new_key(self._depot.root, self._now, job_id)


class _Meter:
    """Counts and hashes what goes past."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            self._hash.update(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def open_depot(blobs: str, store: StoreAddress, root: Callable[[], str]) -> Depot:
    """Return the depot of a store, as the setting `blobs` says; nothing is opened or made before it is used."""
    if store.kind == "memory":
        return temporary_depot()
    if blobs != AUTO:
        return Depot(blobs.removeprefix("file://"), root)
    return Depot(folder_beside(store), root)


def folder_beside(store: StoreAddress) -> str | None:
    """Return the folder in which the blobs of a SQLite file are kept by default; None for other stores."""
    return f"{store.path}-blobs" if store.kind == "sqlite" else None


def temporary_depot() -> Depot:
    """Return a depot in a temporary folder, which is made when it is asked for and ends with the depot."""
    return TemporaryDepot()


class TemporaryDepot(Depot):
    """Blobs of a store in memory."""

    @cached_property
    def folder(self) -> str:
        """The folder; a child process of this one may be told of it."""
        path = tempfile.mkdtemp(prefix="lineshaft-blobs-")
        weakref.finalize(self, _remove, path, os.getpid())
        return path

    @property
    def address(self) -> str:
        """Where the blobs are kept."""
        return self.folder

    @cached_property
    def place(self) -> Place:
        """The folder."""
        return open_place(self.folder)

    def sweep(self, now: int, stored: Stored) -> Iterator[None]:
        """As that of other depots; a folder that nobody used is not made for it."""
        return super().sweep(now, stored) if "folder" in self.__dict__ else iter(())


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner:  # not in a fork of the process whose folder it is
        shutil.rmtree(path, ignore_errors=True)
