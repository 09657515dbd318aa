"""How a circuit breaker is told: for programs, and in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.cli.output import count_of
from lineshaft.clock import to_micros, to_text

if TYPE_CHECKING:
    from lineshaft.app.breakers import BreakerStatus
    from lineshaft.cli.schemas import BreakerForm

_WORDS = {"closed": "closed", "open": "open", "half_open": "half-open"}


def breaker_form(breaker: BreakerStatus) -> BreakerForm:
    """Return a breaker as `--json` prints it."""
    return {
        "name": breaker.name,
        "state": breaker.state,
        "forced": breaker.forced,
        "since": breaker.since,
        "until": breaker.until,
        "recent_failures": breaker.recent_failures,
        "error": breaker.error,
        "waiting": breaker.waiting,
        "failures": breaker.failures,
        "within": breaker.within.total_seconds(),
        "reset": breaker.reset.total_seconds(),
        "half_open": breaker.half_open,
        "when_open": breaker.when_open,
    }


def state_of(breaker: BreakerStatus) -> str:
    """Return its state, and whether a person has put it there."""
    return _WORDS[breaker.state] + " by hand" * breaker.forced


def ruled_by(breaker: BreakerStatus) -> str:
    """Return in a few words what opens it, and what it does then."""
    within, reset = (to_text(to_micros(one)) for one in (breaker.within, breaker.reset))
    then = "wait" if breaker.when_open == "wait" else "fail"
    opens = f"opens at {count_of(breaker.failures, 'failure')} in {within}; jobs {then} then"
    return f"{opens}; tries {breaker.half_open} at a time after {reset}"
