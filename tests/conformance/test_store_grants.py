"""Limits of whole queues in the store: who may claim what, and what becomes of a worker's places."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import SECOND
from lineshaft.store.claim import claim_jobs
from lineshaft.store.control import pause_queue
from lineshaft.store.grants import (
    Flow,
    Heard,
    Holder,
    QueueRate,
    Wanted,
    change_flow,
    claim_granted,
    declare_worker,
    heard,
    list_grants,
    lock_queues,
    own_places,
    revoke_worker,
    see_flow,
    trim_grant,
    write_gates,
    write_grants,
)
from lineshaft.store.upkeep import beat, register_worker, remove_worker
from tests.plugins.engines import NOW, new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine
    from lineshaft.store.grants import Gated


def join(engine: Engine, *queues: str) -> int:
    """Start a worker, which says what it holds of gated queues."""
    served = dict.fromkeys(queues or ("pdf",), 5)

    def operate(tx: Any) -> int:
        worker = register_worker(tx, host="h", pid=1, version="1", queues=served, tasks=[], now=NOW)
        declare_worker(tx, worker, served)
        return worker

    return engine.write(operate)


def change(engine: Engine, queue: str = "pdf", **changes: Any) -> None:
    """Change what limits a queue."""
    engine.write(lambda tx: change_flow(tx, queue, changes, now=NOW))


def grant(engine: Engine, worker: int, places: int, queue: str = "pdf") -> None:
    """Grant a worker places."""
    engine.write(lambda tx: (lock_queues(tx, [queue], worker=worker), write_grants(tx, {queue: places}, worker=worker)))


def seen_by(engine: Engine, worker: int, queue: str = "pdf") -> Gated:
    """What a worker sees that asks."""
    return engine.write(lambda tx: lock_queues(tx, [queue], worker=worker))[queue]


def claimed(engine: Engine, worker: int, places: int, limit: int = 10) -> int:
    """How many jobs a worker gets by its grant."""
    return len(
        engine.write(lambda tx: claim_granted(tx, queue="pdf", limit=limit, worker=worker, now=NOW, places=places))
    )


def test_a_limit_counts_at_once(engine: Engine) -> None:
    """From the moment on that a queue has a limit, a claim without a grant takes nothing; without limit it does."""
    worker = join(engine)
    store_rows(engine, *(new_row(queue="pdf") for _ in range(3)))

    def claim(*, is_granted: bool = False) -> int:
        return len(
            engine.write(lambda tx: claim_jobs(tx, queue="pdf", limit=1, worker=worker, now=NOW, is_granted=is_granted))
        )

    assert claim() == 1
    change(engine, concurrency=2)
    assert claim() == 0
    assert claim(is_granted=True) == 1
    change(engine, concurrency=None)
    assert claim() == 1


def test_settings_are_merged(engine: Engine) -> None:
    """A change says what it changes; the rest stays, also what others keep there, and None takes one away."""
    change(engine, concurrency=2, rate={"count": 5, "per": SECOND}, fair={"by": "tenant", "weights": {}})
    change(engine, concurrency=3)
    assert engine.read(lambda tx: see_flow(tx, "pdf")) == (Flow(3, QueueRate(5, SECOND)), 0)
    change(engine, rate=None)
    assert engine.read(lambda tx: see_flow(tx, "pdf"))[0] == Flow(3)
    change(engine, concurrency=None)
    assert engine.read(lambda tx: see_flow(tx, "pdf"))[0] == Flow()
    assert engine.read(lambda tx: see_flow(tx, "other")) == (Flow(), 0)


def test_claims_by_grant(engine: Engine) -> None:
    """A claim takes jobs as long as the store grants as many places as the worker believes to have."""
    worker = join(engine)
    store_rows(engine, *(new_row(queue="pdf") for _ in range(4)))
    assert claimed(engine, worker, 0, limit=1) == 0
    change(engine, concurrency=2)
    grant(engine, worker, 2)
    assert claimed(engine, worker, 3) == 0
    assert claimed(engine, worker, 2, limit=2) == 2
    engine.write(lambda tx: trim_grant(tx, "pdf", 1, worker=worker))
    assert claimed(engine, worker, 2) == 0
    assert engine.read(lambda tx: own_places(tx, "pdf", worker=worker)) == 1


def test_a_paused_queue_gives_nothing_by_grant(engine: Engine) -> None:
    """A pause goes before any grant."""
    worker = join(engine)
    store_rows(engine, new_row(queue="pdf"))
    change(engine, concurrency=2)
    grant(engine, worker, 2)
    engine.write(lambda tx: pause_queue(tx, "pdf", now=NOW))
    assert claimed(engine, worker, 2) == 0


def test_what_is_seen_under_the_lock(engine: Engine) -> None:
    """Who asks sees the limit, its own places, those of live others, who has not spoken, and whether jobs wait."""
    change(engine, concurrency=7)
    me, other, gone = join(engine), join(engine), join(engine)
    for worker, places in ((me, 1), (other, 2), (gone, 4)):
        grant(engine, worker, places)
    engine.write(lambda tx: remove_worker(tx, gone))
    gated = seen_by(engine, me)
    assert gated == ("pdf", Flow(7), 0, None, 1, 2, False, False)
    store_rows(engine, new_row(queue="pdf"))
    assert seen_by(engine, other)[4:] == (2, 1, False, True)
    assert engine.write(lambda tx: lock_queues(tx, ["free"], worker=me)) == {}


def test_who_was_there_before_the_limit_has_to_speak(engine: Engine) -> None:
    """A first or lower limit takes the grants back; others see that a worker has not said what it holds."""
    me, other = join(engine), join(engine)
    join(engine, "mail")
    change(engine, concurrency=5)
    assert seen_by(engine, me).has_undeclared
    grant(engine, other, 3)
    assert not seen_by(engine, me).has_undeclared
    assert seen_by(engine, me).others == 3
    change(engine, concurrency=8)
    assert seen_by(engine, me).others == 3
    change(engine, concurrency=4)
    assert seen_by(engine, me)[4:7] == (None, 0, True)


def test_a_new_worker_holds_nothing(engine: Engine) -> None:
    """A worker that starts when the limit is there has said that it holds nothing before it does anything."""
    me = join(engine)
    change(engine, concurrency=5)
    grant(engine, me, 1)
    new = join(engine)
    assert not seen_by(engine, me).has_undeclared
    assert seen_by(engine, new).places == 0


def test_a_worker_that_is_gone_has_no_places(engine: Engine) -> None:
    """Neither does a grant outlive its worker's row, nor does such a worker claim or get one again."""
    change(engine, concurrency=5)
    worker = join(engine)
    grant(engine, worker, 3)
    store_rows(engine, new_row(queue="pdf"))
    engine.write(lambda tx: remove_worker(tx, worker))
    assert claimed(engine, worker, 3) == 0
    assert engine.read(list_grants) == []
    engine.write(lambda tx: revoke_worker(tx, worker))
    grant(engine, worker, 3)
    assert engine.read(lambda tx: own_places(tx, "pdf", worker=worker)) is None


def test_a_beat_tells_of_gated_queues(engine: Engine) -> None:
    """A worker hears with its heartbeat which queues are gated, who wanted more, and what the store grants it."""

    def hear() -> list[Heard]:
        beaten = engine.write(lambda tx: beat(tx, worker=worker, server="", now=NOW))
        assert beaten is not None
        return list(heard(beaten.gated))

    worker = join(engine)
    assert hear() == []
    change(engine, concurrency=5)
    change(engine, "mail", rate={"count": 1, "per": SECOND, "burst": 3})
    grant(engine, worker, 2)
    engine.write(lambda tx: (lock_queues(tx, ["pdf"], worker=worker), write_gates(tx, {"pdf": (9, Wanted(NOW, 77))})))
    assert sorted(hear()) == [
        Heard("mail", Flow(rate=QueueRate(1, SECOND, 3)), None, None),
        Heard("pdf", Flow(5), Wanted(NOW, 77), 2),
    ]


def test_holders_are_listed(engine: Engine) -> None:
    """Who has places is told, by queue and worker; who has none is not."""
    change(engine, concurrency=5)
    change(engine, "mail", concurrency=5)
    one, two = join(engine, "pdf", "mail"), join(engine, "pdf")
    grant(engine, one, 2)
    grant(engine, one, 1, "mail")
    grant(engine, two, 0)
    assert engine.read(list_grants) == [Holder("mail", one, 1), Holder("pdf", one, 2)]
    assert engine.read(lambda tx: list_grants(tx, "pdf")) == [Holder("pdf", one, 2)]


def test_another_rate_forgets_the_debt(engine: Engine) -> None:
    """Tokens that were spent at one rate are not owed at another; what else is changed leaves them."""
    change(engine, rate={"count": 1, "per": 3_600 * SECOND})
    later = NOW + 7_200 * SECOND
    worker = join(engine)
    engine.write(lambda tx: (lock_queues(tx, ["pdf"], worker=worker), write_gates(tx, {"pdf": (later, None)})))
    change(engine, concurrency=5)
    assert seen_by(engine, worker).tat == later
    change(engine, rate={"count": 100, "per": SECOND})
    assert seen_by(engine, worker).tat == NOW


def test_a_lower_limit_waits_for_claims_under_way(postgres_engine: Engine) -> None:
    """Whoever lowers a limit waits for a claim under way, and a claim that waits for it then takes nothing."""
    engine = postgres_engine
    worker = join(engine)
    store_rows(engine, *(new_row(queue="pdf") for _ in range(4)))
    change(engine, concurrency=4)
    grant(engine, worker, 4)
    lowered = threading.Event()

    def lower() -> None:
        change(engine, concurrency=1)
        lowered.set()

    with engine.transaction() as tx:
        assert len(claim_granted(tx, queue="pdf", limit=2, worker=worker, now=NOW, places=4)) == 2
        thread = threading.Thread(target=lower)
        thread.start()
        assert not lowered.wait(0.2)
    assert lowered.wait(20)
    thread.join()
    grant(engine, worker, 4)
    found: list[int] = []
    with engine.transaction() as tx:
        change_flow(tx, "pdf", {"concurrency": None}, now=NOW)
        late = threading.Thread(target=lambda: found.append(claimed(engine, worker, 4)))
        late.start()
        late.join(0.2)
        assert late.is_alive()
    late.join(20)
    assert found == [0]


@pytest.mark.parametrize("queues", [("a", "b"), ("b", "a")])
def test_locks_are_had_in_one_order(engine: Engine, queues: tuple[str, ...]) -> None:
    """Whatever the order in which queues are named, they are locked in one, and found as they are."""
    worker = join(engine, "a", "b")
    for queue in queues:
        change(engine, queue, concurrency=1)
    assert sorted(engine.write(lambda tx: lock_queues(tx, queues, worker=worker))) == ["a", "b"]
