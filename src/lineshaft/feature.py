"""The seams that a feature may fill. All of them do nothing, and with no feature in play they cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lineshaft.options import Options

Write = Callable[[Callable[[Any], Any]], Any]


@dataclass(slots=True)
class Incoming:
    """A job on its way into the store. A feature may answer it with a job that exists: nothing new is stored then."""

    row: dict[str, Any]
    """The row to be stored, `store.enqueue.NewRow`."""
    options: Options
    unique_text: str | None
    existing_id: str | None = None


class Feature:
    """One feature; `tx` is the open transaction (`engines.base.Tx`), `now` microseconds since the epoch."""

    def wants(self, options: Options) -> bool:  # noqa: ARG002 - a seam
        """Tell whether jobs with these options concern this feature at enqueue."""
        return False

    def before_enqueue(self, tx: Any, jobs: Sequence[Incoming], now: int) -> None:
        """Look at jobs about to be stored, in the transaction that stores them."""

    def periodic(self, write: Write, now: int) -> None:
        """Do what has to be done about once an hour; `write(operation)` runs `operation(tx)` in a transaction."""
