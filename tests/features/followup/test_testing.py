"""Follow-ups in users' tests: they run like every other job."""

from __future__ import annotations

import pytest

from lineshaft import Lineshaft, Retry
from lineshaft.testing import assert_enqueued, perform, refute_enqueued

app = Lineshaft("memory://")


@app.task(name="cheer")
def cheer() -> str:
    """Follow a success."""
    return "hurrah"


@app.task(name="mourn")
def mourn() -> str:
    """Follow a failure."""
    return "alas"


@app.task(name="try", retry=Retry(max_attempts=1), on_success=cheer.new(), on_failure=mourn.new())
def attempt(*, fails: bool) -> None:
    """Fail when told so."""
    if fails:
        raise ValueError("no luck")


def test_inline() -> None:
    """Inline, what follows a job has run when `enqueue` returns; also where the job's error is raised."""
    with app.testing("inline"):
        attempt.enqueue(fails=False)
        assert [job.value for job in app.jobs.list(name="cheer")] == ["hurrah"]
        with pytest.raises(ValueError, match="no luck"):
            attempt.enqueue(fails=True)
        assert [job.value for job in app.jobs.list(name="mourn")] == ["alas"]


def test_manual() -> None:
    """`t.drain()` runs a job and what follows it; a limit stops in between."""
    with app.testing("manual") as t:
        attempt.enqueue(fails=True)
        assert t.drain(limit=1).counts == {"dead": 1}
        assert_enqueued(mourn)
        refute_enqueued(cheer)
        assert t.drain().counts == {"completed": 1}


def test_expiry() -> None:
    """A job that a test lets expire by moving the clock is followed too."""
    with app.testing("manual") as t:
        attempt.options(deadline="1m").enqueue(fails=False)
        t.travel("2m")
        assert_enqueued(mourn)


def test_perform() -> None:
    """A job that is performed at once leaves what follows it, as it leaves whatever it enqueues itself."""
    with app.testing("manual"):
        perform(attempt, fails=False)
        assert_enqueued(cheer)
