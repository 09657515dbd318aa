"""Where in the user's code something is said, for errors that name the place."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

_PACKAGE: Final = __name__.partition(".")[0]
_COMMAND_LINE: Final = "click"
"""What calls the commands of this package: where those are called from is not code of the user."""


def calling_place() -> str:
    """Return `file:line` of the innermost call that does not come from this package; "?" where nobody's code called."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the way to it that CPython documents
    while frame is not None and _package_of(frame) == _PACKAGE:
        frame = frame.f_back
    return "?" if frame is None or _package_of(frame) == _COMMAND_LINE else _shown(frame.f_code, frame.f_lineno)


def place_of(func: Any) -> str:
    """Return where a function is defined, `file:line`; without code of its own, how it shows itself."""
    code = getattr(inspect.unwrap(func), "__code__", None)
    return repr(func) if code is None else _shown(code, code.co_firstlineno)


def _package_of(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _shown(code: CodeType, line: int) -> str:
    file = Path(code.co_filename)
    folder = Path.cwd()
    return f"{file.relative_to(folder) if file.is_relative_to(folder) else file}:{line}"
