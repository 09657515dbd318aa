"""Events and who hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lineshaft import events
from lineshaft.clock import to_datetime
from lineshaft.errors import ConfigError
from lineshaft.events import KINDS, BreakerEvent, Event, JobCompleted, JobDead, JobEvent, ScheduleEvent, Subscribers

if TYPE_CHECKING:
    from lineshaft.events import Handler

DONE = JobCompleted("id", "a.b", "default", 1, to_datetime(0))
DEAD = JobDead("id", "a.b", "default", 1, to_datetime(0), reason="error", error="x")


def test_handlers_hear_what_they_asked_for() -> None:
    """A handler hears of its kinds in order, and of no others."""
    heard: list[JobEvent] = []
    subscribers = Subscribers()
    subscribers.add(("dead",), heard.append)
    for event in (DONE, DEAD, DONE, DEAD):
        subscribers.tell(event)
    assert heard == [DEAD, DEAD]


def test_nobody_wants_what_nobody_asked_for() -> None:
    """An event that nobody hears need not be built."""
    subscribers = Subscribers()
    assert not subscribers.want("dead")
    subscribers.add(("dead", "completed"), print)
    assert subscribers.want("dead")
    assert not subscribers.want("expired")


def test_failing_handler_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that raises is logged, and the next one is called."""
    heard: list[JobEvent] = []

    def fail(_: JobEvent) -> None:
        raise ValueError("broken handler")

    subscribers = Subscribers()
    handlers: list[Handler] = [fail, heard.append]
    for one in handlers:
        subscribers.add(("dead",), one)
    subscribers.tell(DEAD)
    assert heard == [DEAD]
    assert "broken handler" in caplog.text


@pytest.mark.parametrize("kinds", [(), ("died",), ("dead", "died")])
def test_unknown_kinds_are_refused(kinds: tuple[str, ...]) -> None:
    """A kind that does not exist is refused, naming those that do."""
    with pytest.raises(ConfigError, match=r"app\.on takes event names out of enqueued, started"):
        Subscribers().add(kinds, print)


def test_each_kind_has_one_class() -> None:
    """Every event class is found by its kind, and no kind is used twice."""
    classes = {one for one in vars(events).values() if isinstance(one, type) and issubclass(one, Event)}
    assert set(KINDS.values()) == classes - {Event, JobEvent, ScheduleEvent, BreakerEvent}
    assert all(event.kind == kind for kind, event in KINDS.items())
