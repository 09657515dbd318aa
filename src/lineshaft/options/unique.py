"""What makes jobs the same, and what becomes of the second one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lineshaft.clock import Duration, to_micros
from lineshaft.errors import ConfigError
from lineshaft.options.pace import Debounce, Pace, Throttle
from lineshaft.transitions import UNFINISHED, State

OnConflict = Literal["skip", "replace", "error"]


@dataclass(frozen=True, slots=True)
class Unique:
    """Lets one job of its kind exist at a time.

    `by` names the arguments that make jobs the same (default: all of them; `()`: none, one job a task). `within` makes
    it one job in that time since the existing one was enqueued, completed ones included. `states` are the states in
    which an existing job counts (default: every unfinished one, and with `within` completed too). `on_conflict`:
    `skip` returns the existing job, `replace` gives a waiting one the new arguments and times, `error` raises
    `UniqueConflictError`. `Unique.debounce` and `Unique.throttle` make the ones that say when the job runs.
    """

    by: Sequence[str] | str | None = None
    within: Duration | None = None
    states: Sequence[State | str] | None = None
    on_conflict: OnConflict = "skip"
    pace: Pace | None = None
    """What `Unique.debounce` and `Unique.throttle` say; it stands alone with `by`."""

    @staticmethod
    def debounce(quiet: Duration, *, at_most: Duration | None = None, by: Sequence[str] | str | None = None) -> Unique:
        """Let the last one win: the job runs with the newest arguments when none has come for the time `quiet`.

        `at_most` is the longest that a job waits for that since it was enqueued; None: for as long as more come. Each
        enqueue meanwhile is answered with the waiting job. A job that runs or has ended does not count. `by` as in
        `Unique`. Raises `ConfigError` unless 0 < `quiet` <= `at_most`.
        """
        return Unique(by=by, pace=Debounce(quiet, at_most))

    @staticmethod
    def throttle(every: Duration, *, by: Sequence[str] | str | None = None) -> Unique:
        """Start one at most in each time `every`, the later one with the newest arguments.

        The first runs at once. The next one waits until that time has passed since the start of the one before, and
        those that come meanwhile give it their arguments and are answered with it. `by` as in `Unique`. Raises
        `ConfigError` unless 0 < `every`.
        """
        return Unique(by=by, pace=Throttle(every))

    def __post_init__(self) -> None:
        if self.on_conflict not in ("skip", "replace", "error"):
            msg = f"on_conflict={self.on_conflict!r} of Unique must be 'skip', 'replace' or 'error'"
            raise ConfigError(msg)
        self._check_pace()
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

    def _check_pace(self) -> None:
        if self.pace is None:
            return
        if not isinstance(self.pace, Debounce | Throttle):
            msg = f"pace={self.pace!r} of Unique must come of Unique.debounce(...) or Unique.throttle(...)"
            raise ConfigError(msg)
        given = {"within": self.within, "states": self.states, "on_conflict": self.on_conflict}
        wrong = [name for name, value in given.items() if value not in (None, "skip")]
        if wrong:
            msg = f"{wrong[0]}={given[wrong[0]]!r} cannot stand beside {self.pace}, which decides that; leave it out"
            raise ConfigError(msg)
