"""How a payload names blobs: by a token until the job is stored, by place, size and hash afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.blobs.blob import Blob, source_of

if TYPE_CHECKING:
    from lineshaft.blobs.content import StoredContent

NAME: Final = "$blob"
_encode: Final = msgspec.json.Encoder().encode


class _Noted(threading.local):
    """The blobs that this thread has put into payloads since it was last asked."""

    def __init__(self) -> None:
        self.blobs: list[Blob] = []


noted: Final = _Noted()
"""A payload without blobs costs one look at an empty list."""


def pending(blob: Blob) -> dict[str, str]:
    """Return the JSON form of a blob in a job that is not stored yet, and note the blob."""
    noted.blobs.append(blob)
    return {NAME: source_of(blob).token}


def find_pending(token: object) -> Blob | None:
    """Return the blob of a payload that is just being made."""
    return next((blob for blob in noted.blobs if source_of(blob).token == token), None)


def taken(text: str) -> tuple[Blob, ...]:
    """Return the blobs of a payload that was just made, and forget them and those of payloads that were refused."""
    blobs = {source_of(blob).token: blob for blob in noted.blobs}
    noted.blobs.clear()
    return tuple(blob for token, blob in blobs.items() if token in text)


def by_content(text: str, blobs: Iterable[Blob]) -> str:
    """Name blobs in a text by what is in them, so that it is equal for equal contents; reads files."""
    for blob in blobs:
        text = text.replace(source_of(blob).token, blob.sha256)
    return text


def refer(text: str, blob: Blob, content: StoredContent) -> str:
    """Name a blob in a payload by where it is stored now."""
    reference = {NAME: content.key, "size": content.size, "sha256": content.sha256}
    return text.replace(_text({NAME: source_of(blob).token}), _text(reference))


def _text(value: Any) -> str:
    return _encode(value).decode()
