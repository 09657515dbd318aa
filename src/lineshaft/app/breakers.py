"""`app.breakers`: what circuit breakers do, and opening and closing them by hand."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from lineshaft.app.crossing import twin
from lineshaft.clock import to_datetime
from lineshaft.errors import BreakerNotFound
from lineshaft.events import Subscribers, event_of_news
from lineshaft.features.breaker.moves import Phase
from lineshaft.features.breaker.records import StoredBreaker, list_breakers, move_breaker

if TYPE_CHECKING:
    from lineshaft.app.store import Store
    from lineshaft.features.breaker.moves import ByHand
    from lineshaft.gates import News
    from lineshaft.options.breaker import WhenOpen

State = Literal["closed", "open", "half_open"]

_STATES: Final[dict[Phase, State]] = {
    Phase.CLOSED: "closed",
    Phase.OPEN: "open",
    Phase.HALF_OPEN: "half_open",
    Phase.FORCED_OPEN: "open",
    Phase.FORCED_CLOSED: "closed",
}
_FORCED: Final = (Phase.FORCED_OPEN, Phase.FORCED_CLOSED)
_MOST_NAMES: Final = 10


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A circuit breaker: what it does now, and what rules it."""

    name: str
    state: State
    forced: bool
    """Whether a person has put it into this state, in which it stays until it is reset."""
    since: datetime | None
    """Since when (aware UTC); None: it has never moved."""
    until: datetime | None
    """When it lets jobs through to see, if it is open by itself."""
    recent_failures: int
    """How many failures count, while it is closed."""
    error: str | None
    """The last failure that it knows."""
    waiting: int
    """How many jobs wait for it, counted to 10,000."""
    failures: int
    """How many failures within `within` open it."""
    within: timedelta
    reset: timedelta
    """How long it rests."""
    half_open: int
    """How many jobs it lets through at a time to see."""
    when_open: WhenOpen
    """Whether jobs wait while it is open, or fail."""


class Breakers:
    """The circuit breakers of a store; `named` returns those that this app's code names."""

    def __init__(self, store: Store, subscribers: Subscribers, named: Callable[[], Sequence[str]]) -> None:
        self._store, self._subscribers, self._named = store, subscribers, named

    def list(self) -> list[BreakerStatus]:
        """Return all that a worker's code has named, or that a job has used, by name."""
        return [_status(one) for one in self._read()]

    def get(self, name: str) -> BreakerStatus:
        """Return one breaker; raises `BreakerNotFound`."""
        found = self._read()
        self._check(name, found)
        return next(one for one in map(_status, found) if one.name == name)

    def open(self, name: str) -> BreakerStatus:
        """Have it let no job through until it is reset or closed, and return it; raises `BreakerNotFound`.

        Running jobs go on. Workers that did not notice yet may start a few more, for a second at most.
        """
        return self._move(name, "open")

    def close(self, name: str) -> BreakerStatus:
        """Have it let all jobs through, whatever fails, until it is reset or opened; raises `BreakerNotFound`."""
        return self._move(name, "close")

    def reset(self, name: str) -> BreakerStatus:
        """Have it be closed and decide by itself again, its failures forgotten; raises `BreakerNotFound`."""
        return self._move(name, "reset")

    alist = twin(list)
    aget = twin(get)
    aopen = twin(open)
    aclose = twin(close)
    areset = twin(reset)

    def _read(self) -> builtins.list[StoredBreaker]:
        now = self._store.engine.clock.now()
        return self._store.read(lambda tx: list_breakers(tx, now, self._named()))

    def _move(self, name: str, move: ByHand) -> BreakerStatus:
        self._check(name, self._read())
        now = self._store.engine.clock.now()
        news: News | None = self._store.write(lambda tx, _: move_breaker(tx, name, move, now))
        if news is not None:
            self._subscribers.tell(event_of_news(news))
        return self.get(name)

    def _check(self, name: str, found: Sequence[StoredBreaker]) -> None:
        if all(one.name != name for one in found):
            known = [one.name for one in found]
            shown = ", ".join(known[:_MOST_NAMES]) + (", …" if len(known) > _MOST_NAMES else "")
            msg = f"no breaker is named {name!r}; known are: {shown or 'none, for no worker names one'}"
            raise BreakerNotFound(msg)


def _status(stored: StoredBreaker) -> BreakerStatus:
    terms, state = stored.terms, stored.state
    return BreakerStatus(
        stored.name,
        _STATES[state.phase],
        forced=state.phase in _FORCED,
        since=to_datetime(state.since) if state.since else None,
        until=to_datetime(state.since + terms.reset) if state.phase is Phase.OPEN else None,
        recent_failures=len(state.failures),
        error=state.error,
        waiting=stored.waiting,
        failures=terms.failures,
        within=timedelta(microseconds=terms.within),
        reset=timedelta(microseconds=terms.reset),
        half_open=terms.half_open,
        when_open=terms.when_open,
    )
