"""Limits as code says them: what is refused, with the place, and what travels with a job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lineshaft import Adaptive, Breaker, Concurrency, ConfigError, Lineshaft, Order, Rate, Tasks, UnknownTaskError
from lineshaft.options import Options, apply_execution, job_of, parsed_rate, stored_execution, template_of
from lineshaft.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = r"test_limits\.py:\d+"


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Concurrency(0), "limit=0 of Concurrency must be a whole number from 1"),
        (lambda: Concurrency(-3), "limit=-3"),
        (lambda: Concurrency(True), "limit=True"),
        (lambda: Concurrency("5"), "limit='5'"),  # type: ignore[arg-type]
        (lambda: Concurrency(5_001), "limit their queue instead"),
        (lambda: Concurrency(2, "a", ordered=True), "jobs that run at once have no order"),
        (lambda: Concurrency(2, lambda job: job), "must name one argument or several"),  # type: ignore[arg-type]
        (lambda: Concurrency(2, ()), "key=() of Concurrency must name"),
        (lambda: Concurrency(2, "a b"), "key='a b' of Concurrency must name an argument"),
        (lambda: Concurrency(2, ("a", "a")), "names an argument twice"),
        (lambda: Concurrency(2, name="a=b"), "without space, colon, comma"),
        (lambda: Concurrency(2, per_tenant=1), "per_tenant=1 of Concurrency must be True or False"),  # type: ignore[arg-type]
        (lambda: Order(7), "key=7 of Order"),  # type: ignore[arg-type]
        (lambda: Rate(0, "1m"), "count=0 of Rate must be a whole number from 1"),
        (lambda: Rate(5, "0s"), "per='0s' of Rate is no time at all"),
        (lambda: Rate(5, "soon"), "per='soon' is not a duration"),
        (lambda: Rate(5, "1us"), "per='1us' is not a duration"),
        (lambda: Rate(5_000, "1ms"), "over one a microsecond"),
        (lambda: Rate(5, "1m", burst=0), "burst=0 of Rate"),
        (lambda: Rate(5, "1m", burst=2, cost=3), "cost=3 of Rate is over burst=2"),
        (lambda: Rate(5, "1m", cost=0), "cost=0 of Rate"),
        (lambda: Options().but(concurrency=0), "limit=0 of Concurrency"),
        (lambda: Options().but(concurrency="5"), "concurrency='5' must be a whole number"),
        (lambda: Options().but(concurrency=True), "concurrency=True must be a whole number"),
        (lambda: Options().but(concurrency=[Order("a"), Order("b")]), "more than one Order"),
        (lambda: Options().but(rate="100/x"), "rate='100/x' is no rate"),
        (lambda: Options().but(rate="x/m"), "rate='x/m' is no rate"),
        (lambda: Options().but(rate="0/m"), "count=0 of Rate must be"),
        (lambda: Options().but(rate=100), "rate=100 must be a text such as '100/m'"),
        (lambda: Options().but(breaker=3), "breaker=3 must be the name of one"),
    ],
)
def test_nonsense_is_refused_with_its_place(make: Callable[[], Any], says: str) -> None:
    """What cannot be is refused in one line that says what, where in the user's code, and what would do."""
    with pytest.raises(ConfigError) as refusal:
        make()
    message = str(refusal.value)
    assert says in message
    assert re.search(HERE, message)
    assert "\n" not in message


@pytest.mark.parametrize(
    "text, expected",
    [("100/m", (100, "1m")), ("10/s", (10, "1s")), ("5/30s", (5, "30s")), (" 7 / 2h30m ", (7, "2h30m"))],
)
def test_rates_as_text(text: str, expected: tuple[int, str]) -> None:
    """A rate is a count and a unit, or a count and a duration."""
    assert parsed_rate(text) == expected


def test_options_are_tuples_of_limits() -> None:
    """A number, a text, one limit and a list of them are read alike; an ordered limit of one is an order."""
    options = Options().but(concurrency=[5, Concurrency(1, ["a", "b"], ordered=True)], rate="100/m", breaker="smtp")
    assert options.concurrency == (Concurrency(5), Order(("a", "b")))
    assert options.rate == (Rate(100, "1m"),)
    assert options.breaker == (Breaker("smtp"),)
    assert options.but(concurrency=None, rate=None, breaker=()) == Options()


def test_rules_are_named_by_task_kind_and_key() -> None:
    """A limit without a name is its task's own, and one of each kind and key."""
    assert Concurrency(5).rule("t") == "t.concurrency"
    assert Order("a").rule("t") == "t.order.a"
    assert Rate(1, "1s", ("a", "b.c")).rule("t") == "t.rate.a.b.c"
    assert Rate(1, "1s", name="crm").rule("t") == "crm"


@pytest.mark.parametrize(
    "given",
    [
        {"concurrency": [5, Concurrency(2, ("a", "b"), name="x", per_tenant=True), Adaptive(2, 9, on=(OSError,))]},
        {"concurrency": Order("a.b")},
        {"concurrency": None},
        {"rate": [Rate(5, "90s", "a", burst=9, cost="b", name="y"), "7/m"]},
        {"breaker": ["smtp", Breaker("sms", failures=2, on=(TimeoutError, OSError))]},
    ],
)
def test_limits_of_one_job_are_stored_with_it(given: dict[str, Any]) -> None:
    """What `.options()` was given comes back from the job's stored options, in place of what the task says."""
    of_task = Options().but(concurrency=3, rate="1/s", breaker="mail")
    options = of_task.but(**given)
    stored = msgspec.json.decode(msgspec.json.encode(stored_execution(given, options)))
    assert set(stored) == set(given)
    applied = apply_execution(of_task, stored)
    for option in ("concurrency", "rate", "breaker"):
        expected = getattr(options, option)
        assert [one.terms() for one in getattr(applied, option)] == [one.terms() for one in expected]
        assert [one.rule("t") for one in getattr(applied, option)] == [one.rule("t") for one in expected]


def test_a_kind_of_newer_code_is_unknown() -> None:
    """A stored limit of a kind that this version does not know is for another worker, not an error of the job."""
    with pytest.raises(UnknownTaskError, match=r"'quota', which Lineshaft .* does not know"):
        apply_execution(Options(), {"concurrency": [{"kind": "quota", "limit": 3}]})


def test_follow_ups_keep_their_order() -> None:
    """A job that follows another one stands in the strict order of its task when its time comes."""
    tasks = Tasks()
    ordered = tasks.task(name="ordered", concurrency=[3, Order("a")])(_takes)
    made = job_of(template_of(ordered.new(1)), meta={})
    assert made.options.concurrency == (Order("a"),)
    assert job_of(template_of(tasks.task(name="free")(_takes).new(1)), meta={}).options.concurrency == ()


@pytest.mark.parametrize(
    "given, says",
    [
        ({"concurrency": Concurrency(3, "customer")}, "'customer' is no parameter of task 'pay'; it has a, b"),
        ({"concurrency": [3, 4]}, "says limit 'pay.concurrency' twice"),
        ({"rate": Rate(3, "1s", cost="weight")}, "'weight' is no parameter"),
        ({"concurrency": Order("a"), "name": "a=b"}, "give the limit a name="),
        ({"rate": "1/s", "name": "queue:x"}, "give the limit a name="),
        ({"concurrency": 4, "name": "x" * 200}, "give the limit a name="),
    ],
)
def test_what_does_not_fit_the_task_is_refused_with_its_place(given: dict[str, Any], says: str) -> None:
    """A key that no parameter has, and a name that cannot be a rule's, are refused where the task is defined."""
    app = Lineshaft("memory://")
    with pytest.raises(ConfigError, match=HERE) as refusal:
        app.task(**{"name": "pay", **given})(_takes)
    assert says in str(refusal.value)
    assert [task.name for task in app] == []


def test_one_name_is_one_limit() -> None:
    """Two tasks may share a limit that they say alike, by any argument; said otherwise both places are named."""
    app = Lineshaft("memory://")
    app.task(name="one", concurrency=Concurrency(3, "a", name="crm"))(_takes)
    app.task(name="two", concurrency=Concurrency(3, "b", name="crm"))(_takes)
    with pytest.raises(ConfigError, match=rf"Concurrency\(limit=4.* at .*{HERE}, Concurrency\(limit=3.* at .*{HERE}"):
        app.task(name="three", concurrency=Concurrency(4, "a", name="crm"))(_takes)
    with pytest.raises(ConfigError, match="said in two ways"):
        app.task(name="four", rate=Rate(4, "1s", name="crm"))(_takes)
    with pytest.raises(ConfigError, match="said in two ways"):
        app.include(_collection(Concurrency(3, name="crm")))
    app.include(_collection(Concurrency(3, "a", name="crm")))
    assert {task.name for task in app} == {"one", "two", "collected"}


def test_a_task_that_is_defined_anew_says_its_limits_anew() -> None:
    """After a reload the new limits of the same function count, and are in nobody's way."""
    app = Lineshaft("memory://")
    app.task(name="one", concurrency=3)(_takes)
    app.task(name="one", concurrency=4)(_takes)
    assert [said.limit for said in app.declared_limits.rules().values()] == [Concurrency(4)]


def test_a_breaker_by_name_is_the_one_that_is_said_elsewhere() -> None:
    """Naming a breaker contradicts nothing, and what is said of it is what workers are told."""
    app = Lineshaft("memory://")
    app.task(name="one", breaker="smtp")(_takes)
    app.task(name="two", breaker=Breaker("smtp", failures=2))(_takes)
    app.task(name="three", breaker="smtp")(_takes)
    assert app.declared_limits.rules()["breaker:smtp"].limit == Breaker("smtp", failures=2)
    with pytest.raises(ConfigError, match="said in two ways"):
        app.task(name="four", breaker=Breaker("smtp", failures=3))(_takes)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"concurrency": 4}, "limit 'pay.concurrency' is said in two ways"),
        ({"rate": Rate(1, "1s", "c")}, "'c' is no parameter"),
        ({"concurrency": Order("a"), "priority": "high"}, "priority='high'"),
    ],
)
def test_options_of_single_jobs_are_held_to_the_same(given: dict[str, Any], says: str) -> None:
    """`.options()` refuses what contradicts the task's limits, and a priority beside a strict order."""
    app = Lineshaft("memory://")
    pay = app.task(name="pay", concurrency=3)(_takes)
    with pytest.raises(ConfigError, match=HERE) as refusal:
        pay.options(**given)
    assert says in str(refusal.value)
    assert pay.options(concurrency=Concurrency(4, name="few"), retry=Retry(1)).new(1).execution["concurrency"]


def _collection(limit: Concurrency) -> Tasks:
    tasks = Tasks()
    tasks.task(name="collected", concurrency=limit)(_takes)
    return tasks


def _takes(a: int, b: int = 2) -> int:
    return a + b
