"""What `weights=` and `ageing=` may say, and how each mistake is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lineshaft import ConfigError, Lineshaft
from lineshaft.app.serving import queue_order, shared_slots
from lineshaft.clock import MINUTE, SECOND

QUEUES = {"critical": 10, "default": 4, "low": 10}


@pytest.mark.parametrize("given", [{"critical": 6, "low": 2}, "critical=6,low=2", " critical = 6 , low=2 "])
def test_weights_are_read(given: dict[str, int] | str) -> None:
    """Weights are given as a mapping or as text; a queue that they leave out weighs 1."""
    assert queue_order(QUEUES, weights=given).weights == {"critical": 6, "default": 1, "low": 2}


def test_a_queue_may_have_an_equals_sign_in_its_name() -> None:
    """The last sign parts name and weight."""
    assert queue_order({"a=b": 1, "c": 1}, weights="a=b=3").weights == {"a=b": 3, "c": 1}


@pytest.mark.parametrize(
    "given, expected",
    [
        (None, {}),
        ("10m", dict.fromkeys(QUEUES, 10 * MINUTE)),
        (timedelta(minutes=1), dict.fromkeys(QUEUES, MINUTE)),
        ("90", dict.fromkeys(QUEUES, 90 * SECOND)),
        ({"low": "10m", "default": 60}, {"low": 10 * MINUTE, "default": MINUTE}),
        ("low=10m,default=1.5", {"low": 10 * MINUTE, "default": 3 * SECOND // 2}),
    ],
)
def test_ageing_is_read(given: object, expected: dict[str, int]) -> None:
    """A period is given for all queues, or for those that are named; the others do not age."""
    assert queue_order(QUEUES, ageing=given).ageing == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "weights, advice",
    [
        ({"low": 0}, r"weights: the weight 0 of queue 'low' must be a whole number from 1 to 1000"),
        ({"low": -1}, "weights: the weight -1 of queue 'low'"),
        ({"low": 1001}, "weights: the weight 1001 of queue 'low'"),
        ({"low": 1.5}, "weights: the weight 1.5 of queue 'low'"),
        ({"low": True}, "weights: the weight True of queue 'low'"),
        ({"low": "two"}, "weights: the weight 'two' of queue 'low'"),
        ("low=-1", "weights: the weight '-1' of queue 'low'"),
        ("low=", "weights: the weight '' of queue 'low'"),
        ("low", "weights='low' must give each queue once"),
        ("low=1,low=2", "weights='low=1,low=2' must give each queue once"),
        ("", "weights='' must give each queue once"),
        ({}, "weights={} weighs no queue"),
        (3, "weights=3 must give each queue once"),
        ({"pdf": 1}, "weights names queue 'pdf', which this worker does not serve; it serves critical, default, low"),
    ],
)
def test_wrong_weights_are_refused(weights: object, advice: str) -> None:
    """A wrong weight is refused in one line that names the option, the queue and what to write."""
    with pytest.raises(ConfigError, match=advice) as caught:
        queue_order(QUEUES, weights=weights)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ageing, advice",
    [
        ("soon", "ageing='soon' is not a duration"),
        (0, "ageing=0 must be a second at least"),
        ("500ms", "ageing='500ms' must be a second at least"),
        (True, "ageing=True is not a duration"),
        ({"low": "x"}, "ageing of queue 'low': period='x' is not a duration"),
        ("low=1m,low=2m", "must give each queue once"),
        ({"pdf": "1m"}, "ageing names queue 'pdf', which this worker does not serve"),
    ],
)
def test_wrong_ageing_is_refused(ageing: object, advice: str) -> None:
    """A wrong period is refused in one line that names the option and the queue."""
    with pytest.raises(ConfigError, match=advice) as caught:
        queue_order(QUEUES, ageing=ageing)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_weights_share_as_many_slots_as_the_largest_queue_has() -> None:
    """Queues under weights have to share something: without `slots` it is what the largest of them has."""
    assert shared_slots(QUEUES, slots=None, weights={"low": 1}) == 10
    assert shared_slots(QUEUES, slots=20, weights={"low": 1}) == 20
    assert shared_slots(QUEUES, slots=None, weights=None) is None
    assert shared_slots(QUEUES, slots=24, weights=None) == 24
    assert shared_slots({"low": 10}, slots=None, weights={"low": 1}) is None


def test_slots_that_leave_nothing_to_share_are_refused() -> None:
    """With slots for all queues at once no weight would ever count, which is said."""
    with pytest.raises(ConfigError, match="slots=24 is enough for all of them at once; give fewer than 24"):
        shared_slots(QUEUES, slots=24, weights={"low": 1})


def test_mistakes_are_refused_when_they_are_given() -> None:
    """`app.worker()` refuses what is wrong whatever queues are served, before the block is entered."""
    app = Lineshaft("memory://")
    with pytest.raises(ConfigError, match="the weight 0 of queue 'low'"):
        app.worker(weights={"low": 0})
    with pytest.raises(ConfigError, match="ageing='soon' is not a duration"):
        app.worker(ageing="soon")
    with pytest.raises(ConfigError, match="slots=0 must be a whole number from 1"):
        app.worker(slots=0)
    with pytest.raises(TypeError, match="slotz"):
        app.worker(slotz=3)  # type: ignore[call-arg]


def test_weights_without_slots_share_ten() -> None:
    """A worker under weights holds no more jobs than the slots that its queues share."""
    app = Lineshaft("memory://")
    worker = app.make_worker("a:10,b:10", weights="a=2")
    assert (worker.slots, worker.order.weights) == (10, {"a": 2, "b": 1})
    app.close()
