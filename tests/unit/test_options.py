"""What can be said about a job, checked where it is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lineshaft.clock import DAY, MINUTE, to_instant
from lineshaft.errors import ConfigError
from lineshaft.options import (
    PRIORITIES,
    UNSET,
    Debounce,
    Options,
    Throttle,
    Unique,
    apply_execution,
    dump_retry,
    import_by_path,
    load_retry,
    stored_execution,
)
from lineshaft.retry import ONCE, Exponential, Fixed, Linear, Retry
from lineshaft.transitions import UNFINISHED, State

if TYPE_CHECKING:
    from collections.abc import Callable

WHEN = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"queue": "pdf"}, {"queue": "pdf"}),
        ({"priority": -100}, {"priority": -100}),
        *(({"priority": name}, {"priority": number}) for name, number in PRIORITIES.items()),
        ({"retry": None}, {"retry": ONCE}),
        ({"timeout": "2m"}, {"timeout": 2 * MINUTE}),
        ({"timeout": None}, {"timeout": None}),
        ({"delay": "10m"}, {"delay": 10 * MINUTE, "run_at": None}),
        ({"run_at": WHEN}, {"run_at": to_instant(WHEN), "delay": None}),
        ({"deadline": "1d"}, {"deadline": None, "deadline_in": DAY}),
        ({"deadline": WHEN}, {"deadline": to_instant(WHEN), "deadline_in": None}),
        ({"deadline": None}, {"deadline": None, "deadline_in": None}),
        ({"tags": ["b", "a", "b"]}, {"tags": ("b", "a")}),
        ({"meta": {"a": [1]}}, {"meta": {"a": [1]}}),
        ({"tenant": "acme"}, {"tenant": "acme"}),
        ({"runs_in": "process"}, {"runs_in": "process"}),
        ({"keep_result": "7d"}, {"keep_result": 7 * DAY}),
        ({"keep_result": False}, {"keep_result": 0}),
        ({"keep_result": None}, {"keep_result": None}),
        ({"connection": WHEN}, {"connection": WHEN}),
    ],
    ids=str,
)
def test_options_are_kept_in_the_units_of_the_store(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """What is given is found again, checked and converted; everything else stays as it was."""
    options = Options().but(**given)
    assert {name: getattr(options, name) for name in expected} == expected
    assert options.but(**dict.fromkeys(given, UNSET)) == options


@pytest.mark.parametrize(
    "name, wrong",
    [
        *(("queue", wrong) for wrong in ("", "a,b", "a:b", "a\nb", "x" * 201, 5, None)),
        *(("priority", wrong) for wrong in (101, -101, 1.5, True, "urgent", None)),
        *(("retry", wrong) for wrong in (3, "no", False)),
        *(("timeout", wrong) for wrong in (0, -1, "soon")),
        *(("delay", wrong) for wrong in (-1, "soon")),
        *(("run_at", wrong) for wrong in ("2026-01-01", 5)),
        *(("deadline", wrong) for wrong in (-1, "soon")),
        *(("unique", wrong) for wrong in (True, "skip")),
        *(("tags", wrong) for wrong in ("q3", [1], [""])),
        *(("meta", wrong) for wrong in ([1], {1: 2}, {"a": object()})),
        *(("tenant", wrong) for wrong in ("", 5)),
        *(("runs_in", wrong) for wrong in ("fiber", True)),
        *(("keep_result", wrong) for wrong in (True, "soon", -1)),
    ],
    ids=lambda value: str(value)[:20] or "empty",
)
def test_wrong_options_are_refused(name: str, wrong: object) -> None:
    """A wrong value is refused in one line that names the option."""
    with pytest.raises(ConfigError, match=rf"^{name}\b") as caught:
        Options().but(**{name: wrong})
    assert "\n" not in str(caught.value)


def test_delay_and_run_at_exclude_each_other() -> None:
    """Both at once is a TypeError, one after the other the later one counts."""
    with pytest.raises(TypeError, match="delay and run_at"):
        Options().but(delay=5, run_at=WHEN)
    assert Options().but(delay=5).but(run_at=WHEN).delay is None


@pytest.mark.parametrize(
    "policy",
    [
        Retry(),
        Retry(7, Exponential("250ms", 3.5, "2h", "equal"), OSError, (KeyError, ValueError)),
        Retry(backoff=Linear(timedelta(seconds=3))),
        Retry(backoff=Fixed(0.5, "full")),
    ],
    ids=str,
)
def test_policy_travels_with_its_job(policy: Retry) -> None:
    """A retry policy that was stored as JSON with a job decides and waits as the one given."""
    found = load_retry(msgspec.json.decode(msgspec.json.encode(dump_retry(policy))))
    assert dump_retry(found) == dump_retry(policy)
    assert (found.max_attempts, found.retry_on, found.give_up_on) == (
        policy.max_attempts, policy.retry_on, policy.give_up_on,
    )  # fmt: skip


def test_lambdas_cannot_travel() -> None:
    """A callable that cannot be imported by name is refused, naming where it stands."""
    with pytest.raises(ConfigError, match=r"^backoff=.* importable by name$"):
        dump_retry(Retry(backoff=lambda *_: 1))
    with pytest.raises(ConfigError, match=r"^give_up_on=.* importable by name$"):
        dump_retry(Retry(give_up_on=lambda _: True))


def test_only_what_was_said_travels() -> None:
    """How to run is stored where `.options()` said so, and takes the place of what the task says."""
    given = {"timeout": 5, "retry": None, "runs_in": "thread", "keep_result": False}
    stored = stored_execution(given, Options().but(**given))
    assert stored_execution({}, Options().but(**given)) == {}
    found = apply_execution(Options().but(timeout=9, queue="pdf"), msgspec.json.decode(msgspec.json.encode(stored)))
    assert (found.timeout, found.retry.max_attempts, found.runs_in, found.keep_result) == (5_000_000, 1, "thread", 0)
    assert found.queue == "pdf"


def test_stored_none_lifts_a_timeout() -> None:
    """`timeout=None` given for one job beats the task's timeout."""
    stored = stored_execution({"timeout": None}, Options())
    assert apply_execution(Options().but(timeout=9), stored).timeout is None


@pytest.mark.parametrize("path", ["no.such.module:x", "re:no_such", "re", "", ":x"])
def test_missing_import_is_named(path: str) -> None:
    """What cannot be imported is refused with its path."""
    with pytest.raises(ConfigError, match=re.escape(repr(path))):
        import_by_path(path)


@pytest.mark.parametrize(
    "unique, names, counting",
    [
        (Unique(), None, UNFINISHED),
        (Unique(by="a"), ("a",), UNFINISHED),
        (Unique(by=()), (), UNFINISHED),
        (Unique(within="1h"), None, UNFINISHED | {State.COMPLETED}),
        (Unique(states=["dead", State.QUEUED]), None, {State.DEAD, State.QUEUED}),
    ],
)
def test_unique_says_what_counts(unique: Unique, names: tuple[str, ...] | None, counting: set[State]) -> None:
    """Which arguments and states count follows from what was given."""
    assert unique.names == names
    assert unique.counting == frozenset(counting)


@pytest.mark.parametrize(
    "arguments, advice",
    [({"on_conflict": "raise"}, "on_conflict='raise'"), ({"within": "x"}, "within="), ({"states": ["gone"]}, "'gone'")],
    ids=str,
)
def test_wrong_unique_is_refused(arguments: dict[str, Any], advice: str) -> None:
    """A rule that cannot work is refused when it is made."""
    with pytest.raises(ConfigError, match=advice):
        Unique(**arguments)


@pytest.mark.parametrize(
    "make, advice",
    [
        (lambda: Unique.debounce("soon"), "quiet='soon' is not a duration"),
        (lambda: Unique.debounce(0), "quiet=0 of Unique.debounce is no time at all"),
        (lambda: Unique.debounce("5s", at_most="3s"), "at_most='3s' of Unique.debounce is shorter than quiet='5s'"),
        (lambda: Unique.debounce("5s", at_most=-1), "at_most=-1 is out of range"),
        (lambda: Unique.throttle("0s"), "every='0s' of Unique.throttle is no time at all"),
        (lambda: Unique(pace="1m"), "pace='1m' of Unique must come of Unique.debounce"),
        (lambda: Unique(within="1h", pace=Debounce("5s")), "within='1h' cannot stand beside Unique.debounce"),
        (
            lambda: Unique(on_conflict="error", pace=Throttle("5s")),
            "on_conflict='error' cannot stand beside Unique.thr",
        ),
        (lambda: Unique(states=["dead"], pace=Throttle("5s")), "states=['dead'] cannot stand beside Unique.throttle"),
    ],
)
def test_wrong_pace_is_refused(make: Callable[[], Unique], advice: str) -> None:
    """A debounce or throttle that cannot work is refused when it is made, in one line that names the value."""
    with pytest.raises(ConfigError, match=re.escape(advice)) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [{"delay": "1h"}, {"run_at": WHEN}], ids=["delay", "run_at"])
def test_debounced_job_has_no_time_of_its_own(given: dict[str, Any]) -> None:
    """A time of its own beside `Unique.debounce` is refused, whichever of them is said first; a throttled one may."""
    (name,) = given
    for one, other in [({"unique": Unique.debounce("5s")}, given), (given, {"unique": Unique.debounce("5s")})]:
        with pytest.raises(ConfigError, match=f"{name} cannot stand beside Unique.debounce"):
            Options().but(**one).but(**other)
    assert Options().but(unique=Unique.debounce("5s"), delay=None).delay is None
    assert Options().but(unique=Unique.throttle("5s"), **given).unique is not None
