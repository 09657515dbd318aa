"""Faults in an app of this process: delays, errors, outages of the store, and workers that are torn away."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lineshaft.clock import SECOND, Clock, Duration, to_micros
from lineshaft.errors import ConfigError, StoreUnavailableError
from lineshaft.testing.commits import around_commits

if TYPE_CHECKING:
    from lineshaft import Lineshaft
    from lineshaft.worker.worker import Worker

_KILL_LOOK_SECONDS: Final = 0.5
_WEIGHTS: Final = {"outage": 0.1}
"""An outage fails every call for a while: as frequent as the others, it would leave no time without one."""
_SEEDS: Final = 1_000_000


class Chaos:
    """The faults of one block: `seed` repeats their sequence, `faults` counts those that were injected, by kind."""

    def __init__(self, seed: int, rate: float, kinds: dict[str, float], clock: Clock) -> None:
        self.seed, self.rate = seed, rate
        self.faults: Counter[str] = Counter()
        self.kinds, self._clock = kinds, clock
        """What may happen, with the seconds that it may last at most."""
        self._random = random.Random(seed)  # noqa: S311 - repeatable faults, no secret
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._away_until = 0.0
        self._here = threading.local()

    def opening(self) -> None:
        """Delay or refuse a transaction that begins."""
        if self._clock.monotonic() < self._away_until and not self._is_spared:
            raise StoreUnavailableError("chaos: the store is away for a moment; it comes back by itself")
        match self._draw("delay", "error", "outage"):
            case "delay", share:
                self._pause.wait(share * self.kinds["delay"])
            case "error", _:
                raise StoreUnavailableError("chaos: a call of the store failed before anything was done")
            case "outage", share:
                self._away_until = self._clock.monotonic() + share * self.kinds["outage"]
                raise StoreUnavailableError("chaos: the store has gone away; it comes back by itself")
            case _:
                return

    def committing(self) -> None:
        """Fail a transaction that is then rolled back."""
        if self._draw("error"):
            raise StoreUnavailableError("chaos: the store failed before the commit; nothing was written")

    def committed(self) -> None:
        """Lose the answer to a commit."""
        if self._draw("error"):
            raise StoreUnavailableError("chaos: the answer to a commit got lost; everything was written")

    def wants_kill(self) -> bool:
        """Tell whether a worker is torn away now."""
        return self._draw("kill") is not None

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Inject nothing into what this thread does in the block."""
        self._here.is_spared = True
        try:
            yield
        finally:
            self._here.is_spared = False

    @property
    def _is_spared(self) -> bool:
        return getattr(self._here, "is_spared", False)

    def _draw(self, *kinds: str) -> tuple[str, float] | None:
        """Return a fault with its share of the longest time that it may last, or None, as the seed says."""
        if self._is_spared:
            return None
        with self._lock:
            possible = [kind for kind in kinds if kind in self.kinds]
            if not possible or self._random.random() >= self.rate:
                return None
            [kind] = self._random.choices(possible, [_WEIGHTS.get(one, 1.0) for one in possible])
            found = kind, self._random.random()
            self.faults[found[0]] += 1
            return found

    def __repr__(self) -> str:
        """Say how to have the same faults again."""
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items())) or "none yet"
        return f"chaos(seed={self.seed}, rate={self.rate}): {told}"


@contextmanager
def chaos(
    app: Lineshaft,
    *,
    seed: int | None = None,
    rate: float = 0.05,
    delays: Duration | None = "50ms",
    errors: bool = True,
    outages: Duration | None = None,
    kills: bool = False,
) -> Iterator[Chaos]:
    """Inject faults into everything that the app does in this process, for the length of the block.

    `rate` is the share of the store's calls with a fault; `delays` and `outages` are the longest times they may last,
    None for none; `errors` fail calls before or after their commit; `kills` tears workers of `app.worker()` away that
    were started inside the block, and starts others: their running jobs are put back. `seed` repeats the sequence of
    faults, dealt out to calls in the order in which these come; an error that leaves the block tells it. Raises
    `ConfigError` for a rate outside 0 to 1.
    """
    if not 0 <= rate <= 1:
        msg = f"rate={rate!r} must be a number from 0 to 1: the share of calls that go wrong"
        raise ConfigError(msg)
    engine = app.runtime().engine  # the schema is in place before the first fault
    kinds = {"delay": _seconds(delays, "delays"), "outage": _seconds(outages, "outages")}
    kinds |= {"error": float(errors), "kill": float(kills)}
    chosen = random.randrange(_SEEDS) if seed is None else seed  # noqa: S311 - repeatable faults, no secret
    faults = Chaos(chosen, rate, {kind: longest for kind, longest in kinds.items() if longest}, engine.clock)
    with around_commits(engine, faults), _workers_wrapped(app, faults):
        try:
            yield faults
        except BaseException as error:
            error.add_note(repr(faults))
            raise


def _seconds(duration: Duration | None, name: str) -> float:
    return 0.0 if duration is None else to_micros(duration, name) / SECOND


@contextmanager
def _workers_wrapped(app: Lineshaft, faults: Chaos) -> Iterator[None]:
    make = app.make_worker
    started: list[_Replaceable] = []

    def make_replaceable(*args: Any, **options: Any) -> Any:
        started.append(_Replaceable(lambda: make(*args, **options), faults))
        return started[-1]

    setattr(app, "make_worker", make_replaceable)  # noqa: B010 - a method of its class
    try:
        yield
    finally:
        del app.make_worker  # the class's own is back
        for one in started:
            one.end_faults()


class _Replaceable:
    """Stands for a worker that may be torn away and replaced, again and again, until it is stopped."""

    def __init__(self, make: Callable[[], Worker], faults: Chaos) -> None:
        self._make, self._faults = make, faults
        with faults.spared():
            self._worker = make()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tear, name="lineshaft-chaos", daemon=True)

    def __getattr__(self, name: str) -> Any:
        """Be the worker of the moment."""
        return getattr(self._worker, name)

    def start(self) -> None:
        """Start the worker and what tears it away."""
        self._start_worker()
        if "kill" in self._faults.kinds:
            self._thread.start()

    def stop(self, grace: float | None = None) -> None:
        """Stop the worker for good."""
        self.end_faults()
        self._worker.stop(grace)

    def end_faults(self) -> None:
        """Let the worker be."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _tear(self) -> None:
        while not self._is_over.wait(_KILL_LOOK_SECONDS):
            if self._faults.wants_kill():
                self._worker.stop(0)
                with self._faults.spared():  # it brings the store's schedules in line
                    self._worker = self._make()
                self._start_worker()

    def _start_worker(self) -> None:
        with self._faults.spared():  # at its start a worker refuses a store that is away: that is for its caller to see
            self._worker.start()
