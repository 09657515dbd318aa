"""A limit that learns how many jobs what they use can take, as a task or a job names it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lineshaft.clock import SECOND, Duration
from lineshaft.options.limits import check_key
from lineshaft.options.refusals import (
    ErrorTypes,
    check_errors,
    check_flag,
    check_name,
    check_whole,
    checked_time,
    refused,
)
from lineshaft.options.retries import dump_errors, load_errors

_FACTOR: Final = re.compile(r"(\d+(?:\.\d+)?)x")
# Each decision reads the gate's running jobs: beyond this it would cost more than the jobs.
_MOST: Final = 5_000
_LARGEST_FACTOR: Final = 1_000


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Lets as many jobs run at once, over all workers, as what they use turns out to take.

    The limit begins at `start` (default: `low`) and moves between `low` and `high`: up while jobs succeed and use it,
    down on an error that says "too much": a type in `on`, one whose `status`, `status_code` or `code` is 429 or 503,
    or `RetryLater`. With `latency` also when jobs get slow: `"2x"` is twice their quickest of the last ten minutes, a
    duration is a time that they should not exceed. `key` names the arguments that have a limit each, `per_tenant`
    gives each tenant its own; tasks that say the same `name` share it. Raises `ConfigError`, naming the option, when
    one is wrong.
    """

    low: int = 1
    high: int = 50
    start: int | None = None
    key: str | Sequence[str] | None = None
    on: ErrorTypes = ()
    latency: Duration | None = None
    name: str | None = None
    per_tenant: bool = False

    def __post_init__(self) -> None:
        check_whole("low", "Adaptive", self.low, _MOST)
        check_whole("high", "Adaptive", self.high, _MOST)
        if self.low > self.high:
            raise refused(
                f"low={self.low} of Adaptive is above high={self.high}; give a low one of at most the high one"
            )
        self._check_start()
        check_key(self.key, "Adaptive")
        if isinstance(self.key, list):
            object.__setattr__(self, "key", tuple(self.key))
        check_errors("Adaptive", self.on)
        check_name("Adaptive", self.name)
        _slow(self.latency)
        check_flag("per_tenant", "Adaptive", self.per_tenant)

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments whose values have a limit each."""
        return () if self.key is None else (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def errors(self) -> tuple[type[BaseException], ...]:
        """The exception types that say "too much", beside those that say so by themselves."""
        return self.on if isinstance(self.on, tuple) else (self.on,)

    def rule(self, task: str) -> str:
        """Return the name of its rule for a task of this name."""
        return self.name or ".".join((task, "adaptive", *self.names))

    def terms(self) -> str:
        """Return its bounds and what is slow, as JSON in one spelling; durations in microseconds."""
        factor, slow = _slow(self.latency)
        said = AdaptiveTerms(self.low, self.high, self.start, factor, slow, self.names, self.per_tenant)
        return msgspec.json.encode(said, order="sorted").decode()

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values; raises `ConfigError` when a type in `on` cannot be imported by name."""
        factor, slow = _slow(self.latency)
        latency = self.latency if factor is not None else None if slow is None else slow / SECOND
        return {
            "low": self.low, "high": self.high, "start": self.start, "key": list(self.names) or None,
            "on": dump_errors("on", self.errors), "latency": latency, "name": self.name,
            "per_tenant": self.per_tenant,
        }  # fmt: skip

    @staticmethod
    def load(stored: Mapping[str, Any]) -> Adaptive:
        """Return what `dump` gave; raises `ConfigError` when something in it cannot be imported."""
        key: Any = tuple(stored["key"]) if stored["key"] else None
        return Adaptive(**{**stored, "key": key, "on": load_errors(stored["on"])})

    def _check_start(self) -> None:
        if self.start is None:
            return
        check_whole("start", "Adaptive", self.start, _MOST)
        if not self.low <= self.start <= self.high:
            raise refused(f"start={self.start} of Adaptive must be between its low={self.low} and high={self.high}")


class AdaptiveTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules a limit that learns in the store; `key` and `per_tenant` are for people."""

    low: int
    high: int
    start: int | None = None
    factor: float | None = None
    """Of what multiple of the quickest time on jobs are slow."""
    slow: int | None = None
    """Of what time on they are, in microseconds."""
    key: tuple[str, ...] = ()
    per_tenant: bool = False


def _slow(latency: Duration | None) -> tuple[float | None, int | None]:
    """Return the factor or the time, in microseconds, beyond which jobs are slow."""
    if latency is None:
        return None, None
    if isinstance(latency, str) and (found := _FACTOR.fullmatch(latency)):
        factor = float(found[1])
        if not 1 < factor <= _LARGEST_FACTOR:
            raise refused(f"latency={latency!r} of Adaptive must be more than '1x' and at most '{_LARGEST_FACTOR}x'")
        return factor, None
    micros = checked_time("latency", "Adaptive", latency)
    if micros == 0:
        raise refused(
            f"latency={latency!r} of Adaptive would make every job slow; give a longer time, a factor, or None"
        )
    return None, micros
