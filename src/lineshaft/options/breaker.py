"""When jobs leave a dependency alone that fails: a circuit breaker, as a task or a job names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from lineshaft.clock import SECOND, Duration, to_micros
from lineshaft.options.refusals import ErrorTypes, check_errors, check_name, check_whole, checked_time, refused
from lineshaft.options.retries import dump_errors, load_errors

WhenOpen = Literal["wait", "fail"]

_MOST_FAILURES: Final = 1_000
_MOST_PROBES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Breaker:
    """Stops the jobs that need a dependency while it fails, and tries it again with a few.

    `name` is that of the dependency: tasks that say the same name share the breaker, and one that says only the name
    takes the rest from where more is said, or has the defaults; None: the task has one of its own. It opens at
    `failures` failures `within` that time (a duration), rests for `reset`, and then lets `half_open` jobs through: the
    first that succeeds closes it, one that fails opens it again. `on` are the exception types that count (default:
    every failure; a timeout counts as a `TimeoutError`). `when_open`: `wait` keeps jobs in a line and costs them no
    attempt, `fail` fails their attempt with `BreakerOpen`. Raises `ConfigError`, naming the option, when one is wrong.
    """

    name: str | None = None
    failures: int = 5
    within: Duration = "1m"
    reset: Duration = "30s"
    half_open: int = 1
    on: ErrorTypes = ()
    when_open: WhenOpen = "wait"

    def __post_init__(self) -> None:
        check_name("Breaker", self.name)
        check_whole("failures", "Breaker", self.failures, _MOST_FAILURES)
        check_whole("half_open", "Breaker", self.half_open, _MOST_PROBES)
        _check_time("within", self.within, "a failure would be forgotten at once")
        _check_time("reset", self.reset, "it would never rest")
        check_errors("Breaker", self.on)
        if self.when_open not in ("wait", "fail"):
            raise refused(f"when_open={self.when_open!r} of Breaker must be 'wait' or 'fail'")

    def rule(self, task: str) -> str:
        """Return the name of its rule, which is the key of its gate too, for a task of this name."""
        return f"breaker:{self.name or task}"

    def terms(self) -> str:
        """Return what it says beyond the defaults, as JSON in one spelling; `{}`: as it is said elsewhere.

        Durations are in microseconds. `on` is no part of it: it is judged where the job's code is.
        """
        said = {
            "failures": self.failures, "within": to_micros(self.within), "reset": to_micros(self.reset),
            "half_open": self.half_open, "when_open": self.when_open,
        }  # fmt: skip
        beyond = {name: value for name, value in said.items() if value != getattr(_DEFAULTS, name)}
        return msgspec.json.encode(beyond, order="sorted").decode()

    @property
    def says_more(self) -> bool:
        """Whether it says more than its name."""
        return self.terms() != "{}" or bool(self.errors)

    @property
    def errors(self) -> tuple[type[BaseException], ...]:
        """The exception types that count; none: every failure counts."""
        return self.on if isinstance(self.on, tuple) else (self.on,)

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values; raises `ConfigError` when a type in `on` cannot be imported by name."""
        times = {"within": to_micros(self.within) / SECOND, "reset": to_micros(self.reset) / SECOND}
        on = dump_errors("on", self.errors)
        return {
            "name": self.name, "failures": self.failures, **times, "half_open": self.half_open, "on": on,
            "when_open": self.when_open,
        }  # fmt: skip

    @staticmethod
    def load(stored: Mapping[str, Any]) -> Breaker:
        """Return what `dump` gave; raises `ConfigError` when something in it cannot be imported."""
        return Breaker(**{**stored, "on": load_errors(stored["on"])})


class BreakerTerms(msgspec.Struct, frozen=True):
    """What rules a breaker in the store; durations in microseconds."""

    failures: int = 5
    within: int = 60 * SECOND
    reset: int = 30 * SECOND
    half_open: int = 1
    when_open: WhenOpen = "wait"


_DEFAULTS: Final = BreakerTerms()


def _check_time(option: str, value: Duration, otherwise: str) -> None:
    if checked_time(option, "Breaker", value) == 0:
        raise refused(
            f"{option}={value!r} of Breaker is no time at all, so {otherwise}; give a longer one such as '30s'"
        )
