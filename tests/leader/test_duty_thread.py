"""How a duty is called: when it is due, when somebody wakes it, never in doubt, and whatever it meets."""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Final

import pytest

from lineshaft.clock import HOUR, SECOND, ManualClock, SystemClock
from lineshaft.errors import StoreUnavailableError
from lineshaft.feature import Duty
from lineshaft.leader.duty_thread import DutyThread
from lineshaft.leader.trouble import Trouble
from tests.plugins.apps import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft.clock import Clock

MILLISECOND: Final = SECOND // 1000
QUICKEST_PRECISION: Final = 2 * MILLISECOND


class Noted(Duty):
    """Notes its calls; `answer(now)` says when it wants the next one."""

    name = "noted"
    doing = None

    def __init__(self, answer: Callable[[int], int]) -> None:
        self.answer = answer
        self.calls: Queue[tuple[str, int]] = Queue()

    def begin(self, now: int) -> None:
        """Note it."""
        self.calls.put(("begin", now))

    def step(self, now: int) -> int:
        """Note it."""
        self.calls.put(("step", now))
        return self.answer(now)

    def next(self) -> str:
        """Return what is called next; fails the test when nothing is."""
        return self.calls.get(timeout=LIMIT)[0]

    def is_quiet(self, seconds: float) -> bool:
        """Tell whether nothing is called for so long."""
        try:
            self.calls.get(timeout=seconds)
        except Empty:
            return True
        return False


Start = "Callable[..., DutyThread]"


@pytest.fixture
def start() -> Iterator[Callable[..., DutyThread]]:
    """Starts threads of duties, which end with the test."""
    started: list[DutyThread] = []

    def begin(
        duty: Duty, clock: Clock | None = None, is_sure: Callable[[], bool] = lambda: True, before: Any = None
    ) -> DutyThread:
        started.append(DutyThread(duty, clock or SystemClock(), is_sure, before))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.end()
        one.join(LIMIT)


def test_a_step_is_called_when_it_is_due(start: Callable[..., DutyThread]) -> None:
    """Steps are never early, and the quicker half of them is less than two milliseconds late."""
    late: list[int] = []
    due = [0]
    done = threading.Event()

    def answer(now: int) -> int:
        late.append(now - due[0])
        if len(late) > 60:
            done.set()
            return now + HOUR
        due[0] = now + 15 * MILLISECOND
        return due[0]

    start(Noted(answer))
    assert done.wait(LIMIT)
    found = sorted(late[1:])
    print(f"late by {found[30] / 1000:.2f} ms at the median, {found[-1] / 1000:.2f} ms at most")  # noqa: T201
    assert found[0] >= 0
    assert found[20] < QUICKEST_PRECISION


def test_whoever_wakes_a_duty_has_it_called(start: Callable[..., DutyThread]) -> None:
    """A wake-up, by the leader or through the duty itself, comes before the time that the duty named."""
    duty = Noted(lambda now: now + HOUR)
    thread = start(duty)
    assert [duty.next(), duty.next()] == ["begin", "step"]
    thread.wake()
    assert duty.next() == "step"
    duty.wake()
    assert duty.next() == "step"


def test_a_wake_up_during_a_step_is_not_lost(start: Callable[..., DutyThread]) -> None:
    """What happens while a duty looks makes it look again."""
    is_first = [True]

    def answer(now: int) -> int:
        if is_first[0]:
            is_first[0] = False
            duty.wake()
        return now + HOUR

    duty = Noted(answer)
    start(duty)
    assert [duty.next(), duty.next(), duty.next()] == ["begin", "step", "step"]


def test_a_storm_of_wake_ups_is_met_with_rests(start: Callable[..., DutyThread]) -> None:
    """However often it is woken, a duty takes about a tenth of the time."""
    busy = [0.0]

    def answer(now: int) -> int:
        began = time.monotonic()
        while time.monotonic() < began + 0.005:
            pass
        busy[0] += 0.005
        return now + HOUR

    duty = Noted(answer)
    thread = start(duty)
    began = time.monotonic()
    while time.monotonic() < began + 0.6:
        thread.wake()
        thread.join(0.001)
    assert 0.01 <= busy[0] < 0.12


def test_in_doubt_no_step_is_called(start: Callable[..., DutyThread]) -> None:
    """While another worker may lead nothing is done, not even what is due; then the duty begins anew."""
    is_sure = threading.Event()
    is_sure.set()
    duty = Noted(lambda now: now + 10 * MILLISECOND)
    thread = start(duty, is_sure=is_sure.is_set)
    assert [duty.next(), duty.next(), duty.next()] == ["begin", "step", "step"]
    is_sure.clear()
    while not duty.is_quiet(0.1):
        pass
    thread.wake()
    assert duty.is_quiet(0.1)
    is_sure.set()
    thread.confirm()
    assert [duty.next(), duty.next()] == ["begin", "step"]


def test_a_sleeper_notices_doubts(start: Callable[..., DutyThread]) -> None:
    """A duty that sleeps for long while its worker is in doubt begins anew all the same."""
    is_sure = threading.Event()
    is_sure.set()
    duty = Noted(lambda now: now + HOUR)
    thread = start(duty, is_sure=is_sure.is_set)
    assert [duty.next(), duty.next()] == ["begin", "step"]
    is_sure.clear()
    assert duty.is_quiet(1.2)
    is_sure.set()
    thread.confirm()
    assert duty.next() == "begin"


@pytest.mark.parametrize("by", [-86_400, 86_400])
def test_a_clock_that_is_set_makes_it_look(start: Callable[..., DutyThread], by: int) -> None:
    """A clock that was set back or forward has the duty called soon: it named its time by the old one."""
    clock = SetClock()
    duty = Noted(lambda now: now + 2 * 24 * HOUR)
    start(duty, clock)
    assert [duty.next(), duty.next()] == ["begin", "step"]
    clock.offset = by * SECOND
    assert duty.next() == "step"


class SetClock(SystemClock):
    """A clock that somebody sets."""

    offset = 0

    def now(self) -> int:
        """Return the time as it was set."""
        return super().now() + self.offset


def test_whatever_a_duty_meets_it_goes_on(start: Callable[..., DutyThread], caplog: pytest.LogCaptureFixture) -> None:
    """A defect and a store that is away are each said once, and the duty is called again."""
    errors = iter([KeyError("x"), KeyError("y"), StoreUnavailableError("away"), StoreUnavailableError("still away")])

    def answer(now: int) -> int:
        for error in errors:
            raise error
        return now + HOUR

    duty = Noted(answer)
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING, "lineshaft.leader"):
        patch.setattr("lineshaft.leader.trouble._LONGEST_PAUSE_SECONDS", 0.01)
        thread = start(duty)
        assert [duty.next() for _ in range(6)] == ["begin", *["step"] * 5]
        thread.wake()
        assert duty.next() == "step"
    assert [line.split(",")[0] for line in caplog.messages] == [
        "the leader's noted met an error",
        "the leader's noted failed",
        "the leader's noted goes on",
    ]


def test_pauses_grow() -> None:
    """Each failure in a row is followed by a longer pause, up to half a minute; a success makes them short again."""
    trouble = Trouble("d")
    pauses = [trouble.met(StoreUnavailableError("away")) for _ in range(10)]
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert pauses[-1] == 30
    trouble.is_over()
    assert trouble.met(StoreUnavailableError("away")) == 0.25


def test_a_wake_up_does_not_shorten_a_pause(start: Callable[..., DutyThread]) -> None:
    """What fails is not tried again at once because somebody calls."""

    def answer(now: int) -> int:
        raise StoreUnavailableError("away")

    duty = Noted(answer)
    thread = start(duty)
    assert [duty.next(), duty.next(), duty.next()] == ["begin", "step", "step"]
    thread.wake()
    assert duty.is_quiet(0.2)


def test_a_duty_is_never_done_by_two_threads(start: Callable[..., DutyThread]) -> None:
    """Elected again while a step of its former term is under way, a worker waits for its end."""
    entered, leave = threading.Event(), threading.Event()

    def answer(now: int) -> int:
        entered.set()
        assert leave.wait(LIMIT)
        return now + HOUR

    duty = Noted(answer)
    earlier = start(duty)
    assert entered.wait(LIMIT)
    earlier.end()
    start(duty, before=earlier)
    assert [duty.next(), duty.next()] == ["begin", "step"]
    assert duty.is_quiet(0.1)
    leave.set()
    assert [duty.next(), duty.next()] == ["begin", "step"]


def test_an_idle_duty_asks_nothing(start: Callable[..., DutyThread]) -> None:
    """Nothing is called before its time while the clock goes as it should."""
    duty = Noted(lambda now: now + HOUR)
    start(duty)
    assert [duty.next(), duty.next()] == ["begin", "step"]
    assert duty.is_quiet(1.5)


def test_a_clock_that_stands_still_is_borne(start: Callable[..., DutyThread]) -> None:
    """With a clock that somebody moves by hand a duty is called when that clock says so."""
    clock = ManualClock()
    duty = Noted(lambda now: now + HOUR)
    start(duty, clock)
    assert [duty.next(), duty.next()] == ["begin", "step"]
    clock.advance("1h")
    assert duty.next() == "step"
