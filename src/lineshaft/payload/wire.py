"""The stored text: one JSON array of the positional arguments and the keyword ones, limited in size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from lineshaft.errors import ArgumentsError, PayloadError, PayloadTooLargeError
from lineshaft.payload.codecs import Codecs
from lineshaft.payload.refusals import UnstorableError, advice, first_not_plain, non_finite_path, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DEFAULT_LIMIT: Final = 1_048_576
"""The largest payload unless told otherwise, in bytes of UTF-8: 1 MiB."""

_CALL: Final = msgspec.json.Decoder(tuple[list[Any], dict[str, Any]])
_NO_CODECS: Final = Codecs()


def load_plain(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Read stored arguments as plain JSON values, for showing a job whose task is not known here.

    Args:
        text: What `Signature.dump` or `dump_plain` gave.

    Raises:
        ArgumentsError: The text is not a stored call.
    """
    try:
        args, kwargs = _CALL.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ArgumentsError(f"the stored arguments cannot be read ({one_line(error)}); enqueue the job anew") from None
    return tuple(args), kwargs


def dump_plain(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, limit: int = DEFAULT_LIMIT) -> str:
    """Return the stored text of a call to a task whose code is not known here: plain JSON arguments only.

    Args:
        name: The task's name, for messages.
        args: The positional arguments.
        kwargs: The keyword arguments.
        limit: The largest size of the text, in bytes of UTF-8.

    Raises:
        PayloadError: An argument is not plain JSON.
        PayloadTooLargeError: The text is larger than the limit.
    """
    given = [(f"args[{index}]", value) for index, value in enumerate(args)] + list(kwargs.items())
    for argument, value in given:
        place = f"argument {argument!r} of task {name!r}"
        encode(value, _NO_CODECS, place, argument)
        _check_plain(value, place, argument)
    encoded = _NO_CODECS.encoder.encode((args, kwargs))
    if len(encoded) > limit:
        raise too_large(f"the arguments of task {name!r}", len(encoded), limit, given, _NO_CODECS)
    return encoded.decode()


def encode(value: Any, codecs: Codecs, place: str, path: str) -> bytes:
    """Return a value's JSON, or refuse it by name.

    Args:
        value: The value to store.
        codecs: The app's codecs.
        place: What the value is, for messages: "argument 'x' of task 'y'".
        path: The value's short name, to which places inside are added.

    Raises:
        PayloadError: The value cannot be stored.
    """
    try:
        encoded = codecs.encoder.encode(value)
        # msgspec writes NaN and infinities as null, so only a text with a null can hide one.
        wrong = non_finite_path(_builtins(value, codecs), path) if b"null" in encoded else None
    except UnstorableError as error:
        raise PayloadError(f"{place} {_holds(value, error.value)}{advice(error.value)}") from None
    except RecursionError:
        raise too_deep(place) from None
    except UnicodeEncodeError:
        raise PayloadError(f"{place} holds a lone surrogate, which is no text; decode it properly first") from None
    except Exception as error:
        # A codec or a model's serializer is the user's code and may raise anything; the message must name the place.
        said = f"{type(error).__qualname__}: {one_line(error)}"
        raise PayloadError(f"{place} cannot be stored ({said}); mend the value or its codec") from error
    if wrong:
        raise PayloadError(f"{place} is NaN or infinite at {wrong}, which JSON cannot hold; pass None or text instead")
    return encoded


def too_deep(place: str) -> PayloadError:
    """Return the error for a value that contains itself, or is nested beyond what Python can follow."""
    return PayloadError(f"{place} contains itself or is nested too deeply; pass it flattened, or by id")


def too_large(
    what: str, size: int, limit: int, parts: Iterable[tuple[str, Any]], codecs: Codecs
) -> PayloadTooLargeError:
    """Return the error for a text over the limit.

    Args:
        what: What is too large, for the message.
        size: Its size in bytes of UTF-8.
        limit: The largest size allowed, in bytes.
        parts: The names and storable values it is made of; the largest is named. May be empty.
        codecs: The app's codecs.
    """
    sizes = [(len(codecs.encoder.encode(value)), name) for name, value in parts]
    largest = "; the largest is {1!r} with {0:,} bytes".format(*max(sizes)) if sizes else ""
    return PayloadTooLargeError(
        f"{what}: {size:,} bytes are over the limit of {limit:,}{largest}; "
        "pass a large value as lineshaft.Blob, or pass a reference, such as a path or an id"
    )


def _check_plain(value: Any, place: str, path: str) -> None:
    try:
        found = first_not_plain(value, path)
    except RecursionError:
        raise too_deep(place) from None
    if found:
        raise PayloadError(
            f"{place} holds a {type(found[1]).__qualname__} at {found[0]}, and the task's code is not known here "
            "to rebuild it; pass plain JSON values, or enqueue through the task itself"
        )


def _holds(value: Any, culprit: Any) -> str:
    return "" if value is culprit else "holds a value that "


def _builtins(value: Any, codecs: Codecs) -> Any:
    return msgspec.to_builtins(value, enc_hook=codecs.dump_hook, str_keys=True)
