"""What may follow a job, and what is refused, at the line where it is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lineshaft import ConfigError, Lineshaft, NewJob, PayloadTooLargeError, Tasks, Unique
from lineshaft.options import Options, apply_execution

tasks = Tasks()


@tasks.task
def tell(text: str = "") -> str:
    """Stand for what follows."""
    return text


@pytest.mark.parametrize("option", ["on_success", "on_failure"])
@pytest.mark.parametrize(
    "value, why",
    [
        (tell, "must be a job that is not stored yet, task.new(...), or a list of them"),
        ([tell.new(), "tell"], "must be a job that is not stored yet"),
        (tell.options(connection=object()).new(), "has a connection=, but it is stored by whoever ends the job"),
        (tell.options(unique=Unique(on_conflict="error")).new(), "on_conflict='error', which would keep the job"),
        (tell.options(meta={"after": "dinner"}).new(), "has 'after' in its meta"),
    ],
)
def test_what_cannot_follow_is_refused(option: str, value: Any, why: str) -> None:
    """An option that no job can follow by is refused at decoration and in `.options()`, in one line that names it."""
    app = Lineshaft("memory://")
    for say in (app.task, tell.options):
        with pytest.raises(ConfigError) as refused:
            say(**{option: value})
        assert str(refused.value).startswith(option)
        assert why in str(refused.value)
        assert "\n" not in str(refused.value)


def test_large_arguments_are_refused() -> None:
    """What follows a job is read with it at each claim, so that it may take no more than 1 MiB altogether."""
    half = tell.new("x" * 600_000)
    assert tell.options(on_success=half).new().execution
    with pytest.raises(PayloadTooLargeError, match="on_success takes 1200"):
        tell.options(on_success=[half, half])


def test_chains_have_an_end() -> None:
    """Jobs may follow each other fifty deep; a longer chain is refused, and told what to do instead."""
    job: NewJob[str] = tell.new()
    for _ in range(50):
        job = tell.options(on_success=job).new()
    with pytest.raises(ConfigError, match=r"on_success is 51 jobs deep, at most 50 .* let a job enqueue the next one"):
        tell.options(on_success=job)


def test_none_takes_the_follow_up_of_the_decorator_away() -> None:
    """`.options(on_success=None)` enqueues a job without what its task's decorator names; the rest stays."""
    collected = Tasks()
    task = collected.task(name="parent", on_success=tell.new("done"), on_failure=[tell.new("a"), tell.new("b")])(
        tell.func
    )
    assert [len(task.new().execution[one]) for one in ("on_success", "on_failure")] == [1, 2]
    assert set(task.options(on_success=None).new().execution) == {"on_failure"}
    assert task.options(on_success=None, on_failure=[]).new().execution == {}


def test_a_worker_keeps_its_own_follow_ups() -> None:
    """What follows is no matter of how a job runs: the options that a worker runs it by are its task's."""
    options = Options().but(on_success=tell.new(), timeout=9)
    stored = tell.options(on_failure=tell.new(), run_at=datetime(2026, 11, 22, tzinfo=UTC)).new().execution
    assert apply_execution(options, stored) == options
