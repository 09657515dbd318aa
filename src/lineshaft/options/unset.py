"""The value of an option that was not said."""

from __future__ import annotations

from typing import Any, Final


class _Unset:
    """The value of what was not said: None means something."""

    def __repr__(self) -> str:
        return "unset"


UNSET: Final[Any] = _Unset()
