"""What makes jobs the same, and what becomes of the second one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lineshaft.clock import Duration, to_micros
from lineshaft.errors import ConfigError
from lineshaft.transitions import UNFINISHED, State

OnConflict = Literal["skip", "replace", "error"]


@dataclass(frozen=True, slots=True)
class Unique:
    """Lets one job of its kind exist at a time.

    `by` names the arguments that make jobs the same (default: all of them; `()`: none, one job a task). `within` makes
    it one job in that time since the existing one was enqueued, completed ones included. `states` are the states in
    which an existing job counts (default: every unfinished one, and with `within` completed too). `on_conflict`:
    `skip` returns the existing job, `replace` gives a waiting one the new arguments and times, `error` raises
    `UniqueConflictError`.
    """

    by: Sequence[str] | str | None = None
    within: Duration | None = None
    states: Sequence[State | str] | None = None
    on_conflict: OnConflict = "skip"

    def __post_init__(self) -> None:
        if self.on_conflict not in ("skip", "replace", "error"):
            msg = f"on_conflict={self.on_conflict!r} of Unique must be 'skip', 'replace' or 'error'"
            raise ConfigError(msg)
        self.window  # noqa: B018 - checks it
        self.counting  # noqa: B018 - checks it

    @property
    def names(self) -> tuple[str, ...] | None:
        """The arguments that count; None for all."""
        return (self.by,) if isinstance(self.by, str) else None if self.by is None else tuple(self.by)

    @property
    def window(self) -> int | None:
        """`within` in microseconds."""
        return None if self.within is None else to_micros(self.within, "within")

    @property
    def counting(self) -> frozenset[State]:
        """The states in which an existing job counts."""
        if self.states is None:
            return UNFINISHED if self.within is None else UNFINISHED | {State.COMPLETED}
        try:
            return frozenset(State(one) for one in self.states)
        except ValueError as error:
            msg = f"states={self.states!r} of Unique: {error}; states are {', '.join(State)}"
            raise ConfigError(msg) from None
