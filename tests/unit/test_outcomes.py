"""How an attempt ends, and what is kept of its error."""

from __future__ import annotations

import pytest

from lineshaft.clock import MINUTE, to_datetime
from lineshaft.errors import ConfigError, LineshaftError
from lineshaft.outcomes import Cancelled, GiveUp, RetryLater, Snooze, describe


class ShopError(Exception):
    """An application's error."""


def raised(error: Exception) -> Exception:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_error_is_described_for_people() -> None:
    """An error is kept with its attempt, its type as one would import it, its message and its traceback."""
    found = describe(raised(ShopError("no such page")), 2, 5)
    assert (found.attempt, found.message, found.at) == (2, "no such page", 5)
    assert found.type.endswith("test_outcomes.ShopError")
    assert found.traceback is not None
    assert "no such page" in found.traceback
    assert describe(raised(ValueError()), 1, 5).type == "ValueError"


def fail_deep() -> None:
    raise ValueError("deep")


def test_own_frames_are_left_out() -> None:
    """The frames of the library above the function's are not shown, and a traceback is never emptied."""
    with pytest.raises(ValueError, match="deep") as caught:
        fail_deep()
    text = describe(caught.value, 1, 5, skip_frames=1).traceback or ""
    assert "in fail_deep" in text
    assert "in test_own_frames" not in text
    assert "in fail_deep" in (describe(caught.value, 1, 5, skip_frames=9).traceback or "")


@pytest.mark.parametrize("odd", ["\udc80.txt", "a\x00b"])
def test_what_a_store_cannot_keep_is_escaped(odd: str) -> None:
    """NUL and lone surrogates are escaped, so that every error can be stored."""
    found = describe(raised(ValueError(odd)), 1, 5)
    for text in (found.message, found.traceback or ""):
        assert "\x00" not in text
        text.encode()


def test_large_errors_are_cut() -> None:
    """A huge message and traceback are cut; the end, which names the error, stays."""
    found = describe(raised(ValueError("x" * 100_000 + " the end")), 1, 5)
    assert len(found.message) == 4_096
    assert found.traceback is not None
    assert found.traceback.startswith("… earlier lines cut …\n")
    assert found.traceback.rstrip().endswith("the end")
    assert len(found.traceback) < 17_000


def test_public_error_is_what_users_see() -> None:
    """`Job.errors` shows the five promised fields, the time aware."""
    public = describe(raised(ValueError("x")), 1, 5).public()
    assert list(public) == ["attempt", "type", "message", "traceback", "at"]
    assert public["at"] == to_datetime(5)


def test_steering_takes_durations() -> None:
    """What a job raises carries its delay in microseconds and refuses what is none."""
    assert (RetryLater("5m").delay, Snooze(60).delay, RetryLater().delay) == (5 * MINUTE, MINUTE, 0)
    assert str(GiveUp("why")) == "why"
    with pytest.raises(ConfigError, match="delay="):
        Snooze("soon")


def test_cancelled_passes_by_except_exception() -> None:
    """`except Exception` in a job does not swallow a cancellation."""
    assert not issubclass(Cancelled, Exception)
    assert Cancelled("timeout").cause == "timeout"
    assert issubclass(GiveUp, LineshaftError)
