"""An end that is written twice, or by two, is followed once; one that does not take effect is followed by nothing."""

from __future__ import annotations

from typing import Any

import pytest

from lineshaft import Lineshaft, Task
from lineshaft.clock import SECOND
from lineshaft.config import Retention
from lineshaft.events import Subscribers
from lineshaft.outcomes import Done, Failed, JobError, Outcome
from lineshaft.store.claim import Claimed, claim_jobs
from lineshaft.store.upkeep import Suspect
from lineshaft.transitions import Complete
from lineshaft.worker.finisher import Batch, Finisher
from lineshaft.worker.rescuer import Rescuer
from lineshaft.worker.run import Run
from tests.plugins.engines import finish

ERROR = JobError(1, "ValueError", "no", None, 1)
DONE, DEAD = Done("1"), Failed(ERROR, None, 1)


class Bench:
    """A worker by hand, whose store may swallow the answer to a commit."""

    def __init__(self, app: Lineshaft) -> None:
        self.app, self.engine = app, app._store.engine
        self.tell: Task[..., Any, Any] = app.task(name="tell", queue="news")(lambda text: text)
        self.parent = app.task(
            name="parent", on_success=self.tell.new("success"), on_failure=[self.tell.new("failure")]
        )(lambda: 1)

    def claim(self, worker: int, queue: str = "default") -> Claimed:
        """Take the next job of a queue."""
        now = self.engine.clock.now()
        [claimed] = self.engine.write(lambda tx: claim_jobs(tx, queue=queue, limit=1, worker=worker, now=now))
        return claimed

    def ended(self, claimed: Claimed, outcome: Outcome) -> tuple[Finisher, Batch]:
        """Return a worker's finisher with the outcome of a job that it has claimed."""
        runtime = self.app.runtime()
        features = runtime.features
        worker = claimed.held.worker
        finisher = Finisher(worker, self.engine.clock, Retention(), Subscribers(), lambda: None, features)
        run = Run(claimed, self.parent, self.parent.defaults, self.engine.clock)
        [row] = [one for one in self.app.jobs.iter(name="parent") if one.id == run.id]
        assert row.started_at is not None
        run.claimed_at = round(row.started_at.timestamp() * SECOND)
        finisher.deliver(run, outcome)
        finisher.take(self.engine.clock.now())
        return finisher, finisher.begin()

    def write(self, finisher: Finisher, batch: Batch) -> int:
        """Write a batch and return how many of its transitions took effect."""
        return len(self.engine.write(lambda tx: finisher.write(tx, batch, self.engine.clock.now())))

    def told(self) -> list[str]:
        """Return what follows."""
        return [job.args[0][0] for job in self.app.jobs.iter(name="tell")]


@pytest.fixture
def bench(app: Lineshaft) -> Bench:
    """A worker by hand on each engine."""
    return Bench(app)


@pytest.mark.parametrize("has_run", [False, True], ids=["waiting", "finished"])
@pytest.mark.parametrize("outcome, expected", [(DONE, "success"), (DEAD, "failure")])
def test_an_end_that_is_sent_again(bench: Bench, outcome: Outcome, expected: str, has_run: bool) -> None:  # noqa: FBT001
    """A finish whose answer was lost is written again and enqueues nothing new, even if the follow-up has run since."""
    bench.parent.enqueue()
    finisher, batch = bench.ended(bench.claim(1), outcome)
    assert bench.write(finisher, batch) == 1
    if has_run:
        follower = bench.claim(2, "news")
        finish(bench.engine, Complete(follower.held, None), worker=2)
    assert bench.write(finisher, batch) == 1
    assert bench.told() == [expected]
    states = [job.state.is_final for job in bench.app.jobs.iter(name="tell")]
    assert states == [has_run]


def test_some_of_a_batch_were_written(bench: Bench) -> None:
    """A batch of which a part is committed already enqueues what follows the rest."""
    bench.parent.enqueue_many([(), ()])
    first, second = (bench.ended(bench.claim(1), DONE) for _ in range(2))
    assert bench.write(*first) == 1
    first[1].decided.extend(second[1].decided)
    assert bench.write(*first) == 2
    assert bench.told() == ["success", "success"]
    afters = {job.meta["after"] for job in bench.app.jobs.iter(name="tell")}
    assert afters == {job.id for job in bench.app.jobs.iter(name="parent")}


def test_worker_and_rescuer_end_the_same_job(bench: Bench) -> None:
    """A job that its slow worker and the one who rescued it both end as dead is followed once."""
    bench.parent.options(retry=None).enqueue()
    rescuer = Rescuer(bench.engine, -1, bench.app.settings, Retention(), Subscribers(), bench.app.runtime().features)
    bench.claim(1)
    rescuer._rescue(Suspect(1, True, "away", 1))
    finisher, batch = bench.ended(bench.claim(2), DEAD)
    rescuer._rescue(Suspect(2, True, "away", 1))
    assert bench.told() == ["failure"]
    assert bench.write(finisher, batch) == 1
    assert bench.told() == ["failure"]


def test_a_worker_that_lost_its_lease(bench: Bench) -> None:
    """A worker whose job was given to another one ends nothing, and so nothing follows."""
    bench.parent.enqueue()
    finisher, batch = bench.ended(bench.claim(1), DONE)
    rescuer = Rescuer(bench.engine, -1, bench.app.settings, Retention(), Subscribers())
    rescuer._rescue(Suspect(1, True, "away", 1))
    bench.claim(2)
    assert bench.write(finisher, batch) == 0
    assert bench.told() == []
