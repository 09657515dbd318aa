"""What a worker and its child processes say to each other: tagged msgpack messages, each behind its length."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from lineshaft import outcomes
from lineshaft.outcomes import Cause, Outcome
from lineshaft.store.claim import Claimed

_LENGTH: Final = struct.Struct("!I")
_LARGEST: Final = 1 << 28


class Hello(msgspec.Struct, frozen=True, tag=True):
    """The first word to a child: where the app and its store are, and what the worker's interpreter was given."""

    app_path: str
    store: str
    sys_path: list[str]
    argv: list[str]
    log: tuple[str, str] | None = None
    """How the worker was told to log: format and level."""
    blobs: str | None = None
    """The temporary folder of large values, where the store is in the worker's memory."""


class Start(msgspec.Struct, frozen=True, tag=True):
    """Run a job; `number` counts the jobs of this child, so that no later message can hit another one."""

    number: int
    claimed: Claimed


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Tell the job to stop."""

    number: int
    cause: Cause


class ShowStack(msgspec.Struct, frozen=True, tag=True):
    """Say where the job is."""

    number: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The app is imported, its lifespans are entered: send jobs."""


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The child cannot work and ends: the error's last line, and its traceback."""

    message: str
    traceback: str


class Note(msgspec.Struct, frozen=True, tag=True):
    """What a running job last said of its progress, and all that it logged so far; None: nothing new."""

    number: int
    progress: str | None
    log: str | None


class Ended(msgspec.Struct, frozen=True, tag=True):
    """How a job ended."""

    number: int
    kind: str
    fields: msgspec.Raw
    signals: dict[str, Any] | None = None
    """What features noted about its error, see `Feature.read_error`."""


class Stack(msgspec.Struct, frozen=True, tag=True):
    """Where a job is."""

    number: int
    text: str


ToChild = Hello | Start | Stop | ShowStack
FromChild = Ready | Broken | Note | Ended | Stack

# Outcomes are plain tuples, which carry no tag of their own; `outcomes` alone says which there are.
_OUTCOMES: Final[dict[str, Any]] = {one.__name__: one for one in get_args(outcomes.Outcome)}
_encode: Final = msgspec.msgpack.Encoder().encode
# Not strict: a claimed row holds what its database gave, and SQLite has no truth values, only 0 and 1.
_to_child: Final = msgspec.msgpack.Decoder(ToChild, strict=False)
_from_child: Final = msgspec.msgpack.Decoder(FromChild)


def ended(number: int, outcome: Outcome, signals: Mapping[str, Any] | None = None) -> Ended:
    """Return the message that a job ended like this."""
    noted = None if signals is None else dict(signals)
    return Ended(number, type(outcome).__name__, msgspec.Raw(_encode(outcome)), noted)


def outcome_of(message: Ended) -> Outcome:
    """Return the outcome in a message; raises `ValueError` when it is none."""
    kind = _OUTCOMES.get(message.kind)
    if kind is None:
        msg = f"{message.kind!r} is no outcome; do worker and child run the same version?"
        raise ValueError(msg)
    outcome: Outcome = msgspec.msgpack.decode(message.fields, type=kind)
    return outcome


def frame(message: ToChild | FromChild) -> bytes:
    """Return a message as it goes over the wire."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts what arrives into messages."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Return the messages that these bytes complete; raises `ValueError` for what cannot be one."""
        self._buffer += data
        found = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > _LARGEST:
                msg = f"a message of {length} bytes was announced, which no worker or child sends"
                raise ValueError(msg)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            found.append(self._decoder.decode(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return found


def frames_to_child() -> Frames:
    """Return what cuts messages to a child."""
    return Frames(_to_child)


def frames_from_child() -> Frames:
    """Return what cuts messages from a child."""
    return Frames(_from_child)
