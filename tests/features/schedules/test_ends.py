"""The ends of a schedule's jobs settle their ticks, whoever ends them; jobs of no schedule pay nothing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.clock import HOUR, ManualClock
from lineshaft.config import Retention
from lineshaft.feature import Ended
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.feature import SchedulesFeature
from lineshaft.features.schedules.records import BY_CLOCK, TickState
from lineshaft.recurrence import Every, Recurrence
from lineshaft.store import control
from lineshaft.transitions import Stage
from tests.features.schedules.leaders import HOURLY, JOB, NAME, Leaders
from tests.plugins.engines import KEPT_UNTIL, NOW

if TYPE_CHECKING:
    from lineshaft import Job, Lineshaft
    from lineshaft.engines.base import Engine, Tx


class Refusing:
    """A transaction in which nobody may run anything."""

    def run(self, *_: Any) -> Any:
        """Fail."""
        raise AssertionError("a job that has nothing to do with schedules costs a statement")


def ended(options: str) -> Ended:
    return Ended("0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f", 1, Stage.COMPLETED, None, options, None, NOW)


@pytest.mark.parametrize("act", ["cancel one", "cancel by filter"])
def test_a_persons_cancel_is_shown(app: Lineshaft, act: str) -> None:
    """A waiting job that a person cancels settles its tick in the same transaction."""

    @app.task(name="report")
    def report() -> None:
        """Report."""

    app.schedules.create("hourly", report.new(), every="1h", overlap="queue")
    job: Job[Any] = app.schedules.run("hourly")
    assert [tick.state for tick in app.schedules.history("hourly")] == ["open"]
    if act == "cancel one":
        job.cancel()
    else:
        assert app.jobs.cancel(name="report") == 1
    assert [tick.state for tick in app.schedules.history("hourly")] == ["enqueued"]


def test_jobs_of_no_schedule_cost_no_statement() -> None:
    """The end of a job that carries other options, or the word in another place, runs no statement."""
    feature = SchedulesFeature([], Retention())
    for options in ('{"timeout":5}', '{"on_success":[{"meta":{"schedule":["a",1]}}]}', '{"schedule":["a"]}'):
        feature.after_finish(Refusing(), [ended(options)], NOW, is_certain=True)  # type: ignore[arg-type]


def test_an_end_is_two_statements(engine: Engine) -> None:
    """However many jobs of schedules end together, noting it takes two statements."""
    leaders = Leaders(engine)
    names = [f"schedule {number}" for number in range(5)]
    for name in names:
        leaders.create(Definition(HOURLY, job=JOB, overlap="skip"), name)
    leaders.wait(HOUR)
    leaders.lead_on()
    ticks = [leaders.ticks(BY_CLOCK, name)[0] for name in names]
    shown = [ended(f'{{"schedule":["{tick.schedule}","",{tick.at}]}}')._replace(id=tick.job or "") for tick in ticks]

    class Counting:
        def __init__(self, tx: Tx) -> None:
            self.tx, self.count = tx, 0

        def run(self, *args: Any) -> Any:
            self.count += 1
            return self.tx.run(*args)

    with engine.transaction() as tx:
        counting = Counting(tx)
        leaders.features[-1].after_finish(counting, shown, leaders.now, is_certain=True)
    assert counting.count == 2
    assert {leaders.ticks(BY_CLOCK, name)[0].state for name in names} == {TickState.ENQUEUED}
    assert {leaders.row(name).due_at for name in names} == {leaders.now}


def test_another_job_of_the_same_tick_settles_nothing(engine: Engine) -> None:
    """Only the job that a tick names ends it: a copy of its options on another job does no harm."""
    leaders = Leaders(engine)
    leaders.create(Definition(HOURLY, job=JOB, overlap="skip"))
    leaders.wait(HOUR)
    leaders.lead_on()
    text = f'{{"schedule":["{NAME}","",{NOW + HOUR}]}}'
    engine.write(lambda tx: leaders.features[-1].after_finish(tx, [ended(text)], leaders.now, is_certain=True))
    assert leaders.ticks(BY_CLOCK)[0].state == TickState.OPEN
    leaders.lead_on()
    assert leaders.ticks(BY_CLOCK)[0].state == TickState.OPEN


def test_an_interval_goes_on_after_a_cancel(engine: Engine) -> None:
    """With since="finish" a cancel is an end too: the next job comes an interval after it."""
    leaders = Leaders(engine)
    leaders.create(Definition(Recurrence(Every(HOUR, "finish")), job=JOB))
    leaders.lead_on()
    job = leaders.ticks(BY_CLOCK)[0].job or ""
    leaders.wait(HOUR // 2)
    engine.write(
        lambda tx: control.cancel_jobs(tx, [job], now=leaders.now, expires_at=KEPT_UNTIL, features=leaders.features)
    )
    leaders.lead_on()
    assert leaders.row().next_at == leaders.now + HOUR


def test_a_clock_that_goes_ahead_puts_no_tick_off(engine: Engine) -> None:
    """An end that was noted by a clock an hour ahead leaves the schedule due when its next tick is."""
    leaders = Leaders(engine)
    leaders.create(Definition(HOURLY, job=JOB, overlap="skip"))
    leaders.wait(HOUR)
    leaders.lead_on()
    ahead = Leaders(engine, clock=ManualClock(leaders.now + 2 * HOUR))
    assert ahead.end() is not None
    leaders.wait(HOUR)
    leaders.lead_on()
    assert [tick.at for tick in leaders.ticks(BY_CLOCK)] == [NOW + HOUR, NOW + 2 * HOUR]
