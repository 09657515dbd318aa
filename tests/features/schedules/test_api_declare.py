"""`@app.schedule` above a task: what it declares, and what it refuses, with the place and the reason."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lineshaft import Blob, Lineshaft, ScheduleError, Tasks, Unique


@pytest.fixture
def app(make_app: Callable[..., Lineshaft]) -> Lineshaft:
    """An app that nothing is stored by."""
    return make_app("memory://")


def declare(app: Lineshaft | Tasks, **options: Any) -> Any:
    """Declare a schedule of a task of two arguments."""

    @app.schedule(**{"args": ("a",), **options})
    @app.task(name="report")
    def report(name: str, pages: int = 1) -> str:
        return name * pages

    return report


def test_task_stays_what_it_is(app: Lineshaft) -> None:
    """The decorator returns the task unchanged: it is called and enqueued as before."""
    report = declare(app, cron="0 6 * * *")
    assert report("a", 2) == "aa"
    assert app.find("report") is report
    assert [one.name for one in app.declarations] == ["report"]


def test_workers_serve_its_queue(app: Lineshaft) -> None:
    """Workers that are told no queues serve those that schedules name, or their jobs would wait for ever."""
    declare(app, cron="0 6 * * *", queue="paper")
    with app.worker() as running:
        assert "paper" in running.worker.queues


def test_several_above_one_task(app: Lineshaft) -> None:
    """Decorators may be stacked; all but one need a name of their own."""

    @app.schedule(every="10m", name="often")
    @app.schedule(cron="@daily")
    @app.task(name="sweep")
    def sweep() -> None:
        """Do nothing."""

    assert sorted(one.name for one in app.declarations) == ["often", "sweep"]


def test_collections_bring_their_schedules(app: Lineshaft) -> None:
    """A collection's schedules come with its tasks, and its prefix stands before the names that it gives."""
    tasks = Tasks(prefix="billing.")

    @tasks.schedule(every="1h", name="hourly")
    @tasks.schedule(every="1d")
    @tasks.task(name="charge")
    def charge() -> None:
        """Do nothing."""

    app.include(tasks)
    assert sorted(one.name for one in app.declarations) == ["billing.charge", "billing.hourly"]


def test_read_again(app: Lineshaft) -> None:
    """A module that is read twice, in a notebook or by a reload, declares its schedules anew."""
    declare(app, every="1h")
    declare(app, every="2h")
    [declared] = app.declarations
    assert declared.recurrence.in_words() == declare_alone(every="2h")


def declare_alone(**rule: Any) -> str:
    """Return a rule in words."""
    app = Lineshaft("memory://")
    declare(app, **rule)
    return app.declarations[0].recurrence.in_words()


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no rule": ({}, "give exactly one of cron=, every=, at=, days="),
    "two rules": ({"cron": "0 6 * * *", "every": "1h"}, "cron= and every="),
    "bad cron": ({"cron": "61 * * * *"}, "61"),
    "never fires": ({"cron": "0 0 30 2 *"}, "never"),
    "unknown zone": ({"cron": "0 6 * * *", "timezone": "Europe/Berln"}, "Europe/Berlin"),
    "end before start": (
        {"every": "1h", "start": datetime(2026, 2, 1, tzinfo=UTC), "end": datetime(2026, 1, 1, tzinfo=UTC)},
        "is before start",
    ),
    "naive time": ({"at": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001 - the mistake in question
    "unknown option": ({"every": "1h", "crn": "x"}, "unexpected option 'crn'"),
    "overlap": ({"every": "1h", "overlap": "never"}, "overlap='never' must be one of 'allow', 'skip', 'queue'"),
    "catch_up": ({"every": "1h", "catch_up": "two"}, "catch_up='two' must be one of 'none', 'one', 'all'"),
    "catch_up_limit": ({"every": "1h", "catch_up_limit": 0}, "catch_up_limit=0 must be a whole number from 1"),
    "jitter": ({"every": "1m", "jitter": "2m"}, "jitter=2m is longer than the 1m between two ticks"),
    "jitter of an uneven rule": ({"cron": "0,5 * * * *", "jitter": "10m"}, "jitter=10m is longer than the 5m"),
    "finish_within": ({"every": "1h", "finish_within": 0}, "finish_within=0 leaves no time"),
    "finish within the jitter": ({"every": "1h", "jitter": "9m", "finish_within": "5m"}, "finish_within=5m leaves no"),
    "grace": ({"every": "1h", "grace": 0}, "grace=0 is too short"),
    "not a duration": ({"every": "1h", "grace": "soon"}, "grace='soon' is not a duration"),
    "name": ({"every": "1h", "name": "two words"}, "name='two words' must be a text"),
    "name of the store's own": ({"every": "1h", "name": "lineshaft.mine"}, "begins with 'lineshaft.'"),
    "queue": ({"every": "1h", "queue": "a,b"}, "queue='a,b' must be a name"),
    "priority": ({"every": "1h", "priority": "hgih"}, "priority='hgih' must be"),
    "an argument is missing": ({"every": "1h", "args": ()}, "missing a required argument: 'name'"),
    "an argument too many": ({"every": "1h", "args": ("a", 1, 2)}, "too many positional arguments"),
    "an argument of another type": ({"every": "1h", "args": ("a", "b")}, "argument 'pages' of task 'report'"),
    "args as a text": ({"every": "1h", "args": "a"}, "write args=('a',)"),
    "kwargs as a list": ({"every": "1h", "kwargs": ["a"]}, "must be a dict"),
    "calendar": ({"every": "1h", "calendar": "DE"}, "must be a Calendar"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_ones_are_refused(app: Lineshaft, case: str) -> None:
    """What is wrong is refused at declaration, in one line that names the schedule, the place and the reason."""
    options, reason = BAD[case]
    with pytest.raises(ScheduleError) as refused:
        declare(app, **options)
    said = str(refused.value)
    assert reason in said
    assert re.match(r"schedule '[^']+' at .*test_api_declare\.py:\d+: ", said)
    assert "\n" not in said
    assert app.declarations == []


def test_place_is_the_functions_own(app: Lineshaft) -> None:
    """The place is the line on which the decorated function begins."""
    with pytest.raises(ScheduleError) as refused:
        declare(app, every="1h", overlap="never")
    line = declare.__code__.co_firstlineno + 3
    assert f"test_api_declare.py:{line}: " in str(refused.value)


def test_plain_function(app: Lineshaft) -> None:
    """Above a function that is no task yet, the order of the decorators is what is wrong."""
    with pytest.raises(ScheduleError, match=r"is not a task yet.*: put @app.schedule above @app.task"):

        @app.task
        @app.schedule(every="1h")  # type: ignore[type-var]
        def swap() -> None:
            """Do nothing."""


def test_two_without_a_name(app: Lineshaft) -> None:
    """A second schedule of the same task without a name of its own is refused."""
    with pytest.raises(ScheduleError, match=r"the name is taken by the one at .*; give one of them another name="):
        app.schedule(every="1h", args=("a",))(declare(app, every="2h"))


def test_name_of_another_task(app: Lineshaft) -> None:
    """Two tasks cannot have schedules of one name, whichever module they come from."""
    declare(app, every="1h", name="nightly")

    @app.task(name="other")
    def other() -> None:
        """Do nothing."""

    with pytest.raises(ScheduleError, match=r"schedule 'nightly' at .* the name is taken by the one at"):
        app.schedule(every="1h", name="nightly")(other)


def test_task_of_another_app(app: Lineshaft, make_app: Callable[..., Lineshaft]) -> None:
    """A task is scheduled by its own app."""
    report = declare(app, every="1h")
    with pytest.raises(ScheduleError, match="task 'report' is not registered here"):
        make_app("memory://").schedule(every="1h", args=("a",))(report)


def test_jobs_that_cannot_come_again(app: Lineshaft) -> None:
    """A job that only one tick could enqueue is refused with the reason."""

    @app.task(name="once", run_at=datetime(2030, 1, 1, tzinfo=UTC))
    def once() -> None:
        """Do nothing."""

    @app.task(name="alone", unique=Unique(on_conflict="error"))
    def alone() -> None:
        """Do nothing."""

    @app.task(name="print")
    def print_(page: Blob) -> None:
        """Do nothing."""

    with pytest.raises(ScheduleError, match="it has a run_at"):
        app.schedule(every="1h")(once)
    with pytest.raises(ScheduleError, match="on_conflict='error'"):
        app.schedule(every="1h")(alone)
    with pytest.raises(ScheduleError, match="takes a Blob"):
        app.schedule(every="1h", args=(Blob(b"page"),))(print_)


def test_collections_are_checked_when_included(app: Lineshaft) -> None:
    """What only an app can tell, such as whether a value can be stored, is refused when it includes the collection."""
    tasks = Tasks()

    class Money:
        """Stored by a codec of some apps."""

    @tasks.schedule(every="1h", args=(Money(),))
    @tasks.task(name="pay")
    def pay(amount: Any) -> None:
        """Do nothing."""

    with pytest.raises(ScheduleError, match=r"schedule 'pay' at .*test_api_declare\.py:\d+: argument 'amount'"):
        app.include(tasks)


def test_over_since_long(app: Lineshaft) -> None:
    """A rule whose last tick is over stays in the code without harm: the app can still be imported."""
    declare(app, at=datetime(2020, 1, 1, tzinfo=UTC))
    declare(app, name="then", cron="0 6 * * *", end=datetime(2020, 1, 1, tzinfo=UTC))
    app.schedules.sync()
    assert [one.state for one in app.schedules.list()] == ["ended", "ended"]


def test_annotations_that_come_later(app: Lineshaft) -> None:
    """A declaration while the module loads does not fix annotations that name what is defined only below."""

    @app.schedule(every="1h", args=(7,))
    @app.task(name="early")
    def early(number: Later) -> None:  # noqa: F821 - defined below
        """Do nothing."""

    globals()["Later"] = int
    try:
        with pytest.raises(Exception, match="argument 'number' of task 'early' does not fit its annotation"):
            early.new("seven")  # type: ignore[arg-type]
    finally:
        del globals()["Later"]


def test_import_stays_light() -> None:
    """A program that schedules nothing reads neither rules nor calendars nor time zones."""
    code = (
        "import sys, lineshaft; lineshaft.Lineshaft('memory://');"
        "print([m for m in ('lineshaft.recurrence', 'lineshaft.app.schedules', 'zoneinfo', 'cronsim', 'holidays') "
        "if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
