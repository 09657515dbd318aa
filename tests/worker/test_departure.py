"""What ends tell the gates that learn, and what of an error is noted for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lineshaft import Breaker, Concurrency, Lineshaft, Retry
from lineshaft.config import Retention
from lineshaft.errors import BreakerOpen
from lineshaft.feature import Feature
from lineshaft.features.limits.concurrency import ConcurrencyKind
from lineshaft.gates import Attempt, GateKind, Pass, Sample
from lineshaft.options import Options
from lineshaft.outcomes import Done, Failed, Interrupted, JobError, Outcome
from lineshaft.retry import Fixed
from lineshaft.store.claim import Claimed
from lineshaft.transitions import Held, State
from lineshaft.worker.departure import Departures, left
from lineshaft.worker.finisher import Finisher
from lineshaft.worker.run import Run
from tests.plugins.apps import StartWorker, eventually
from tests.worker.crew import Hand

_HELD = Held("0192f0c1-2d3e-7abc-8def-0123456789ab", 1, 1, 1, 0, 0, None, 0, None)


class Learner(Feature):
    """Limits jobs with a tag, and keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Attempt] = []

    @property
    def kinds(self) -> Sequence[GateKind]:
        """One, so that it is asked."""
        return (ConcurrencyKind(),)

    def limits(self, options: Options) -> bool:
        """Tell by the tag."""
        return "learn" in options.tags

    def read_error(self, options: Options, error: BaseException) -> Mapping[str, Any]:  # noqa: ARG002 - the shape
        """Note the message; an error without one breaks it."""
        return {"said": error.args[0]}

    def samples(self, options: Options, attempt: Attempt) -> Sequence[Sample]:  # noqa: ARG002 - the shape
        """Give one."""
        self.told.append(attempt)
        return [Sample("gate", "rule", "concurrency", Concurrency(1).terms(), attempt.seconds)]


def a_run(app: Lineshaft, *, passes: tuple[Pass, ...] = (), tags: tuple[str, ...] = ("learn",)) -> Run:
    """Return a run of a task with these tags that has passed these gates."""

    @app.task(name="told", tags=tags)
    def told() -> None:
        """Never really run."""

    claimed = Claimed(_HELD, "told", "[[],{}]", 0, 0, False, False, 2, "default", None, None, None, None, None)
    run = Run(claimed, told, told.defaults, app.runtime().engine.clock)
    run.passes = passes
    return run


@pytest.fixture
def app() -> Lineshaft:
    """An app in memory."""
    return Lineshaft("memory://")


def test_a_token_is_not_given_back_when_a_job_ends() -> None:
    """Only gates that count places have one more when a job leaves them."""
    place, token = Pass("p", "p", "concurrency", "{}"), Pass("r", "r", "rate", "{}")
    assert left(_HELD, (token, place)).freed == (place,)
    assert left(_HELD, (token,)).freed == ()


def test_a_gate_learns_how_long_a_job_ran_and_what_its_error_said(app: Lineshaft) -> None:
    """The end of an attempt reaches the features whose limits concern it, with what was noted of its error."""
    learner, run = Learner(), a_run(app)
    run.start()
    run.stop_watch()
    run.signals = {"said": "boom"}
    departure = Departures([learner]).departed(run, Done(None))
    assert [one.key for one in departure.samples] == ["gate"]
    [attempt] = learner.told
    assert attempt.seconds > 0
    assert attempt.signals == {"said": "boom"}


def test_an_attempt_that_never_started_teaches_nothing(app: Lineshaft) -> None:
    """What was given back before its start says nothing of what the job needs."""
    learner = Learner()
    assert Departures([learner]).departed(a_run(app), Interrupted()).samples == ()
    assert not learner.told


def test_features_whose_limits_do_not_concern_a_job_are_not_told(app: Lineshaft) -> None:
    """A job without the feature's limits is none of its business."""
    learner, run = Learner(), a_run(app, tags=("other",))
    run.start()
    assert Departures([learner]).departed(run, Failed(JobError(1, "E", "", None, 0), 0, 1)).samples == ()
    assert not learner.told


@pytest.mark.parametrize(
    "outcome, told", [(Done(None), 0), (Failed(JobError(1, "E", "", None, 0), 0, 1), 1)], ids=["success", "failure"]
)
def test_only_failures_of_jobs_without_gates_to_pass_are_told_of(app: Lineshaft, outcome: Outcome, told: int) -> None:
    """While a breaker is closed its jobs pass no gate: successes cost no step at gates, failures are counted."""
    learner, run, runtime = Learner(), a_run(app), app.runtime()
    finisher = Finisher(1, runtime.engine.clock, Retention(), runtime.subscribers, lambda: None, [learner])
    run.start()
    finisher.deliver(run, outcome)
    finisher.take(0)
    assert len(learner.told) == told
    assert len(finisher.begin().departures) == told


@pytest.mark.parametrize("is_async", [False, True], ids=["thread", "async"])
def test_an_error_that_breaks_when_it_is_read_ends_the_attempt_as_any(
    make_app: Any,
    start_worker: StartWorker,
    is_async: bool,  # noqa: FBT001
) -> None:
    """A user's error whose attributes raise costs nothing but what would have been noted."""

    class OddError(Exception):
        @property
        def status(self) -> int:
            raise RuntimeError("not even this")

    app = make_app("memory://")
    learner = Learner()
    app._features = (*app._features, learner)

    if is_async:

        @app.task(name="odd", tags=["learn"], retry=Retry(1))
        async def odd() -> None:
            raise OddError
    else:

        @app.task(name="odd", tags=["learn"], retry=Retry(1))
        def odd() -> None:
            raise OddError

    start_worker(app, {"default": 1})
    job = odd.enqueue()
    eventually(lambda: job.refresh().state is State.DEAD)
    [attempt] = learner.told
    assert attempt.signals is None


def test_a_breaker_that_lets_nobody_wait_fails_a_job_without_running_it(
    make_app: Any, store_url: str, start_worker: StartWorker
) -> None:
    """Such a job ends by its retry policy, as if it had raised `BreakerOpen`; its code does not run."""
    app = make_app(store_url)
    runs: list[int] = []

    @app.task(name="guarded", breaker=Breaker("door", failures=1, reset="1h", when_open="fail"), retry=Retry(1))
    def guarded(number: int) -> None:
        runs.append(number)
        raise ConnectionError

    start_worker(app, {"default": 1})
    first = guarded.enqueue(1)
    eventually(lambda: first.refresh().state is State.DEAD)
    second = guarded.enqueue(2)
    eventually(lambda: second.refresh().state is State.DEAD)
    assert runs == [1]
    assert second.refresh().errors[-1]["type"].endswith(BreakerOpen.__name__)


def test_a_job_behind_an_open_breaker_waits_and_spends_no_attempt(make_app: Any, store_url: str) -> None:
    """Where the breaker has jobs wait, they are parked with the attempts that they had."""
    app = make_app(store_url)

    @app.task(name="waiting", breaker=Breaker("gate", failures=1, reset="1h"), retry=Retry(1, backoff=Fixed("1s")))
    def waiting(number: int) -> None:
        """Never really run."""

    app.migrate()
    hand = Hand(app, 7, slots=1)
    try:
        first, second = waiting.enqueue(1), waiting.enqueue(2)
        hand.step()
        [run] = hand.runs
        run.signals = {"breakers": [0]}
        hand.end(run, outcome=Failed(JobError(1, "ConnectionError", "down", None, 0), None, 1))
        hand.step(3)
        assert first.refresh().state is State.DEAD
        assert not hand.runs
        assert (second.refresh().state, second.refresh().attempt) == (State.QUEUED, 0)
    finally:
        hand.close()
