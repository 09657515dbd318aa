"""What enqueue takes comes back the same, whatever its type."""

import enum
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.errors import ArgumentsError, PayloadError
from lineshaft.payload import Codecs, Signature

UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(NamedTuple):
    name: str
    at: datetime


class Options(TypedDict, total=False):
    since: date
    depth: int


@dataclass
class Leaf:
    when: datetime
    where: Path
    tags: frozenset[str] = frozenset()


@dataclass
class Tree:
    leaves: list[Leaf] = field(default_factory=list)
    children: "list[Tree]" = field(default_factory=list)


class Record(msgspec.Struct, frozen=True):
    id: UUID
    price: Decimal
    blob: bytes
    leaf: Leaf | None = None


def there_and_back(annotation: Any, value: Any) -> Any:
    def task(value: Any) -> None: ...

    task.__annotations__.update(value=annotation, **{"return": annotation})
    sign = Signature(task, Codecs(), name="shop.go")
    (by_position,), _ = sign.load(sign.dump((value,), {}))
    _, by_name = sign.load(sign.dump((), {"value": value}))
    result = sign.load_result(sign.dump_result(value))
    assert by_position == by_name["value"] == result
    assert type(by_position) is type(by_name["value"]) is type(result)
    return by_position


texts = st.text(st.characters(exclude_categories=["Cs"]))
floats = st.floats(allow_nan=False, allow_infinity=False)
zones = st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30))])
leaves = st.builds(Leaf, st.datetimes(timezones=zones), st.just(Path("a/b")), st.frozensets(texts))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
typed = {
    int: st.integers(),
    UserId: st.integers(),
    float: floats,
    str: texts,
    bool: st.booleans(),
    bytes: st.binary(),
    datetime: st.datetimes(timezones=zones),
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False),
    Colour: st.sampled_from(Colour),
    Literal["a", 1]: st.sampled_from(["a", 1]),
    int | str | None: st.none() | st.integers() | texts,
    set[int]: st.sets(st.integers()),
    frozenset[date]: st.frozensets(st.dates()),
    tuple[int, str]: st.tuples(st.integers(), texts),
    tuple[UUID, ...]: st.lists(st.uuids()).map(tuple),
    dict[int, datetime]: st.dictionaries(st.integers(), st.datetimes()),
    dict[UUID, list[bytes]]: st.dictionaries(st.uuids(), st.lists(st.binary())),
    Place: st.builds(Place, texts, st.datetimes()),
    Options: st.fixed_dictionaries({}, optional={"since": st.dates(), "depth": st.integers()}),
    Leaf: leaves,
    Tree: st.builds(Tree, st.lists(leaves, max_size=2), st.lists(st.builds(Tree), max_size=2)),
    Record: st.builds(Record, st.uuids(), st.decimals(allow_nan=False), st.binary(), st.none() | leaves),
    Path | None: st.none() | st.just(Path("/x")),
    list[PurePosixPath]: st.lists(st.just(PurePosixPath("y"))),
}


@pytest.mark.parametrize("annotation", typed, ids=str)
@given(data=st.data())
def test_an_annotated_value_comes_back_the_same(annotation: Any, data: st.DataObject) -> None:
    """Every supported type returns equal and of the same type, by position, by name and as a result."""
    value = data.draw(typed[annotation])
    back = there_and_back(annotation, value)
    assert back == value
    assert type(back) is type(value)


@given(value=plain)
def test_plain_json_comes_back_without_an_annotation(value: Any) -> None:
    """Plain JSON values need no annotation."""
    assert repr(there_and_back(Any, value)) == repr(value)


@given(value=plain | st.datetimes() | st.uuids() | st.sets(st.integers()) | leaves | st.lists(st.dates() | st.binary()))
@pytest.mark.parametrize("annotation", [*typed, Any, dict[str, Any], list[Any]], ids=str)
def test_what_is_taken_can_be_loaded(annotation: Any, value: Any) -> None:
    """No value that enqueue takes is refused by the worker, whatever value meets whatever annotation."""

    def task(value: Any) -> None: ...

    task.__annotations__["value"] = annotation
    sign = Signature(task, Codecs(), name="shop.go")
    try:
        stored = sign.dump((value,), {})
    except (ArgumentsError, PayloadError) as error:
        assert "\n" not in str(error)  # noqa: PT017 - refusing is right here, and so must be the message
    else:
        assert sign.dump(*sign.load(stored)) is not None


def test_a_naive_datetime_stays_naive() -> None:
    """Arguments may be naive times; they come back as they were."""
    assert there_and_back(datetime, datetime(2026, 11, 1)).tzinfo is None  # noqa: DTZ001 - what is tested


def test_attrs_classes_come_back() -> None:
    """An attrs class is stored by its fields."""
    attrs = pytest.importorskip("attrs")
    point = attrs.make_class("Point", {"when": attrs.field(type=datetime), "path": attrs.field(type=Path)})
    value = point(datetime(2026, 1, 1, tzinfo=UTC), Path("a"))
    assert there_and_back(list[point], [value]) == [value]


def test_pydantic_models_come_back() -> None:
    """Models return nested anywhere, strict ones and those with aliases too, and may be given by alias."""
    pydantic = pytest.importorskip("pydantic")
    order = pydantic.create_model(
        "Order",
        __config__=pydantic.ConfigDict(strict=True),
        when=(datetime, ...),
        tags=(set[str], pydantic.Field(alias="labels")),
        price=(Decimal, Decimal(1)),
    )
    value = order(when=datetime(2026, 1, 1, tzinfo=UTC), labels={"a", "b"})
    assert there_and_back(order, value) == value
    assert there_and_back(dict[str, list[order]], {"a": [value]}) == {"a": [value]}
    assert there_and_back(order | None, None) is None
    by_alias = there_and_back(order, {"when": "2026-01-01T00:00:00Z", "labels": ["a", "b"]})
    assert by_alias == value


def test_pydantic_refusals_are_one_line() -> None:
    """What a model refuses, or would lose, names the argument and the field."""
    pydantic = pytest.importorskip("pydantic")
    order = pydantic.create_model("Order", count=(int, ...), extra=(Any, None), ratio=(float, 1.0))
    with pytest.raises(ArgumentsError, match=r"argument 'value' .*count: Input should be") as caught:
        there_and_back(order, {"count": "many"})
    assert "\n" not in str(caught.value)
    with pytest.raises(PayloadError, match=r"holds a date at value\.extra that would come back as str"):
        there_and_back(order, order(count=1, extra=date(2026, 1, 1)))
    with pytest.raises(PayloadError, match=r"infinite at value\['ratio'\]"):
        there_and_back(order, order(count=1, ratio=float("nan")))
    larger = pydantic.create_model("Larger", __base__=order, more=(int, 2))
    with pytest.raises(ArgumentsError, match=r"must be .*Order, got Larger"):
        there_and_back(order, larger(count=1))


def test_pydantic_is_not_imported_for_others() -> None:
    """Storing what is no model does not import pydantic."""
    program = (
        "import sys; from fractions import Fraction; from lineshaft.payload import Codecs; codecs = Codecs(); "
        "assert not codecs.knows(Fraction); assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
