"""Keys: which gate a job has to pass, by the values of its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft import Concurrency, ConfigError, Inject, Order, Rate, Tasks
from lineshaft.features.limits.feature import LimitsFeature
from lineshaft.features.limits.keys import key_text
from lineshaft.gates import GatedJob, Pass
from lineshaft.task import Task

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)


@dataclass
class Purchase:
    """An argument with parts."""

    customer: str
    when: date


def charge(order: Purchase, /, region: str = "eu", *, weight: int = 3, day: date = date(2026, 1, 2)) -> None:
    """Take arguments of each sort."""


def passes(task: Task[Any, Any, Any], *args: Any, tenant: str | None = None, **kwargs: Any) -> list[Pass]:
    """The gates of a job with these arguments."""
    new = task.new(*args, **kwargs)
    job = GatedJob(task.name, new.args, tenant, "default")
    return list(LimitsFeature({task.name: task}).passes(task.defaults, job))


def keys(limit: Any, *args: Any, tenant: str | None = None, **kwargs: Any) -> list[str]:
    """The keys of the gates of a job with these arguments."""
    option = "rate" if isinstance(limit, Rate) else "concurrency"
    task = Tasks().task(name="t", **{option: limit})(charge)
    return [one.key for one in passes(task, *args, tenant=tenant, **kwargs)]


ONE = Purchase("ann", date(2026, 5, 1))


@pytest.mark.parametrize(
    "limit, kwargs, expected",
    [
        (Concurrency(2), {}, "t.concurrency"),
        (Concurrency(2, "region"), {}, "t.concurrency.region=eu"),
        (Concurrency(2, "region"), {"region": "us"}, "t.concurrency.region=us"),
        (Concurrency(2, "region"), {"region": "12"}, 't.concurrency.region="12"'),
        (Concurrency(2, "region"), {"region": ""}, "t.concurrency.region="),
        (Concurrency(2, "weight"), {}, "t.concurrency.weight=3"),
        (Concurrency(2, "day"), {}, 't.concurrency.day="2026-01-02"'),
        (Concurrency(2, ("region", "weight")), {"weight": 9}, 't.concurrency.region.weight=["eu",9]'),
        (Order("order.customer", name="crm"), {}, "crm=ann"),
        (Rate(2, "1s", "order.when"), {}, 't.rate.order.when="2026-05-01"'),
    ],
)
def test_keys_are_taken_from_arguments(limit: Any, kwargs: dict[str, Any], expected: str) -> None:
    """By place or by name, given or left to the default, whole or a part of it: the value is the key."""
    assert keys(limit, ONE, **kwargs) == [expected]


@pytest.mark.parametrize(
    "limit, tenant, expected",
    [
        (Concurrency(2, name="a", per_tenant=True), "acme", "a=acme"),
        (Concurrency(2, name="a", per_tenant=True), None, "a=null"),
        (Concurrency(2, name="a", per_tenant=True), "null", 'a="null"'),
        (Concurrency(2, "region", name="a", per_tenant=True), "acme", 'a=["acme","eu"]'),
        (Concurrency(2, "region", name="a"), "acme", "a=eu"),
    ],
)
def test_tenants_have_keys_of_their_own(limit: Any, tenant: str | None, expected: str) -> None:
    """With `per_tenant` the tenant is a part of the key, and jobs without one have a key of their own."""
    assert keys(limit, ONE, tenant=tenant) == [expected]


@given(one=VALUES, other=VALUES)
def test_different_values_have_different_keys(one: Any, other: Any) -> None:
    """Two values share a gate only if Python calls them equal; the text is short, and every store can keep it."""
    first, second = key_text("r", [one]), key_text("r", [other])
    if first == second:
        assert one == other
    assert len(first) <= 200
    assert "\x00" not in first


def test_equal_numbers_are_one_key() -> None:
    """1 and 1.0 are one value, as in Python; True is another one."""
    assert key_text("r", [1]) == key_text("r", [1.0]) == "r=1"
    assert key_text("r", [True]) == "r=true"


def test_long_values_are_hashed() -> None:
    """A key over 200 characters keeps its rule and the SHA-256 of its value."""
    text = key_text("crm", ["x" * 500])
    assert text.startswith("crm=")
    assert len(text) == 4 + 64
    assert text != key_text("crm", ["x" * 501])


def test_costs() -> None:
    """A cost is a number, or what an argument says; one that is no whole number from 1 to 1,000,000 is refused."""
    said, own = Rate(5, "1s", cost=2), Rate(5, "1s", cost="weight")
    [one, two] = passes(Tasks().task(name="t", rate=[said, Rate(5, "1s", cost="weight", name="own")])(charge), ONE)
    assert (one.cost, two.cost, two.kind) == (2, 3, "rate")
    task = Tasks().task(name="t", rate=own)(charge)
    with pytest.raises(ConfigError, match=r"limit 't.rate' takes its cost from an argument of 't', which is 0"):
        passes(task, ONE, weight=0)
    assert passes(task, ONE, weight=1_000_000)[0].cost == 1_000_000
    with pytest.raises(ConfigError, match=r"which is 1000001: no whole number from 1 to 1,000,000"):
        passes(task, ONE, weight=1_000_001)


def test_a_key_that_is_not_there() -> None:
    """A part that a value does not have, and arguments that cannot be read, are errors that name them."""
    task = Tasks().task(name="t", concurrency=Concurrency(2, "region.code"))(charge)
    with pytest.raises(ConfigError, match=r"argument 'region.code' of task 't' is not there: no 'code'"):
        passes(task, ONE)
    feature = LimitsFeature({"t": task})
    with pytest.raises(ConfigError, match=r"cannot be read"):
        feature.passes(task.defaults, GatedJob("t", "[", None, "default"))
    with pytest.raises(ConfigError, match=r"argument 'region.code' of task 't' is not there"):
        feature.passes(task.defaults, GatedJob("t", "[[],{}]", None, "default"))


def test_any_name_may_be_a_key_where_the_function_takes_any() -> None:
    """With `**options` a key may be what is not in the signature; a job without it is refused."""

    def any_options(**options: int) -> None: ...

    task = Tasks().task(name="t", concurrency=Concurrency(2, "customer"))(any_options)
    assert [one.key for one in passes(task, customer=7)] == ["t.concurrency.customer=7"]
    with pytest.raises(ConfigError, match=r"'customer' of task 't' is not given"):
        passes(task)


def test_injected_parameters_are_no_keys() -> None:
    """A parameter that the worker fills is no argument, and does not shift the others."""

    def takes(a: int, client: object = Inject(object), *, b: int = 2) -> None: ...

    task = Tasks().task(name="t", concurrency=Concurrency(2, ("a", "b")))(takes)
    assert [one.key for one in passes(task, 5)] == ["t.concurrency.a.b=[5,2]"]
    with pytest.raises(ConfigError, match=r"'client' is no parameter"):
        Tasks().task(name="u", concurrency=Concurrency(2, "client"))(takes)
    with pytest.raises(ConfigError, match=r"'rest' of task 'v' collects arguments"):
        Tasks().task(name="v", concurrency=Concurrency(2, "rest"))(lambda *rest: rest)
