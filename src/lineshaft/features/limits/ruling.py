"""What rules a gate: what the store knows of its limit goes before what the job's code says."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def said_of(declared: str | None, terms: str, form: type[T]) -> T:
    """Return what the code says: what the store has of it, else what came with the job.

    What the store has may be of another kind, for an app that calls another limit so: then the job's own holds.
    """
    found = None if declared is None else _decoded(declared, form)
    return cast(T, _decoded(terms, form) if found is None else found)


@lru_cache(maxsize=1_000)
def _decoded(text: str, form: type[Any]) -> Any:
    try:
        return msgspec.json.decode(text, type=form)
    except msgspec.MsgspecError:
        return None
