"""`assert_idempotent`: it finds what a crash doubles, and only that."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from lineshaft import ConfigError, Lineshaft
from lineshaft.testing import assert_idempotent, chaos_point, effect


def reset(shop: ModuleType) -> Any:
    return lambda: shop.OUTBOX.unlink(missing_ok=True)


def test_an_effect_that_a_crash_doubles_is_found(shop: ModuleType) -> None:
    """A mail that is sent again after a crash is reported, with the places where a crash has that effect."""
    with pytest.raises(AssertionError) as found:
        assert_idempotent(shop.mails, args=(7,), reset=reset(shop))
    lines = str(found.value).splitlines()
    assert lines[0] == "shop.mails is not idempotent; 4 crash points tried:"
    doubled = "effect mail 'order 7' happened twice instead of once"
    assert [line.strip() for line in lines[1:]] == [
        f"killed after effect mail 'order 7': {doubled}",
        f"killed before a commit in the store: {doubled}",
    ]


def test_a_job_that_looks_first_passes(shop: ModuleType) -> None:
    """A job that does its effect once however often it is delivered passes, and the points that were tried are told."""
    report = assert_idempotent(shop.mails_once, kwargs={"order": 7}, reset=reset(shop))
    assert report.points == (
        "before its first line",
        "after effect mail 'order 7'",
        "before a commit in the store",
        "after a commit in the store",
    )


def test_what_is_left_behind_hides_an_effect(shop: ModuleType) -> None:
    """Without a reset a later run finds the first one's effect done already: an effect that is missing is told too."""
    with pytest.raises(AssertionError, match="happened never instead of once"):
        assert_idempotent(shop.mails_once, args=(7,))


def test_a_doubled_enqueue_is_found(shop: ModuleType) -> None:
    """A job that a job enqueues on its own connection is there twice after a crash."""
    with pytest.raises(AssertionError, match=r"job shop.note \(\[7\], \{\}\) happened twice instead of once"):
        assert_idempotent(shop.enqueues, args=(7,))


@pytest.mark.parametrize("name", ["enqueues_unique", "enqueues_in_transaction", "enqueues_in_async_transaction"])
def test_enqueues_that_cannot_double_pass(shop: ModuleType, name: str) -> None:
    """Unique jobs, and those that commit with the job's completion, are there once."""
    report = assert_idempotent(getattr(shop, name), args=(7,))
    assert "before a commit in the store" in report.points


def test_progress_and_marks_are_points(shop: ModuleType) -> None:
    """A job is killed after progress and at each marked place."""
    report = assert_idempotent(shop.enqueues_in_transaction, args=(7,))
    assert report.points[1:3] == ("after a progress call", "at chaos_point behind the block")


def test_nothing_stays_in_the_store(shop: ModuleType) -> None:
    """The jobs and the workers of the runs are gone afterwards; those that were there before stay."""
    kept = shop.note.enqueue(1)
    assert_idempotent(shop.enqueues_in_transaction, args=(7,))
    assert [job.id for job in shop.app.jobs.iter()] == [kept.id]
    assert shop.app.workers.list() == []


def test_a_job_that_fails_anyway_cannot_be_tested(shop: ModuleType) -> None:
    """A job that fails without a crash is told as such, with its error."""
    with pytest.raises(AssertionError, match="fails without one: ValueError: no such order"):
        assert_idempotent(shop.fails, args=(7,))


def test_a_job_that_leaves_is_told(shop: ModuleType) -> None:
    """A job whose own code ends the process is no crash of ours."""
    with pytest.raises(AssertionError, match="the job's process ended by itself"):
        assert_idempotent(shop.leaves, args=(7,))


def test_a_job_that_does_not_end_is_given_up(shop: ModuleType) -> None:
    """A run that takes too long is killed and told."""
    with pytest.raises(AssertionError, match=r"did not end within 0\.3 s"):
        assert_idempotent(shop.loops, args=(7,), timeout=0.3)


def test_a_store_in_memory_is_refused() -> None:
    """A store that ends with a process cannot tell what a killed one left in it."""
    app = Lineshaft("memory://")

    @app.task
    def work() -> None:
        """Do nothing."""

    with pytest.raises(ConfigError, match="give the app a SQLite file"):
        assert_idempotent(work)
    app.close()


def test_marks_do_nothing_elsewhere() -> None:
    """Outside a test of crashes the marks may stay in the code."""
    chaos_point("here")
    effect("mail", object())
