"""What a schedule says, as it is stored, changed and refused."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft import Blob, Unique, current_job
from lineshaft.clock import HOUR, MINUTE
from lineshaft.errors import ConfigError, PayloadTooLargeError
from lineshaft.features.schedules.definition import (
    Definition,
    changes_between,
    overridden_fields,
    read_definition,
    schedulable,
    stored_text,
)
from lineshaft.options import JobTemplate
from lineshaft.recurrence import Cron, Every, Recurrence

if TYPE_CHECKING:
    from lineshaft import Lineshaft

definitions = st.builds(
    Definition,
    recurrence=st.sampled_from([Recurrence(Every(HOUR)), Recurrence(Cron("0 6 * * *"), "Europe/Berlin", end=10**15)]),
    job=st.builds(
        JobTemplate,
        name=st.just("report"),
        args=st.sampled_from(["[[],{}]", "[[1],{}]"]),
        queue=st.sampled_from(["default", "slow"]),
        max_attempts=st.just(3),
        priority=st.integers(-1, 1),
        tenant=st.sampled_from([None, "acme"]),
        tags=st.sampled_from([(), ("a", "b")]),
        meta=st.sampled_from([None, {"a": None}]),
    ),
    jitter=st.sampled_from([0, MINUTE]),
    catch_up=st.sampled_from(["none", "one", "all"]),
    overlap=st.sampled_from(["allow", "skip"]),
    finish_within=st.sampled_from([None, HOUR]),
)


@given(definitions, definitions)
def test_changes_make_of_the_one_the_other(declared: Definition, wanted: Definition) -> None:
    """What a person changed, laid over what was declared, is what that person wanted; equal ones have no changes."""
    changes = changes_between(declared, wanted)
    assert read_definition(stored_text(declared), changes) == wanted
    assert (changes is None) == (declared == wanted)


@given(definitions, definitions, definitions)
def test_changes_outlive_a_deploy(declared: Definition, wanted: Definition, deployed: Definition) -> None:
    """Fields that a person changed stay so when the code changes; the others follow the code."""
    changes = changes_between(declared, wanted)
    held = read_definition(stored_text(deployed), changes)
    changed = overridden_fields(changes)
    for name in ("recurrence", "jitter", "catch_up", "overlap", "finish_within"):
        assert getattr(held, name) == getattr(wanted if name in changed else deployed, name)
    for name in ("args", "queue", "priority", "tenant", "tags"):
        assert getattr(held.job, name) == getattr((wanted if name in changed else deployed).job, name)


def test_an_unknown_field_makes_it_unreadable() -> None:
    """What a newer version says beyond what is known here is not passed over: all of it counts as unreadable."""
    text = stored_text(Definition(Recurrence(Every(HOUR)), action="chore", chore="sweep"))
    with pytest.raises(msgspec.MsgspecError):
        read_definition(text.replace("{", '{"only_when":"raining",', 1))


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"run_at": "2027-01-01T00:00:00+00:00"}, "run_at"),
        ({"deadline": "2027-01-01T00:00:00+00:00"}, "deadline"),
        ({"unique": Unique(on_conflict="error")}, "on_conflict='error'"),
        ({"meta": {"tick": 1}}, "'tick' in its meta"),
        ({"connection": object()}, "connection="),
    ],
)
def test_what_cannot_come_again_and_again_is_refused(app: Lineshaft, options: dict[str, Any], reason: str) -> None:
    """A job with something that counts for one run only is refused, with the reason, in one line."""

    @app.task(name="report")
    def report() -> None:
        """Report."""

    given = {key: _instant(value) if key in ("run_at", "deadline") else value for key, value in options.items()}
    with pytest.raises(ConfigError) as refused:
        schedulable(report.options(**given).new())
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_too_large_is_refused(app: Lineshaft) -> None:
    """A schedule is read whenever it ticks: one with more than 1 MiB of arguments is refused; so is a large value."""

    @app.task(name="report")
    def report(text: str, picture: Blob | None = None) -> None:
        """Report."""

    with pytest.raises(PayloadTooLargeError, match="limit is 1048576"):
        schedulable(report.options(meta={"note": "x" * 600_000}).new("x" * 600_000))
    with pytest.raises(ConfigError, match="takes a Blob"):
        schedulable(report.new("x", Blob(b"x" * 100)))


def test_there_is_no_tick_outside_of_a_schedule() -> None:
    """Code that runs in no job, or in one of no schedule, sees no tick."""
    assert current_job().tick is None


def _instant(text: str) -> Any:
    return datetime.fromisoformat(text)
