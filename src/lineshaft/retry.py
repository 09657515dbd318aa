"""When a failed attempt is tried again: backoff strategies and the policy that uses them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from lineshaft.clock import HOUR, SECOND, Duration, to_micros
from lineshaft.counts import is_count
from lineshaft.errors import ConfigError

Jitter = Literal["full", "equal", "none"]
Backoff = Callable[[int, BaseException], float]
Errors = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]

_JITTERS: Final = ("full", "equal", "none")
# 2**64 seconds is beyond every cap; without the bound a large attempt number overflows a float.
_LARGEST_EXPONENT: Final = 64
_LARGEST_FACTOR: Final = 1_000


@dataclass(frozen=True, slots=True)
class Exponential:
    """Waits `base * factor ** (attempt - 1)`, at most `cap`, then jittered.

    `full` jitter draws between 0 and the wait, `equal` between half of it and all of it: the two schemes of
    "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    base: Duration = "1s"
    factor: float = 2
    cap: Duration = "1h"
    jitter: Jitter = "full"

    def __post_init__(self) -> None:
        _check_times(self.base, self.cap, self.jitter)
        if not 1 <= self.factor <= _LARGEST_FACTOR:
            msg = f"factor={self.factor!r} of Exponential must be between 1 and 1000"
            raise ConfigError(msg)

    def __call__(self, attempt: int, error: BaseException) -> float:  # noqa: ARG002 - the shape of a Backoff
        """Return the seconds to wait after the given attempt, counted from 1."""
        wait = to_micros(self.base) * self.factor ** min(attempt - 1, _LARGEST_EXPONENT)
        return _jittered(min(wait, to_micros(self.cap)) / SECOND, self.jitter)


@dataclass(frozen=True, slots=True)
class Linear:
    """Waits `base * attempt`, at most `cap`, then jittered."""

    base: Duration = "10s"
    cap: Duration = "1h"
    jitter: Jitter = "none"

    def __post_init__(self) -> None:
        _check_times(self.base, self.cap, self.jitter)

    def __call__(self, attempt: int, error: BaseException) -> float:  # noqa: ARG002 - the shape of a Backoff
        """Return the seconds to wait after the given attempt, counted from 1."""
        return _jittered(min(to_micros(self.base) * attempt, to_micros(self.cap)) / SECOND, self.jitter)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Waits the same time after every attempt, then jittered."""

    wait: Duration = "10s"
    jitter: Jitter = "none"

    def __post_init__(self) -> None:
        _check_times(self.wait, self.wait, self.jitter)

    def __call__(self, attempt: int, error: BaseException) -> float:  # noqa: ARG002 - the shape of a Backoff
        """Return the seconds to wait."""
        return _jittered(to_micros(self.wait) / SECOND, self.jitter)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job is tried and how long it waits in between.

    `max_attempts` counts the first attempt. `backoff` is a strategy or any `(attempt, error) -> seconds`.
    `retry_on` and `give_up_on` are exception types, tuples of them, or `(error) -> bool`; only errors that
    `retry_on` takes (by default every `Exception`) are tried again, and `give_up_on` beats it.
    Raises `ConfigError` when a value is out of range.
    """

    max_attempts: int = 3
    backoff: Backoff = field(default_factory=Exponential)
    retry_on: Errors = Exception
    give_up_on: Errors = ()

    def __post_init__(self) -> None:
        if not is_count(self.max_attempts):
            msg = f"max_attempts={self.max_attempts!r} of Retry must be a whole number from 1"
            raise ConfigError(msg)
        if not callable(self.backoff):
            msg = f"backoff={self.backoff!r} of Retry must be Exponential, Linear, Fixed or (attempt, error) -> seconds"
            raise ConfigError(msg)
        _check_errors("retry_on", self.retry_on)
        _check_errors("give_up_on", self.give_up_on)

    def wants(self, error: BaseException) -> bool:
        """Tell whether this error is of a kind that is tried again."""
        return not _matches(self.give_up_on, error) and _matches(self.retry_on, error)

    def wait(self, attempt: int, error: BaseException) -> int:
        """Return the microseconds to wait after the given attempt."""
        seconds = self.backoff(attempt, error)
        return max(0, min(round(seconds * SECOND), 24 * 365 * HOUR))


def _jittered(seconds: float, jitter: Jitter) -> float:
    match jitter:
        case "full":
            return random.uniform(0, seconds)  # noqa: S311 - spreads load, guards nothing
        case "equal":
            return random.uniform(seconds / 2, seconds)  # noqa: S311 - spreads load, guards nothing
        case "none":
            return seconds


def _matches(errors: Errors, error: BaseException) -> bool:
    if isinstance(errors, type | tuple):
        return isinstance(error, errors)
    return bool(errors(error))


def _check_errors(name: str, errors: Errors) -> None:
    types = errors if isinstance(errors, tuple) else (errors,)
    if callable(errors) and not isinstance(errors, type):
        return
    if not all(isinstance(one, type) and issubclass(one, BaseException) for one in types):
        msg = f"{name}={errors!r} of Retry must be exception types or a function (error) -> bool"
        raise ConfigError(msg)


def _check_times(wait: Duration, cap: Duration, jitter: str) -> None:
    to_micros(wait, "backoff")
    to_micros(cap, "cap")
    if jitter not in _JITTERS:
        msg = f"jitter={jitter!r} of a backoff must be one of 'full', 'equal', 'none'"
        raise ConfigError(msg)


ONCE: Final = Retry(max_attempts=1)
"""What `retry=None` means: one attempt."""
