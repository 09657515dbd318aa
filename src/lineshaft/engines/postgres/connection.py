"""A connection that does not wait for ever where nothing comes.

A server that works for long and a network that has lost the connection look alike from here. TCP tells them apart where
the other machine is gone, but not where something between the two keeps the connection open. So a server that was
silent for a while is asked on another connection what the session does, and waited for while it works.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, TypeVar

import psycopg
from psycopg import conninfo

from lineshaft.clock import SystemClock

T = TypeVar("T")

DEFAULT_SECONDS: Final = 10
# The kernel gives up a machine that is gone within half a minute, not within hours.
_DEFAULTS: Final[dict[str, int]] = {
    "connect_timeout": DEFAULT_SECONDS,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def with_defaults(url: str) -> str:
    """Return an address that says how long to wait for the network; what it says itself stays."""
    given = conninfo.conninfo_to_dict(url)
    return conninfo.make_conninfo(url, **{name: value for name, value in _DEFAULTS.items() if name not in given})


def seconds_of(url: str) -> float:
    """Return how long a server may be silent: the address's `connect_timeout`."""
    return float(conninfo.conninfo_to_dict(url).get("connect_timeout") or 0) or DEFAULT_SECONDS


class WaryConnection(psycopg.Connection[Any]):
    """A connection that asks after its session when the server is silent, and breaks when that does not work."""

    clock = SystemClock()
    silence_seconds: float = DEFAULT_SECONDS
    is_at_work: Callable[[], bool] = staticmethod(lambda: False)
    """Asks the server, elsewhere, whether it works for this session."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for the answer to what was sent."""
        return super().wait(self._warily(gen), *args, **kwargs)

    def _warily(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        silent_since: float | None = None
        is_lost = False
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    silent_since, is_lost = None, False
                elif is_lost:  # nor has an answer come that was under way while we asked
                    self._give_up()
                elif silent_since is None:
                    silent_since = self.clock.monotonic()
                elif self.clock.monotonic() - silent_since >= self.silence_seconds:
                    silent_since, is_lost = None, not self.is_at_work()
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _give_up(self) -> None:
        self.close()
        msg = f"no answer for {self.silence_seconds:g} s, and no sign that the server works on one"
        raise psycopg.OperationalError(msg)
