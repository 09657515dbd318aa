"""What a duty meets instead of an answer: said once for each kind, and met with growing pauses."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final

from lineshaft.errors import StoreError

_log = logging.getLogger("lineshaft.leader")

_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 30.0


class Trouble:
    """The troubles of one duty since it last went well."""

    def __init__(self, duty: str) -> None:
        self._duty = duty
        self._told: set[tuple[type[Exception], int]] = set()
        self._pause = 0.0

    def met(self, error: Exception) -> float:
        """Say what it is, unless that was said, and return how many seconds to wait."""
        kind = type(error), 0 if isinstance(error, StoreError) else _line_of(error.__traceback__)
        if kind not in self._told:
            self._told.add(kind)
            self._tell(error)
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        return self._pause

    def is_over(self) -> None:
        """Forget all troubles: the duty went well."""
        if self._told:
            _log.warning("the leader's %s goes on", self._duty)
            self._told.clear()
            self._pause = 0.0

    def _tell(self, error: Exception) -> None:
        if isinstance(error, StoreError):
            _log.warning("the leader's %s failed, it is tried again: %s", self._duty, error)
        else:
            _log.error("the leader's %s met an error, it is tried again", self._duty, exc_info=error)


def _line_of(traceback: TracebackType | None) -> int:
    """Return the number of the line that raised."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return 0 if traceback is None else traceback.tb_lineno
