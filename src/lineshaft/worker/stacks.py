"""Where code is at the moment, as text: of a thread, or of a task that waits."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any


def thread_stack(ident: int | None) -> str:
    """Return the stack of a thread, empty when it has ended."""
    frame = sys._current_frames().get(ident or 0)  # noqa: SLF001 - the documented way to another stack
    return "".join(traceback.format_stack(frame)) if frame else ""


def task_stack(task: asyncio.Task[Any]) -> str:
    """Return the coroutines of a task, down to the one that waits; `Task.print_stack` ends at the outermost."""
    frames = [(frame, frame.f_lineno) for frame in _frames(task.get_coro())]
    return "".join(traceback.StackSummary.extract(iter(frames)).format())


def _frames(awaitable: Any) -> Iterator[FrameType]:
    while awaitable is not None:
        frame = getattr(awaitable, "cr_frame", None) or getattr(awaitable, "gi_frame", None)
        if frame is None:
            return
        yield frame
        awaitable = getattr(awaitable, "cr_await", None) or getattr(awaitable, "gi_yieldfrom", None)
