"""When a failed attempt is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.clock import HOUR, SECOND
from lineshaft.errors import ConfigError
from lineshaft.retry import ONCE, Exponential, Fixed, Linear, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.retry import Backoff, Jitter

ERROR = ValueError("x")


@pytest.mark.parametrize(
    "backoff, waits",
    [
        (Exponential(jitter="none"), [1, 2, 4, 8]),
        (Exponential("2s", factor=3, cap="10s", jitter="none"), [2, 6, 10, 10]),
        (Linear("5s"), [5, 10, 15, 20]),
        (Linear("5s", cap="12s"), [5, 10, 12, 12]),
        (Fixed("7s"), [7, 7, 7, 7]),
        (lambda attempt, error: attempt * len(str(error)), [1, 2, 3, 4]),
    ],
)
def test_waits_grow_as_said(backoff: Backoff, waits: list[float]) -> None:
    """Each strategy waits what its formula says, never longer than its cap."""
    policy = Retry(backoff=backoff)
    assert [policy.wait(attempt, ERROR) for attempt in (1, 2, 3, 4)] == [wait * SECOND for wait in waits]


@given(st.integers(1, 10**6), st.sampled_from(["full", "equal", "none"]), st.floats(1, 1_000))
def test_waits_stay_within_their_bounds(attempt: int, jitter: Jitter, factor: float) -> None:
    """However large the attempt number, a jittered wait lies between its lower bound and the cap."""
    wait = Retry(backoff=Exponential("1s", factor, cap="1h", jitter=jitter)).wait(attempt, ERROR)
    plain = Retry(backoff=Exponential("1s", factor, cap="1h", jitter="none")).wait(attempt, ERROR)
    least = {"full": 0, "equal": plain // 2, "none": plain}[jitter]
    assert least - 1 <= wait <= plain + 1 <= HOUR + 1


def test_jitter_spreads() -> None:
    """Jittered waits differ from each other."""
    assert len({Exponential("1h", jitter="full")(1, ERROR) for _ in range(20)}) > 10


@pytest.mark.parametrize("seconds, micros", [(-5, 0), (1e12, 24 * 365 * HOUR), (0.5, SECOND // 2)])
def test_own_backoff_is_kept_in_bounds(seconds: float, micros: int) -> None:
    """A user's function may return anything; the wait is neither negative nor longer than a year."""
    assert Retry(backoff=lambda *_: seconds).wait(1, ERROR) == micros


@pytest.mark.parametrize(
    "policy, error, is_wanted",
    [
        (Retry(), ValueError(), True),
        (Retry(), KeyboardInterrupt(), False),
        (Retry(retry_on=OSError), ConnectionError(), True),
        (Retry(retry_on=OSError), ValueError(), False),
        (Retry(retry_on=(OSError, ValueError)), ValueError(), True),
        (Retry(retry_on=()), ValueError(), False),
        (Retry(retry_on=lambda error: "again" in str(error)), ValueError("again"), True),
        (Retry(give_up_on=ValueError), ValueError(), False),
        (Retry(retry_on=ValueError, give_up_on=ValueError), ValueError(), False),
        (Retry(give_up_on=lambda error: bool(error.args)), ValueError(), True),
    ],
)
def test_which_errors_are_tried_again(policy: Retry, error: BaseException, *, is_wanted: bool) -> None:
    """`retry_on` takes errors, and `give_up_on` beats it."""
    assert policy.wants(error) is is_wanted


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"max_attempts": 0}, "max_attempts=0"), ({"max_attempts": True}, "max_attempts=True"),
        ({"max_attempts": 1.5}, "max_attempts=1.5"), ({"backoff": 5}, "backoff=5"), ({"retry_on": 5}, "retry_on=5"),
        ({"give_up_on": (int,)}, "give_up_on="), ({"retry_on": int}, "retry_on="),
    ],
)  # fmt: skip
def test_wrong_policies_are_refused(arguments: dict[str, object], named: str) -> None:
    """A policy that cannot work is refused when it is made, naming what is wrong."""
    with pytest.raises(ConfigError, match=named):
        Retry(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "strategy, arguments",
    [
        (Exponential, {"factor": 0.5}), (Exponential, {"factor": 1_001}), (Exponential, {"base": -1}),
        (Exponential, {"jitter": "some"}), (Linear, {"cap": "x"}), (Fixed, {"wait": "-1s"}), (Fixed, {"jitter": "x"}),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_strategies_are_refused(strategy: Callable[..., Backoff], arguments: dict[str, object]) -> None:
    """A strategy out of range is refused when it is made."""
    with pytest.raises(ConfigError):
        strategy(**arguments)


def test_once_is_one_attempt() -> None:
    """`retry=None` stands for a single attempt."""
    assert ONCE.max_attempts == 1
