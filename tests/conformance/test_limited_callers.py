"""Limits, orders and turns hold for jobs that come by name, and for those of every kind of caller's connection."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft import Concurrency, Lineshaft, Order, Rate
from lineshaft.config import parse_store
from lineshaft.engines.callers import is_async_connection
from lineshaft.store.claim import claim_jobs
from tests.conformance.caller_kinds import TRANSACTIONAL, Opener, Store, running_loop
from tests.plugins.apps import eventually
from tests.worker.crew import Hand

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lineshaft import NewJob, Task

    Limited = Task[[int], None, None]
    Enqueue = Callable[[Sequence[str]], list[str]]

WAYS = {name: dialect for name, (dialect, _) in TRANSACTIONAL.items()} | {
    f"by name on {dialect}": dialect for dialect in ("sqlite", "postgres")
}
LIMITS: dict[str, Any] = {
    "places": {"concurrency": Concurrency(2, key="key")},
    "rated": {"rate": Rate(2, per="1d", key="key", burst=2)},
    "ordered": {"concurrency": Order("key")},
    "turns": {"queue": "shared"},
}
WANTED = ["places"] * 5 + ["rated"] * 4 + ["ordered"] * 3


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the async callers."""
    with running_loop() as loop:
        yield loop


@pytest.fixture
def url(request: pytest.FixtureRequest, way: str, tmp_path: Any) -> str:
    """The address of a new store of the engine that this way leads to."""
    is_sqlite = WAYS[way] == "sqlite"
    return f"sqlite:///{tmp_path / 'jobs.db'}" if is_sqlite else request.getfixturevalue("postgres_url")


@pytest.fixture
def app(url: str, make_app: Callable[..., Lineshaft]) -> Lineshaft:
    """An app with a fair queue, `shared`."""
    app = make_app(url)
    app.queues.update("shared", fair="tenant")
    return app


@pytest.fixture
def tasks(app: Lineshaft) -> Mapping[str, Limited]:
    """Tasks that are limited, by their names."""
    return {name: app.task(name=name, **options)(_nothing) for name, options in LIMITS.items()}


def _nothing(key: int) -> None:
    """Never really run."""


@pytest.fixture
def enqueue(
    app: Lineshaft,
    tasks: Mapping[str, Limited],
    way: str,
    url: str,
    make_app: Callable[..., Lineshaft],
    loop: asyncio.AbstractEventLoop,
) -> Enqueue:
    """Enqueues a job of each of the tasks that are named, and returns their ids."""
    if way in TRANSACTIONAL:
        return lambda names: _by_caller(app, TRANSACTIONAL[way][1], loop, [tasks[name].new(1) for name in names])
    stranger = make_app(url)
    stranger.task(name="turns", queue="shared")(_nothing)
    return lambda names: [stranger.enqueue(name, 1).id for name in names]


def _by_caller(
    app: Lineshaft, opener: Opener, loop: asyncio.AbstractEventLoop, jobs: Sequence[NewJob[None]]
) -> list[str]:
    address = parse_store(app.settings.store)
    store = Store(app.runtime().engine, str(address.path or address.url), f"{address.schema}.", loop)
    with opener(store) as caller:
        if is_async_connection(caller.connection):
            found = store.wait(app.aenqueue_many(jobs, connection=caller.connection))
        else:
            found = app.enqueue_many(jobs, connection=caller.connection)
        caller.commit()
    return [job.id for job in found]


@pytest.mark.parametrize("way", WAYS)
def test_limits_hold_wherever_jobs_come_from(
    app: Lineshaft, tasks: Mapping[str, Limited], enqueue: Enqueue, request: pytest.FixtureRequest
) -> None:
    """Places, tokens, orders and turns are the same for jobs whose enqueuer looked at none of them."""
    tasks["turns"].options(tenant="big").enqueue_many([1] * 20)
    ids = enqueue(WANTED)
    in_order = [job_id for job_id, name in zip(ids, WANTED, strict=True) if name == "ordered"]
    [lone] = enqueue(["turns"])
    now = app.runtime().engine.clock.now()
    first = app.runtime().engine.write(lambda tx: claim_jobs(tx, queue="shared", limit=2, worker=8, now=now))
    assert first[1].held.id == lone  # each one's first job, in the order in which they came
    hand = Hand(app, 7, slots=30)
    request.addfinalizer(hand.close)
    ended: Counter[str] = Counter()
    while sum(ended.values()) < 10:
        eventually(lambda: (hand.step(), hand.runs)[1])
        held = Counter(run.name for run in hand.runs)
        assert held["places"] <= 2
        assert [run.id for run in hand.runs if run.name == "ordered"] == in_order[ended["ordered"] :][: held["ordered"]]
        assert held["ordered"] <= 1
        ended += held
        hand.end()
    hand.step(3)
    assert not hand.runs
    assert ended == {"places": 5, "rated": 2, "ordered": 3}
