"""Calls are bound, stored as given, and rebuilt."""

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lineshaft.errors import ArgumentsError, ConfigError, PayloadError, PayloadTooLargeError, TaskError
from lineshaft.payload import Codecs, Signature, dump_plain, load_plain

if TYPE_CHECKING:
    from fractions import Fraction


def render(document_id: int, *, draft: bool = False) -> str:
    return f"{document_id} {draft}"


def total(first: int, /, *rest: int, scale: float = 1.0, **options: str) -> float:
    return (first + sum(rest)) * scale * len(options)


def signature(func: Any = render, codecs: Codecs | None = None, **settings: Any) -> Signature:
    return Signature(func, codecs or Codecs(), name="shop.render", **settings)


def test_a_call_is_stored_as_the_caller_gave_it() -> None:
    """Positional arguments stay positional, and defaults are not stored."""
    assert signature().dump((7,), {}) == "[[7],{}]"
    assert signature().dump((), {"document_id": 7, "draft": True}) == '[[],{"document_id":7,"draft":true}]'


def test_variable_parameters_are_stored_and_rebuilt() -> None:
    """`*args` and `**kwargs` take any number of values, each checked by the annotation."""
    sign = signature(total)
    assert sign.load(sign.dump((1, 2, 3), {"scale": 2, "a": "x"})) == ((1, 2, 3), {"scale": 2.0, "a": "x"})
    with pytest.raises(ArgumentsError, match=r"argument 'rest' of task 'shop.render' .*`int`, got `str`"):
        sign.dump((1, 2, "x"), {})
    with pytest.raises(ArgumentsError, match=r"argument 'colour' of task 'shop.render' .*`str`, got `int`"):
        sign.dump((1,), {"colour": 3})


@pytest.mark.parametrize(
    "args, kwargs, said",
    [
        ((), {}, "missing a required argument: 'document_id'"),
        ((1, 2), {}, "too many positional arguments"),
        ((1,), {"colour": 2}, "unexpected keyword argument 'colour'"),
        ((1,), {"document_id": 2}, "multiple values for argument 'document_id'"),
    ],
)
def test_a_call_that_does_not_bind_is_refused(args: tuple[Any, ...], kwargs: dict[str, Any], said: str) -> None:
    """What the function would not take is refused in one line that names the task, the argument and the right form."""
    with pytest.raises(ArgumentsError) as caught:
        signature().dump(args, kwargs)
    assert said in str(caught.value)
    assert str(caught.value).startswith("task 'shop.render': ")
    assert str(caught.value).endswith("call it as shop.render(document_id, *, draft=…)")
    assert "\n" not in str(caught.value)


def test_a_positional_only_parameter_is_not_taken_by_name() -> None:
    """A name that belongs to a positional-only parameter does not stand in for it."""

    def only(a: int, /) -> None: ...

    with pytest.raises(ArgumentsError, match="'a'"):
        signature(only).dump((), {"a": 1})


def test_an_injected_parameter_is_the_workers() -> None:
    """An injected parameter is no part of the signature, also behind `**kwargs`, and what follows goes by name."""

    def task(a: int, db: object = None, b: int = 2, **more: int) -> None: ...

    sign = signature(task, injected=frozenset({"db"}))
    assert sign.names == ("a", "b", "more")
    assert sign.load(sign.dump((1,), {"b": 3})) == ((1,), {"b": 3})
    with pytest.raises(ArgumentsError, match=r"'db' of task 'shop.render' is filled by the worker"):
        sign.dump((1,), {"db": 5})
    with pytest.raises(ArgumentsError, match="too many positional"):
        sign.dump((1, 2), {})


def test_an_injected_parameter_that_cannot_be_named_is_refused() -> None:
    """An injected parameter must be one that the worker can fill by name."""

    def positional_only(a: int, db: object = None, /) -> None: ...

    def before_rest(a: int, db: object = None, *rest: int) -> None: ...

    for task in (positional_only, before_rest):
        with pytest.raises(TaskError, match="'db' is filled by name"):
            signature(task, injected=frozenset({"db"}))


def test_partials_and_callable_objects_have_signatures() -> None:
    """A partial and a callable object are bound and rebuilt by the function beneath."""

    class Render:
        def __call__(self, document_id: int) -> str: ...

    assert signature(functools.partial(render, draft=True)).dump((7,), {}) == "[[7],{}]"
    for func in (functools.partial(render, draft=True), Render()):
        with pytest.raises(ArgumentsError, match="'document_id'"):
            signature(func).dump(("x",), {})


def test_decorated_functions_keep_their_annotations() -> None:
    """A wrapper made with `functools.wraps` is seen through."""

    @functools.wraps(render)
    def wrapper(*args: Any, **kwargs: Any) -> str:
        return render(*args, **kwargs)

    with pytest.raises(ArgumentsError, match="'document_id'"):
        signature(wrapper).dump(("x",), {})


@dataclass
class Later:
    x: int


def test_annotations_are_resolved_at_first_use() -> None:
    """A name that is defined after the task counts, as do names in quotes."""
    namespace: dict[str, Any] = {}
    exec("def task(value: 'Defined', n: 'int') -> None: ...", namespace)  # noqa: S102 - a module in the making
    sign = signature(namespace["task"])
    namespace["Defined"] = Later
    assert sign.load(sign.dump((Later(1), 2), {})) == ((Later(1), 2), {})


def test_a_name_of_type_checking_spoils_only_its_own_parameter() -> None:
    """An annotation that does not exist at run time acts like none, and the others still count."""

    def task(part: "Fraction", count: "int") -> None: ...

    sign = signature(task)
    assert sign.dump(("1/2", 3), {}) == '[["1/2",3],{}]'
    with pytest.raises(ArgumentsError, match="'count'"):
        sign.dump(("1/2", "x"), {})
    with pytest.raises(PayloadError, match="Fraction names what does not exist at run time"):
        sign.dump(({1}, 3), {})


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class Euro(Money): ...


def test_a_codec_added_after_the_definition_counts() -> None:
    """Registration order does not matter: a codec added after the task, even after its first call, is used."""

    def pay(amount: Money, more: list[Money]) -> Money | None: ...

    codecs = Codecs()
    sign = signature(pay, codecs)
    with pytest.raises(PayloadError, match=r"is a Money, .*app\.codec"):
        sign.dump((Money(1), []), {})
    codecs.add(Money, lambda money: money.cents, Money)
    (amount, more), _ = sign.load(sign.dump((Money(5), [Money(6)]), {}))
    assert (amount.cents, more[0].cents) == (5, 6)
    assert sign.load_result(sign.dump_result(Money(7))).cents == 7


def test_a_codec_stores_subclasses_and_loads_what_it_makes() -> None:
    """A subclass is dumped by its base's codec, and refused where it would come back as the base."""

    def pay(amount: Money) -> None: ...

    codecs = Codecs()
    codecs.add(Money, lambda money: money.cents, Money)
    sign = signature(pay, codecs)
    assert sign.dump_result(Euro(5)) == "5"
    with pytest.raises(ArgumentsError, match=r"must be .*Money, got Euro"):
        sign.dump((Euro(5),), {})


def test_a_codec_that_raises_is_named_with_the_argument() -> None:
    """What a user's codec raises reaches the caller as one line with the argument's name."""

    def pay(amount: Money) -> None: ...

    def fail(_: Any) -> Any:
        raise KeyError("first\nsecond")

    codecs = Codecs()
    codecs.add(Money, fail, Money)
    with pytest.raises(PayloadError, match=r"argument 'amount' .* cannot be stored \(KeyError: .*\)"):
        signature(pay, codecs).dump((Money(1),), {})
    codecs.add(Money, lambda money: money.cents, fail)
    with pytest.raises(ArgumentsError, match=r"argument 'amount' .* Expected `Money`") as caught:
        signature(pay, codecs).dump((Money(1),), {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("type_", [int, dict, Later, "Money"])
def test_a_codec_that_could_not_count_is_refused(type_: Any) -> None:
    """A codec for what is stored without one, or for no class, is a configuration error."""
    with pytest.raises(ConfigError, match="codec"):
        Codecs().add(type_, str, lambda raw: raw)


def test_too_large_a_call_names_the_largest_argument() -> None:
    """Over the limit, in bytes of UTF-8, the task, the size, the limit and the largest argument are named."""

    def task(a: str, *rest: str) -> None: ...

    sign = signature(task, limit=100)
    assert sign.dump(("x" * 91,), {})
    with pytest.raises(PayloadTooLargeError, match=r"'shop\.render': 101 bytes are over the limit of 100") as caught:
        sign.dump(("x" * 92,), {})
    assert "the largest is 'a'" in str(caught.value)
    assert "pass a reference" in str(caught.value)
    with pytest.raises(PayloadTooLargeError, match=r"the largest is 'rest\[1\]' with 122 bytes"):
        sign.dump(("x", "y", "é" * 60), {})


def test_the_limit_is_a_mebibyte() -> None:
    """Without a limit of its own a task takes up to 1 MiB of text, in arguments and in its result."""
    sign = signature(lambda text: text)
    assert len(sign.dump(("x" * (1_048_576 - 9),), {})) == 1_048_576
    with pytest.raises(PayloadTooLargeError, match="over the limit of 1,048,576"):
        sign.dump(("x" * 1_048_576,), {})
    with pytest.raises(PayloadTooLargeError, match=r"the return value of task 'shop\.render': 1,048,578 bytes"):
        sign.dump_result("x" * 1_048_576)


@pytest.mark.parametrize(
    "text, said",
    [
        ('[[7],{"colour":1}]', "unexpected keyword argument 'colour'"),
        ("[[],{}]", "missing a required argument: 'document_id'"),
        ('[["x"],{}]', "argument 'document_id' .*: Expected `int`, got `str`"),
        ('{"args":[]}', "stored arguments cannot be read"),
        ("[[7", "stored arguments cannot be read"),
    ],
)
def test_a_stored_call_that_no_longer_fits_is_refused(text: str, said: str) -> None:
    """A call stored under another signature is refused with the reason in one line."""
    with pytest.raises(ArgumentsError, match=said) as caught:
        signature().load(text)
    assert "\n" not in str(caught.value)


def test_a_class_that_refuses_its_values_is_named() -> None:
    """What a dataclass's own checks raise names the argument."""

    def task(value: Positive) -> None: ...

    with pytest.raises(ArgumentsError, match=r"argument 'value' .*too small"):
        signature(task).load('[[{"x":-1}],{}]')
    with pytest.raises(ArgumentsError, match=r"argument 'value' .* cannot be rebuilt as .*Positive: KeyError: 0"):
        signature(task).load('[[{"x":0}],{}]')


@dataclass
class Positive:
    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("too\nsmall")
        if self.x == 0:
            raise KeyError(0)


def test_results_come_back_by_the_return_annotation() -> None:
    """A result fits its annotation or comes back as plain JSON; neither way is an error."""

    def task() -> Later: ...

    sign = signature(task)
    assert sign.load_result(sign.dump_result(Later(3))) == Later(3)
    assert sign.load_result(sign.dump_result("other")) == "other"
    assert sign.dump_result(None) == "null"
    assert sign.load_result("null") is None


def test_results_without_an_annotation_become_their_json_form() -> None:
    """An unannotated result is stored leniently: rich values become JSON, in dicts too."""
    sign = signature(lambda: None)
    assert sign.load_result(sign.dump_result({"a": Later(3), 5: {1}})) == {"a": {"x": 3}, "5": [1]}


def test_an_unstorable_result_is_refused_by_name() -> None:
    """A result that cannot be stored names the task's return value."""
    sign = signature()
    with pytest.raises(PayloadError, match=r"the return value of task 'shop\.render' is code \(function\)"):
        sign.dump_result(render)
    with pytest.raises(PayloadError, match=r"infinite at result\['a'\]\[1\]"):
        sign.dump_result({"a": [None, float("inf")]})


def test_a_key_is_the_same_for_calls_that_mean_the_same() -> None:
    """Position or name, default or given, int or float, JSON form or value: the key is one."""

    def task(a: float, when: Later, names: set[str], b: int = 2) -> None: ...

    sign = signature(task)
    key = sign.key((1, Later(1), {"z", "a", "m"}), {})
    assert key == '{"a":1.0,"b":2,"names":["a","m","z"],"when":{"x":1}}'
    assert sign.key((), {"b": 2, "names": {"m", "z", "a"}, "when": {"x": 1}, "a": 1.0}) == key


def test_a_key_of_chosen_arguments() -> None:
    """`by` chooses what counts; an unknown name is a configuration error; a sentinel default is left out."""

    def task(a: int, b: object = object(), *rest: int) -> None: ...

    sign = signature(task)
    assert sign.key((1,), {}, by=["a", "b"]) == '{"a":1}'
    assert sign.key((1,), {}, by=[]) == "{}"
    assert sign.key((1, 2, 3), {}) == '{"a":1,"b":2,"rest":[3]}'
    with pytest.raises(ConfigError, match=r"'colour', 'x' in by= is no parameter .*'shop\.render'; it has a, b, rest"):
        sign.key((1,), {}, by=["x", "colour"])
    assert signature(total).key((1,), {"k": "v"}, by=["k"]) == '{"k":"v"}'


def test_plain_calls_without_the_tasks_code() -> None:
    """Where the task is unknown, plain JSON is stored and shown, and anything else is refused."""
    text = dump_plain("shop.other", (1, [None]), {"a": "x"})
    assert text == '[[1,[null]],{"a":"x"}]'
    assert load_plain(text) == ((1, [None]), {"a": "x"})
    with pytest.raises(PayloadError, match=r"'args\[0\]' of task 'shop.other' holds a Later at args\[0\]\['k'\]"):
        dump_plain("shop.other", ({"k": Later(1)},), {})
    with pytest.raises(PayloadTooLargeError, match="the largest is 'a'"):
        dump_plain("shop.other", (1,), {"a": "x" * 50}, limit=40)


def test_json_from_a_client_is_rebuilt_by_annotation() -> None:
    """What arrives as plain JSON becomes what the task takes."""

    def task(data: bytes, later: Later) -> None: ...

    assert signature(task).rebuild(["aGk="], {"later": json.loads('{"x": 1}')}) == ((b"hi",), {"later": Later(1)})
