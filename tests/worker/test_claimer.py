"""The claimer, driven without its thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.worker.claimer import Claimer
from lineshaft.worker.slots import QueueSlots
from tests.plugins.engines import NOW, WORKER, new_row, store_rows

if TYPE_CHECKING:
    from lineshaft.engines.base import Engine


def claimer(engine: Engine, **queues: int) -> Claimer:
    return Claimer(engine, WORKER, queues, sum(queues.values()), engine.clock)


def test_a_worker_without_a_lease_claims_nothing(engine: Engine) -> None:
    """A worker that slept past its lease takes no job before it has beaten again: nobody would rescue that job."""
    store_rows(engine, new_row())
    one = claimer(engine, default=10)
    one.has_lease = lambda: False
    assert not one.has_work(NOW)
    assert engine.write(lambda tx: one.claim(tx, NOW)) == []
    one.has_lease = lambda: True
    assert one.has_work(NOW)
    assert len(engine.write(lambda tx: one.claim(tx, NOW))) == 1


def test_queues_are_served_up_to_their_limits(engine: Engine) -> None:
    """Each queue gives as many jobs as it has places, in the order in which the queues are named."""
    store_rows(engine, *(new_row(queue=queue) for queue in ("b", "b", "b", "a", "a", "a")))
    claimed = engine.write(lambda tx: claimer(engine, a=2, b=1).claim(tx, NOW))
    assert [job.queue for job in claimed] == ["a", "a", "b"]


def test_slots_bind_all_queues_together(engine: Engine) -> None:
    """Fewer slots than the queues' places: no more jobs than slots are claimed, the first queue's first."""
    store_rows(engine, *(new_row(queue=queue) for queue in ("b", "b", "a", "a")))
    one = Claimer(engine, WORKER, {"a": 2, "b": 2}, 3, engine.clock)
    assert [job.queue for job in engine.write(lambda tx: one.claim(tx, NOW))] == ["a", "a", "b"]


def test_few_short_jobs_bring_few_ahead() -> None:
    """How many jobs are claimed ahead grows with how many ended, not with how short a single one was."""
    queue = QueueSlots("default", 10)
    queue.finished(1, 0, seconds=0.000_02)
    assert 11 <= queue.room() <= 20
    for _ in range(3):
        count = queue.room()
        queue.finished(count, 0, seconds=count * 0.000_02)
    assert queue.room() > 500


def test_slow_jobs_bring_none_ahead() -> None:
    """Of jobs that take long, none is claimed before there is a place for it."""
    queue = QueueSlots("default", 10)
    for _ in range(20):
        queue.finished(10, 0, seconds=1.0)
    assert queue.room() - 20 * 10 == 10  # nothing was held: what ended counts as free places here


def test_jobs_that_end_together_are_not_short() -> None:
    """Jobs of one length that start together end together; that one end follows the other at once says nothing."""
    queue = QueueSlots("default", 4)
    for _ in range(20):
        queue.finished(1, 0, seconds=0.1)
        for _ in range(3):
            queue.finished(1, 0, seconds=0.0002)
    queue.held = 0
    assert queue.room() <= 4 + 3  # 40 a second: what comes ahead waits for 50 ms


def test_less_is_claimed_ahead_in_turn() -> None:
    """In a fair queue next to nothing is claimed ahead: a newcomer whose turn is next would wait for it."""
    queue = QueueSlots("default", 4)
    for _ in range(20):
        queue.finished(4, 0, seconds=0.02)
    queue.held = 0
    assert queue.room() == 4 + 10
    queue.is_fair = True
    assert queue.room() == 4 + 1


def test_jobs_without_a_start_say_nothing() -> None:
    """Jobs that were given back unstarted do not count as short ones."""
    queue = QueueSlots("default", 10)
    queue.finished(1_000, 1_000, seconds=0.001)
    queue.held = 0
    assert queue.room() == 10
