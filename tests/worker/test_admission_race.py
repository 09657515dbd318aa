"""Several workers and enqueuers at once: no gate is ever over its limit, and nobody is left behind in a line."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest

from lineshaft import Concurrency, Lineshaft, Order
from lineshaft.engines.base import Sql, Statement
from lineshaft.errors import StoreUnavailableError
from lineshaft.outcomes import Done, Failed, Interrupted, JobError, Snoozed
from lineshaft.testing.commits import around_commits
from tests.plugins.apps import LIMIT, own_connection
from tests.worker.crew import Hand, key_of

KEYS: Final = 6
LIMITS: Final = {"race.pair": 2, "race.lone": 1, "race.ordered": 1, "shared": 1}
JOBS: Final = 240
_HELD: Final = Statement(
    "held",
    Sql.parse("select name, args from lineshaft_job where stage = 1 and worker is not null", "sqlite", ()),
    Sql.parse("select name, args from lineshaft.job where worker is not null", "postgres", ()),
)
_PARKED: Final = Statement(
    "parked",
    Sql.parse("select count(*) from lineshaft_job where stage = 5", "sqlite", ()),
    Sql.parse("select count(*) from lineshaft.job where stage = 5", "postgres", ()),
)


class Faults:
    """Fails a few of the transactions, before their commit or with its answer."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a test

    def opening(self) -> None:
        """Nothing fails here."""

    def committing(self) -> None:
        """Roll some back."""
        self._fail()

    def committed(self) -> None:
        """Lose some answers."""
        self._fail()

    def _fail(self) -> None:
        if threading.current_thread().name.startswith("hand") and self._random.random() < 0.01:
            raise StoreUnavailableError("the store failed once")


class Race:
    """Workers and enqueuers in threads, and somebody who looks at what is committed."""

    def __init__(self, app: Lineshaft, *, is_multiple: bool) -> None:
        app.migrate()
        self.app, self.engine = app, app.runtime().engine
        self.is_multiple = is_multiple
        self.stop, self.errors = threading.Event(), list[BaseException]()
        self.worst: Counter[str] = Counter()
        self.looks = 0
        lone = Concurrency(1, key="key", name="lone") if is_multiple else Concurrency(1, key="key")
        pair = [Concurrency(2, key="key"), lone] if is_multiple else Concurrency(2, key="key")

        @app.task(name="race.pair", concurrency=pair)
        def pair_job(key: int) -> None:
            """Two at a time."""

        @app.task(name="race.lone", concurrency=lone)
        def lone_job(key: int) -> None:
            """One at a time."""

        @app.task(name="race.ordered", concurrency=Order("key"))
        def ordered_job(key: int) -> None:
            """One after the other."""

        self.tasks = (pair_job, lone_job, ordered_job)
        self.hands = [Hand(app, 7 + number, slots=4) for number in range(3)]

    def enqueue(self, seed: int) -> None:
        """Enqueue in all ways: one by one, many at once, by name, and on a connection of the user's own."""
        chosen = random.Random(seed)  # noqa: S311 - a test
        left = JOBS // 2
        while left > 0:
            count = min(left, chosen.choice((1, 1, 1, 15)))
            new = [chosen.choice(self.tasks).new(chosen.randrange(KEYS)) for _ in range(count)]
            if chosen.random() < 0.2:
                with own_connection(self.app) as connection:
                    self.app.enqueue_many(new, connection=connection)
                    connection.commit()
            elif chosen.random() < 0.2:
                for one in new:
                    self.app.enqueue(one.name, key=chosen.randrange(KEYS))
            else:
                self.app.enqueue_many(new)
            left -= count

    def work(self, hand: Hand, seed: int) -> None:
        """Claim and end jobs in any way until there are none."""
        chosen = random.Random(seed)  # noqa: S311 - a test
        error = JobError(1, "ValueError", "once more", None, 0)
        outcomes = [Done(None)] * 8 + [Failed(error, 0, 99), Snoozed(1_000), Interrupted()]
        while not self.stop.is_set():
            hand.step()
            for run in chosen.sample(hand.runs, chosen.randrange(len(hand.runs) + 1)):
                hand.end(run, outcome=chosen.choice(outcomes))
            self.stop.wait(chosen.random() * 0.002)

    def watch(self) -> None:
        """Count what is held, over and over."""
        while not self.stop.is_set():
            rows = self.engine.read(lambda tx: tx.run(_HELD, {}))
            held = Counter(f"{name} {key_of(args)}" for name, args in rows)
            if self.is_multiple:
                held += Counter(f"shared {key_of(args)}" for name, args in rows if name != "race.ordered")
            for job, count in held.items():
                self.worst[job.split()[0]] = max(self.worst[job.split()[0]], count)
            self.looks += 1

    def run(self) -> None:
        """Have all of them do their part; raises what one of them raises."""
        threads = [
            *self._threads("hand", [lambda one=one, n=n: self.work(one, n) for n, one in enumerate(self.hands)]),
            *self._threads("watch", [self.watch]),
        ]
        enqueuers = self._threads("client", [lambda: self.enqueue(1), lambda: self.enqueue(2)])
        for one in (*threads, *enqueuers):
            one.start()
        for one in enqueuers:
            one.join(LIMIT)
        deadline = time.monotonic() + 3 * LIMIT
        while not self.errors and time.monotonic() < deadline and self.left():
            self.stop.wait(0.02)
        self.stop.set()
        for one in threads:
            one.join(LIMIT)
        for hand in self.hands:
            hand.close()
        if self.errors:
            raise self.errors[0]

    def left(self) -> int:
        """Return how many jobs are not final."""
        return sum(self.app.queues.get("default").counts.values())

    def lines(self) -> int:
        """Return how many jobs are parked."""
        count: int = self.engine.read(lambda tx: tx.run(_PARKED, {}))[0][0]
        return count

    def _threads(self, name: str, parts: list[Callable[[], None]]) -> list[threading.Thread]:
        return [threading.Thread(target=self._guarded, args=(one,), name=f"{name}-{n}") for n, one in enumerate(parts)]

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:  # noqa: BLE001 - raised by the test
            self.errors.append(error)
            self.stop.set()


@pytest.mark.parametrize("is_multiple", [False, True], ids=["one gate", "two gates"])
def test_no_committed_state_is_over_a_limit(durable_app: Lineshaft, is_multiple: bool) -> None:  # noqa: FBT001
    """With workers, enqueuers and a store that fails now and then, no gate is over its limit and all jobs end."""
    race = Race(durable_app, is_multiple=is_multiple)
    with around_commits(race.engine, Faults(3)):
        race.run()
    assert race.left() == 0, f"{race.left()} jobs are left, {race.lines()} of them in lines"
    assert race.looks
    for name, worst in race.worst.items():
        assert worst <= LIMITS[name], f"{worst} jobs of one key of {name} ran at once"
