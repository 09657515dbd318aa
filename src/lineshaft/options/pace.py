"""When a job runs that others of its key come after: debounced and throttled ones."""

from __future__ import annotations

from dataclasses import dataclass

from lineshaft.clock import Duration, to_micros
from lineshaft.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Debounce:
    """What `Unique.debounce` was given."""

    quiet: Duration
    at_most: Duration | None = None

    def __post_init__(self) -> None:
        _refuse_none(self.silence, f"quiet={self.quiet!r} of Unique.debounce")
        if self.longest is not None and self.longest < self.silence:
            msg = (
                f"at_most={self.at_most!r} of Unique.debounce is shorter than quiet={self.quiet!r}, "
                "so nothing would ever wait for quiet; give at least as much"
            )
            raise ConfigError(msg)

    @property
    def silence(self) -> int:
        """`quiet` in microseconds."""
        return to_micros(self.quiet, "quiet")

    @property
    def longest(self) -> int | None:
        """`at_most` in microseconds."""
        return None if self.at_most is None else to_micros(self.at_most, "at_most")

    def __str__(self) -> str:
        return "Unique.debounce"


@dataclass(frozen=True, slots=True)
class Throttle:
    """What `Unique.throttle` was given."""

    every: Duration

    def __post_init__(self) -> None:
        _refuse_none(self.interval, f"every={self.every!r} of Unique.throttle")

    @property
    def interval(self) -> int:
        """`every` in microseconds."""
        return to_micros(self.every, "every")

    def __str__(self) -> str:
        return "Unique.throttle"


Pace = Debounce | Throttle


def _refuse_none(micros: int, what: str) -> None:
    if micros == 0:
        msg = f"{what} is no time at all; give a longer one, or leave unique= out to have each job run at once"
        raise ConfigError(msg)
