"""`Breaker` and `Adaptive`: what they refuse, how they are stored, and what they are called."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lineshaft import Adaptive, Breaker, ConfigError, Lineshaft
from lineshaft.options import AdaptiveTerms, BreakerTerms, Options, apply_execution, stored_execution

HERE = Path(__file__).name


@pytest.mark.parametrize(
    "given, complaint",
    [
        ({"name": "a b"}, "name='a b' of Breaker must be"),
        ({"name": ""}, "name='' of Breaker must be"),
        ({"name": "a=b"}, "name='a=b' of Breaker must be"),
        ({"name": "x" * 101}, "1 to 100 characters"),
        ({"failures": 0}, "failures=0 of Breaker must be a whole number from 1 to 1,000"),
        ({"failures": True}, "failures=True of Breaker"),
        ({"half_open": 1_001}, "half_open=1001 of Breaker"),
        ({"within": 0}, "within=0 of Breaker is no time at all"),
        ({"reset": "soon"}, "reset of Breaker='soon' is not a duration"),
        ({"reset": -1}, "reset of Breaker=-1 is out of range"),
        ({"on": "OSError"}, "on='OSError' of Breaker must be an exception type"),
        ({"on": (OSError, 3)}, "of Breaker must be an exception type"),
        ({"when_open": "drop"}, "when_open='drop' of Breaker must be 'wait' or 'fail'"),
    ],
)
def test_breakers_that_cannot_be(given: dict[str, Any], complaint: str) -> None:
    """What makes no sense is refused in one line that names the place, the option and its value."""
    with pytest.raises(ConfigError) as refusal:
        Breaker(**given)
    assert complaint in str(refusal.value)
    assert f"{HERE}:" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "given, complaint",
    [
        ({"low": 0}, "low=0 of Adaptive must be a whole number from 1 to 5,000"),
        ({"high": 5_001}, "high=5001 of Adaptive must be"),
        ({"low": 9, "high": 8}, "low=9 of Adaptive is above high=8"),
        ({"start": 0}, "start=0 of Adaptive must be"),
        ({"start": 51}, "start=51 of Adaptive must be between its low=1 and high=50"),
        ({"key": 7}, "key=7 of Adaptive must name"),
        ({"key": ()}, "key=() of Adaptive must name"),
        ({"latency": "1x"}, "latency='1x' of Adaptive must be more than '1x'"),
        ({"latency": 0}, "latency=0 of Adaptive would make every job slow"),
        ({"latency": "fast"}, "latency of Adaptive='fast' is not a duration"),
        ({"name": "a:b"}, "name='a:b' of Adaptive must be"),
        ({"on": OSError()}, "of Adaptive must be an exception type"),
        ({"per_tenant": 1}, "per_tenant=1 of Adaptive must be True or False"),
    ],
)
def test_limits_that_cannot_learn(given: dict[str, Any], complaint: str) -> None:
    """What makes no sense is refused in one line that names the place, the option and its value."""
    with pytest.raises(ConfigError) as refusal:
        Adaptive(**given)
    assert complaint in str(refusal.value)
    assert f"{HERE}:" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_terms_of_breakers() -> None:
    """Only what differs from the defaults is said, in one spelling: nothing means as it is said elsewhere."""
    assert (
        Breaker("smtp").terms() == Breaker("other", failures=5, within=60, reset=timedelta(seconds=30)).terms() == "{}"
    )
    terms = msgspec.json.decode(Breaker(failures=2, reset="1.5s", when_open="fail").terms(), type=BreakerTerms)
    assert terms == BreakerTerms(failures=2, reset=1_500_000, when_open="fail")
    assert [Breaker("smtp").says_more, Breaker("smtp", on=OSError).says_more] == [False, True]


def test_terms_of_limits() -> None:
    """The bounds, the start and what is slow, durations in microseconds."""
    said = Adaptive(2, 9, start=4, key=["a", "b"], latency="2.5x", per_tenant=True)
    expected = AdaptiveTerms(2, 9, 4, 2.5, None, ("a", "b"), per_tenant=True)
    assert msgspec.json.decode(said.terms(), type=AdaptiveTerms) == expected
    assert msgspec.json.decode(Adaptive(latency="90ms").terms(), type=AdaptiveTerms).slow == 90_000


def test_names_of_rules() -> None:
    """A name is shared by who says it; without one the task's is taken."""
    assert [Breaker("smtp").rule("shop.mail"), Breaker().rule("shop.mail")] == ["breaker:smtp", "breaker:shop.mail"]
    rules = [Adaptive(name="api").rule("t"), Adaptive().rule("t"), Adaptive(key=("a", "b")).rule("t")]
    assert rules == ["api", "t.adaptive", "t.adaptive.a.b"]


def test_they_are_stored_with_a_job() -> None:
    """What `.options()` was given comes back with the job as it was said, exception types by their import path."""
    breaker = Breaker("smtp", 3, timedelta(minutes=2), "1.5s", 2, (OSError, ConfigError), "fail")
    adaptive = Adaptive(2, 9, 4, ("a", "b"), TimeoutError, "2x", None, per_tenant=True)
    options = Options().but(breaker=breaker, concurrency=[adaptive, 5])
    stored = stored_execution({"breaker": breaker, "concurrency": adaptive}, options)
    back = apply_execution(Options(), msgspec.json.decode(msgspec.json.encode(stored)))
    assert back.breaker[0].terms() == breaker.terms()
    assert (back.breaker[0].name, back.breaker[0].errors) == ("smtp", (OSError, ConfigError))
    loaded = back.concurrency[0]
    assert isinstance(loaded, Adaptive)
    assert (loaded.terms(), loaded.errors, loaded.name) == (adaptive.terms(), (TimeoutError,), None)


def test_types_that_cannot_be_imported_are_not_stored() -> None:
    """An exception type of a function cannot travel with a job; the error says so, and where it may stand."""

    class OwnError(Exception):
        pass

    with pytest.raises(ConfigError, match="has to be importable by name"):
        Breaker("smtp", on=OwnError).dump()


def test_two_ways_of_one_breaker_are_refused() -> None:
    """Tasks that share a breaker say it alike, or one says it and the others name it."""
    app = Lineshaft("memory://")
    app.task(name="one", breaker=Breaker("smtp", failures=2))(print_nothing)
    app.task(name="two", breaker="smtp")(print_nothing)
    with pytest.raises(ConfigError, match="'breaker:smtp' is said in two ways"):
        app.task(name="three", breaker=Breaker("smtp", failures=3))(print_nothing)


def print_nothing() -> None:
    """Do nothing."""
