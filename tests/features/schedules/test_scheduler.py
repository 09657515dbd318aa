"""The leader's duty on a real store: ticks become jobs, and jobs that end bring the next ones."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lineshaft.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from lineshaft.config import Retention
from lineshaft.events import ScheduleTicked, Subscribers
from lineshaft.feature import CHORES, Office
from lineshaft.features.schedules import records
from lineshaft.features.schedules.definition import Definition
from lineshaft.features.schedules.feature import SchedulesFeature
from lineshaft.features.schedules.records import BY_CLOCK, TickRow, TickState
from lineshaft.features.schedules.scheduler import Scheduler
from lineshaft.features.unique import UniqueFeature
from lineshaft.options import JobTemplate, StoredUnique
from lineshaft.options.schedule import Overlap
from lineshaft.recurrence import Every, Once, Recurrence
from lineshaft.store import control, inspect
from lineshaft.store.claim import claim_jobs
from lineshaft.transitions import State
from tests.features.schedules.leaders import HOURLY, JOB, NAME, Leaders
from tests.plugins.engines import KEPT_UNTIL, NOW, WORKER, row_of, state_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from lineshaft.job import JobRow

MINUTELY = Recurrence(Every(MINUTE))


class Duty:
    """A scheduler, with what it told and began."""

    def __init__(self, leaders: Leaders) -> None:
        self.events: list[Any] = []
        self.begun: list[str] = []
        subscribers = Subscribers()
        subscribers.add(("ticked",), self.events.append)
        office = Office(leaders.engine, leaders.clock, subscribers, self._begin)
        self.scheduler, self._leaders = Scheduler(office, leaders.features, Retention()), leaders

    def step(self) -> int:
        """Do one step now."""
        return self.scheduler.step(self._leaders.now)

    def lead_on(self) -> int:
        """Step until nothing is due, and return when the next step is."""
        while (at := self.step()) <= self._leaders.now:
            continue
        return at

    def _begin(self, chore: str) -> bool:
        self.begun.append(chore)
        return chore != "unheard-of"


@pytest.fixture
def leaders(engine: Engine) -> Leaders:
    """A store without schedules."""
    return Leaders(engine, features=[UniqueFeature()])


@pytest.fixture
def duty(leaders: Leaders) -> Duty:
    """The leader's duty there."""
    return Duty(leaders)


def jobs_of(leaders: Leaders) -> list[JobRow]:
    """All jobs, the first first."""
    rows = leaders.engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=1_000, cursor=None))
    return sorted(rows, key=lambda row: row.id)


def said(ticks: list[TickRow]) -> list[tuple[int, str]]:
    return [(tick.at - NOW, TickState(tick.state).name) for tick in ticks]


def claim(leaders: Leaders) -> str:
    """Have a worker hold the next job."""
    [one] = leaders.engine.write(lambda tx: claim_jobs(tx, queue=JOB.queue, limit=1, worker=WORKER, now=leaders.now))
    return one.held.id


def cancel(leaders: Leaders, *ids: str) -> None:
    """Cancel jobs as a person does."""
    leaders.engine.write(
        lambda tx: control.cancel_jobs(tx, ids, now=leaders.now, expires_at=KEPT_UNTIL, features=leaders.features)
    )


def test_a_tick_is_a_job_that_knows_its_tick(leaders: Leaders, duty: Duty) -> None:
    """At its time, and not before, a tick becomes a job of the template, whose meta names schedule and tick."""
    job = JobTemplate(
        "shop.report", "[[3],{}]", "reports", 5, priority=7, tenant="acme", tags=("nightly",), meta={"a": 1}
    )
    leaders.create(Definition(HOURLY, job=job))
    assert duty.step() == min(NOW + HOUR, NOW + 10 * SECOND)
    leaders.wait(HOUR - 1)
    duty.lead_on()
    assert jobs_of(leaders) == []
    leaders.wait(1)
    assert duty.step() == leaders.now + 10 * SECOND
    [row] = jobs_of(leaders)
    assert (row.name, row.args, row.queue, row.max_attempts, row.rank) == ("shop.report", "[[3],{}]", "reports", 5, -7)
    assert (row.tenant, row.tags) == ("acme", '["nightly"]')
    assert msgspec.json.decode(row.meta or "") == {"a": 1, "schedule": NAME, "tick": "2027-01-15T09:00:00+00:00"}
    schedule = leaders.row()
    assert (schedule.next_at, schedule.last_at, schedule.last_job) == (NOW + 2 * HOUR, NOW + HOUR, row.id)
    assert said(leaders.ticks(BY_CLOCK)) == [(HOUR, "ENQUEUED")]
    [event] = duty.events
    assert isinstance(event, ScheduleTicked)
    assert (event.schedule, event.state, event.job_id) == (NAME, "enqueued", row.id)


@pytest.mark.parametrize(
    "catch_up, enqueued, missed",
    [("none", [301, 302], [300]), ("one", [300, 301, 302], [299]), ("all", [298, 299, 300, 301, 302], [297])],
)
def test_after_a_downtime(leaders: Leaders, duty: Duty, catch_up: Any, enqueued: list[int], missed: list[int]) -> None:
    """Ticks within the grace all come; those before as `catch_up` says, in order, and one row counts the others."""
    leaders.create(Definition(MINUTELY, job=JOB, catch_up=catch_up, catch_up_limit=3))
    leaders.wait(302 * MINUTE)
    duty.lead_on()
    ticks = leaders.ticks(BY_CLOCK)
    assert [tick.at for tick in ticks if tick.state == TickState.ENQUEUED] == [NOW + one * MINUTE for one in enqueued]
    assert [tick.at for tick in ticks if tick.state == TickState.MISSED] == [NOW + one * MINUTE for one in missed]
    assert [row.id for row in jobs_of(leaders)] == [tick.job for tick in ticks if tick.job]


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel_running"])
def test_jobs_never_overlap(leaders: Leaders, duty: Duty, overlap: Overlap) -> None:
    """While a job of the schedule runs no second one is stored; what its ticks become follows the policy."""
    leaders.create(Definition(MINUTELY, job=JOB, overlap=overlap))
    leaders.wait(MINUTE)
    duty.lead_on()
    running = claim(leaders)
    for _ in range(2):
        leaders.wait(MINUTE)
        duty.lead_on()
    expected = {
        "skip": ["OPEN", "SKIPPED", "SKIPPED"],
        "queue": ["OPEN", "WAITING", "WAITING"],
        "cancel_running": ["OPEN", "SKIPPED", "WAITING"],
    }[overlap]
    assert [state for _, state in said(leaders.ticks(BY_CLOCK))] == expected
    assert [row.id for row in jobs_of(leaders)] == [running]
    assert state_in(leaders.engine, running) is (State.CANCELLING if overlap == "cancel_running" else State.RUNNING)


def test_the_end_of_a_job_brings_the_next_turn(leaders: Leaders, duty: Duty) -> None:
    """With overlap="queue" each end lets exactly the next tick in, in order, as soon as it is shown."""
    leaders.create(Definition(MINUTELY, job=JOB, overlap="queue"))
    for _ in range(3):
        leaders.wait(MINUTE)
        duty.lead_on()
    ended = []
    while (job := leaders.end()) is not None:
        ended.append(job)
        assert leaders.row().due_at == leaders.now
        duty.lead_on()
    assert ended == [tick.job for tick in leaders.ticks(BY_CLOCK)]
    assert said(leaders.ticks(BY_CLOCK)) == [(one * MINUTE, "ENQUEUED") for one in (1, 2, 3)]


def test_a_job_that_still_waits_is_cancelled_for_the_next_tick(leaders: Leaders, duty: Duty) -> None:
    """With overlap="cancel_running" a job that no worker holds is gone at once, and the new one takes its place."""
    leaders.create(Definition(MINUTELY, job=JOB, overlap="cancel_running"))
    leaders.wait(MINUTE)
    duty.lead_on()
    leaders.wait(MINUTE)
    duty.lead_on()
    first, second = leaders.ticks(BY_CLOCK)
    assert first.job is not None
    assert state_in(leaders.engine, first.job) is State.CANCELLED
    assert (first.state, second.state) == (TickState.ENQUEUED, TickState.OPEN)
    assert second.job is not None
    assert state_in(leaders.engine, second.job) is State.QUEUED


@pytest.mark.parametrize("shown", [True, False])
def test_an_end_that_nobody_saw(leaders: Leaders, duty: Duty, shown: bool) -> None:  # noqa: FBT001 - a case
    """A cancel tells the leader at once; a job that was deleted is found to be gone within a minute."""
    leaders.create(Definition(HOURLY, job=JOB, overlap="queue"))
    for _ in range(2):
        leaders.wait(HOUR)
        duty.lead_on()
    first, _ = leaders.ticks(BY_CLOCK)
    assert first.job is not None
    if shown:
        cancel(leaders, first.job)
    else:
        leaders.engine.write(lambda tx: control.delete_jobs(tx, [first.job or ""]))
        duty.lead_on()
        assert leaders.ticks(BY_CLOCK)[1].state == TickState.WAITING
        leaders.wait(MINUTE)
    duty.lead_on()
    assert [tick.state for tick in leaders.ticks(BY_CLOCK)] == [TickState.ENQUEUED, TickState.OPEN]


def test_since_the_finish(leaders: Leaders, duty: Duty) -> None:
    """With since="finish" the next job comes so long after the end of the one before, however long that took."""
    leaders.create(Definition(Recurrence(Every(5 * MINUTE, "finish")), job=JOB))
    duty.lead_on()
    assert len(jobs_of(leaders)) == 1
    leaders.wait(3 * HOUR)
    duty.lead_on()
    assert len(jobs_of(leaders)) == 1
    assert leaders.end() is not None
    ended = leaders.now
    leaders.wait(2 * SECOND)
    duty.lead_on()
    assert leaders.row().next_at == ended + 5 * MINUTE
    leaders.wait(5 * MINUTE)
    duty.lead_on()
    assert len(jobs_of(leaders)) == 2


def test_single_times(leaders: Leaders, duty: Duty) -> None:
    """After the last of its times a schedule has no next tick and is never looked at again."""
    leaders.create(Definition(Recurrence(Once((NOW + HOUR, NOW + 2 * HOUR))), job=JOB))
    for _ in range(4):
        leaders.wait(HOUR)
        duty.lead_on()
    assert said(leaders.ticks(BY_CLOCK)) == [(HOUR, "ENQUEUED"), (2 * HOUR, "ENQUEUED")]
    assert (leaders.row().next_at, leaders.row().due_at) == (None, None)


def test_a_pause_misses_nothing(leaders: Leaders, duty: Duty) -> None:
    """Ticks of a pause never come, not after it either: it goes on from the moment it is resumed."""
    leaders.create(Definition(HOURLY, job=JOB, catch_up="all"))
    leaders.change(paused_at=leaders.now, paused_by="ann")
    leaders.wait(5 * HOUR)
    duty.lead_on()
    leaders.change(paused_at=None, paused_by=None)
    duty.lead_on()
    assert jobs_of(leaders) == []
    leaders.wait(HOUR)
    duty.lead_on()
    assert said(leaders.ticks(BY_CLOCK)) == [(6 * HOUR, "ENQUEUED")]


def test_jitter_is_the_same_for_everybody(leaders: Leaders, duty: Duty) -> None:
    """Jitter puts a job's start off by less than it says, spread over the schedules, and never by chance alone."""
    for number in range(50):
        leaders.create(Definition(HOURLY, job=JOB, jitter=MINUTE), f"schedule {number}")
    leaders.wait(HOUR)
    duty.lead_on()
    offsets = {row.run_at - leaders.now for row in jobs_of(leaders)}
    assert len(offsets) > 40
    assert 0 <= min(offsets) < 10 * SECOND < 50 * SECOND < max(offsets) <= MINUTE
    tick = leaders.ticks(BY_CLOCK, "schedule 7")[0]
    assert row_of(leaders.engine, tick.job or "").run_at == leaders.now + 37_275_348


def test_a_clock_that_was_set_back(leaders: Leaders, duty: Duty) -> None:
    """What was enqueued before the clock went back is not enqueued again when it comes to the same time."""
    leaders.create(Definition(HOURLY, job=JOB))
    leaders.wait(HOUR)
    duty.lead_on()
    leaders.clock = ManualClock(leaders.now - 30 * MINUTE)
    behind = Duty(leaders)
    behind.lead_on()
    leaders.wait(31 * MINUTE)
    behind.lead_on()
    assert said(leaders.ticks(BY_CLOCK)) == [(HOUR, "ENQUEUED")]


@pytest.mark.parametrize(
    "changes",
    [
        {"declared": '{"recurrence":{"rule":{"type":"moon","phase":"full"}},"job":null}'},
        {"declared": '{"recurrence":{"rule":{"type":"every","interval":3600000000}}}'},
        {"declared": '{"recurrence":{"rule":{"type":"every","interval":3600000000}},"action":"check"}'},
        {"overrides": '{"job":{"max_attempts":0}}'},
        {"overrides": '{"job":"another"}'},
        {"overrides": "[]"},
    ],
    ids=["rule", "no job", "no task", "job", "job that is none", "no changes"],
)
def test_what_cannot_be_read_is_left_alone(
    leaders: Leaders, duty: Duty, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    """What cannot be read ticks no more, is said once, hinders nobody, and goes on under a leader that can read it."""
    leaders.create(Definition(HOURLY, job=JOB))
    leaders.create(Definition(HOURLY, job=JOB), "other")
    row = leaders.row()
    unread = row._replace(**changes)
    assert leaders.engine.write(lambda tx: records.update_schedule(tx, unread))
    leaders.wait(HOUR)
    with caplog.at_level(logging.ERROR, "lineshaft.leader"):
        for _ in range(3):
            duty.lead_on()
            leaders.wait(20 * SECOND)
    assert [record.getMessage().startswith(f"schedule {NAME!r} cannot be read") for record in caplog.records] == [True]
    found = leaders.row()
    assert (found.declared, found.next_at, found.due_at) == (unread.declared, NOW + HOUR, NOW + HOUR + MINUTE)
    assert len(leaders.ticks(BY_CLOCK, "other")) == 1
    assert leaders.engine.write(
        lambda tx: records.update_schedule(tx, found._replace(declared=row.declared, overrides=None))
    )
    leaders.wait(MINUTE)
    duty.lead_on()
    assert said(leaders.ticks(BY_CLOCK)) == [(HOUR, "ENQUEUED")]


def test_a_held_unique_key_skips_the_tick(leaders: Leaders, duty: Duty) -> None:
    """A template with Unique never makes a second job of its key: the tick names the one that there is."""
    unique = JobTemplate("shop.report", "[[],{}]", "reports", 3, unique=StoredUnique(), unique_text="[]")
    leaders.create(Definition(HOURLY, job=unique))
    leaders.create(Definition(Recurrence(Every(10 * MINUTE, "finish")), job=unique), "after")
    leaders.wait(HOUR)
    duty.lead_on()
    leaders.wait(HOUR)
    duty.lead_on()
    [job] = jobs_of(leaders)
    first, second = sorted(leaders.ticks(BY_CLOCK), key=lambda tick: tick.at)
    assert {first.note, second.note} >= {f"job {job.id} has its unique key"}
    after = leaders.row("after")
    assert after.next_at is not None or job.id == leaders.ticks(BY_CLOCK, "after")[0].job


def test_a_full_queue_refuses_its_own(leaders: Leaders, duty: Duty) -> None:
    """A queue that is full skips as many ticks as it has no place for, with the reason; other queues get theirs."""
    leaders.engine.write(lambda tx: control.limit_queue(tx, "small", 3))
    small = JobTemplate("shop.report", "[[],{}]", "small", 3)
    for number in range(10):
        leaders.create(Definition(HOURLY, job=small if number % 2 else JOB), f"schedule {number}")
    leaders.wait(HOUR)
    duty.lead_on()
    assert sorted(row.queue for row in jobs_of(leaders)) == ["reports"] * 5 + ["small"] * 3
    ticks = [leaders.ticks(BY_CLOCK, f"schedule {number}")[0] for number in range(10)]
    assert [tick.note for tick in ticks if tick.state == TickState.SKIPPED] == ["queue 'small' was full"] * 2
    assert all(tick.job is None for tick in ticks if tick.state == TickState.SKIPPED)


def test_only_what_matters_is_stored_with_a_job(leaders: Leaders, duty: Duty) -> None:
    """A job whose end matters to nobody carries nothing, so that no worker pays for it; the others name their tick."""
    leaders.create(Definition(HOURLY, job=JOB))
    leaders.create(Definition(HOURLY, job=JOB, finish_within=MINUTE), "watched")
    leaders.wait(HOUR)
    duty.lead_on()
    claimed = leaders.engine.write(lambda tx: claim_jobs(tx, queue=JOB.queue, limit=2, worker=WORKER, now=leaders.now))
    assert {one.options for one in claimed} == {None, f'{{"schedule":["watched","",{NOW + HOUR}]}}'}


def test_success_is_noted(leaders: Leaders, duty: Duty) -> None:
    """Only a job that completed counts as one that finished: when it did, and of which tick it was."""
    leaders.create(Definition(HOURLY, job=JOB, finish_within=MINUTE))
    for is_success, expected in ((False, (None, None)), (True, (NOW + 2 * HOUR, NOW + 2 * HOUR))):
        leaders.wait(HOUR)
        duty.lead_on()
        assert leaders.end(is_success=is_success)
        assert (leaders.row().succeeded_at, leaders.row().succeeded_tick) == expected


def test_the_housekeeping_is_scheduled(leaders: Leaders, duty: Duty) -> None:
    """The leader's own chores are schedules: they are begun at their ticks, keep no history, and obey changes."""
    duty.scheduler.begin(leaders.now)
    duty.scheduler.begin(leaders.now)
    names = [chore.name for chore in CHORES]
    assert [row.name for row in leaders.engine.read(records.list_schedules)] == sorted(names)
    leaders.wait(HOUR)
    duty.lead_on()
    assert sorted(duty.begun) == sorted(names)
    assert leaders.ticks(BY_CLOCK, names[0]) == []
    assert leaders.row(names[0]).last_at == leaders.now
    duty.begun.clear()
    leaders.change(names[0], paused_at=leaders.now)
    duty.scheduler.begin(leaders.now)
    leaders.wait(HOUR)
    duty.lead_on()
    assert names[0] not in duty.begun


def test_old_ticks_are_pruned(leaders: Leaders) -> None:
    """Ticks go after 30 days, but the last 100 of a schedule and open ones stay; a removed schedule goes too."""
    leaders.create(Definition(HOURLY, job=JOB))
    leaders.create(Definition(HOURLY, job=JOB), "gone")
    rows = [
        TickRow(name, NOW - number, BY_CLOCK, TickState.ENQUEUED, None, NOW - number)
        for name in (NAME, "gone")
        for number in range(1_200)
    ]
    still_open = TickRow(NAME, NOW - 5_000, BY_CLOCK, TickState.OPEN, None, NOW - 5_000)
    leaders.engine.write(lambda tx: records.add_ticks(tx, [*rows, still_open]))
    leaders.change("gone", removed_at=NOW)
    feature = leaders.features[-1]
    assert isinstance(feature, SchedulesFeature)
    leaders.wait(30 * DAY - 500)
    feature.periodic(leaders.engine.write, leaders.now)
    assert len(leaders.ticks(BY_CLOCK)) == 502
    leaders.wait(501)
    feature.periodic(leaders.engine.write, leaders.now)
    assert [tick.at for tick in leaders.ticks(BY_CLOCK)] == [still_open.at, *range(NOW - 99, NOW + 1)]
    assert leaders.engine.read(lambda tx: records.get_schedule(tx, "gone")) is None
    assert leaders.ticks(BY_CLOCK, "gone") == []


def test_history_goes_page_by_page(leaders: Leaders) -> None:
    """A page of ticks begins behind the last of the page before, the latest first, and none is shown twice."""
    leaders.create(Definition(HOURLY, job=JOB))
    rows = [TickRow(NAME, NOW + n // 2, ("", "manual")[n % 2], TickState.ENQUEUED, None, NOW) for n in range(10)]
    leaders.engine.write(lambda tx: records.add_ticks(tx, rows))
    seen: list[TickRow] = []
    page: Callable[[], list[TickRow]] = lambda: leaders.engine.read(  # noqa: E731 - read again and again
        lambda tx: records.list_ticks(tx, NAME, before=(seen[-1].at, seen[-1].run) if seen else None, limit=3)
    )
    while found := page():
        seen += found
    assert seen == sorted(rows, key=lambda tick: (tick.at, tick.run), reverse=True)
