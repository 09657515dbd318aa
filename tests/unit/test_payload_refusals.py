"""What cannot come back as it was is refused where it is given, by name and with advice."""

import enum
import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Protocol, TypedDict
from uuid import UUID

import msgspec
import pytest

from lineshaft.errors import ArgumentsError, PayloadError
from lineshaft.payload import Codecs, Signature, dump_plain

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Mixed(enum.Enum):
    A = "a"
    B = 1


class Sized(Protocol):
    def size(self) -> int:
        """Return how many there are."""
        ...


@dataclass
class Point:
    x: int = 0


@dataclass
class Point3(Point):
    z: int = 0


@dataclass
class Box:
    inside: Any
    cache: Any = field(default=None, compare=False)


class Pair(msgspec.Struct):
    left: Any


class Named(TypedDict):
    x: int


class Odd:
    pass


def dump(annotation: Any, value: Any) -> str:
    def task(value: Any) -> None: ...

    task.__annotations__["value"] = annotation
    return Signature(task, Codecs(), name="shop.go").dump((value,), {})


def refused(error: type[Exception], annotation: Any, value: Any) -> str:
    with pytest.raises(error) as caught:
        dump(annotation, value)
    message = str(caught.value)
    assert message.startswith("argument 'value' of task 'shop.go' ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "annotation, value",
    [
        (int, "abc"),
        (int, True),
        (int, 1.5),
        (bool, 1),
        (str, 5),
        (str, UUID(int=1)),
        (str, NOW),
        (str, b"x"),
        (str | None, Decimal(1)),
        (float, "1"),
        (float, 2**53 + 1),
        (date, NOW),
        (datetime, "yesterday"),
        (bytes, "abcd"),
        (list[int], {1, 2}),
        (list[int], [1, "2"]),
        (tuple[int, int], (1, 2, 3)),
        (Point, Point3(1, 2)),
        (Point, Point("x")),  # type: ignore[arg-type]
        (Iterable[int], {1}),
        (Iterable[int], 5),
        (Odd, 5),
        (Path, 5),
    ],
)
def test_a_value_must_fit_its_annotation(annotation: Any, value: Any) -> None:
    """A value that is neither of its annotation's type nor a JSON form of it is refused at enqueue."""
    refused(ArgumentsError, annotation, value)


@pytest.mark.parametrize(
    "annotation, value, stored",
    [
        (float, 1, "1"),
        (str, Colour.RED, '"red"'),
        (int, Level.LOW, "1"),
        (datetime, "2026-11-01T00:00:00Z", '"2026-11-01T00:00:00Z"'),
        (Path, "a/b", '"a/b"'),
        (Point, {"x": 3}, '{"x":3}'),
        (list[int], (1, 2), "[1,2]"),
        (set[int], [1], "[1]"),
        (dict[int, str], {"2": "x"}, '{"2":"x"}'),
        (Iterable[int], [1], "[1]"),
        (Any, (1, "x", None, {"a": [True]}), '[1,"x",null,{"a":[true]}]'),
        (str | Path, "a", '"a"'),
        (Callable[[int], int], 3, "3"),
        (Sized, 3, "3"),
        (list[Sized], [3], "[3]"),
        (Box, Box(1, date(2026, 1, 1)), '{"inside":1,"cache":"2026-01-01"}'),
        (int, 10**40, str(10**40)),
        (Annotated[int, ["not hashable"]], 3, "3"),
    ],
)
def test_a_value_that_means_the_same_is_taken(annotation: Any, value: Any, stored: str) -> None:
    """Subtypes, whole floats, JSON forms and unrebuildable annotations with plain values are no reason to refuse."""
    assert dump(annotation, value) == f"[[{stored}],{{}}]"


@pytest.mark.parametrize(
    "value",
    [NOW, UUID(int=1), Decimal(1), b"x", Colour.RED, Level.LOW, Path("x"), {1}, frozenset({1}), Point(1), Pair(1)],
)
def test_a_rich_value_needs_an_annotation(value: Any) -> None:
    """Without an annotation a rich value would come back as text or a dict, so the annotation is asked for."""
    advice = refused(PayloadError, Any, value)
    name = "Path" if isinstance(value, Path) else type(value).__qualname__
    assert advice.endswith(f"annotate it, for example value: {name}")
    assert refused(PayloadError, Any, [value]).endswith(f"value: list[{name}]")
    assert refused(PayloadError, Any, {"k": value}).endswith(f"value: dict[str, {name}]")
    assert "at value['k'][0]" in refused(PayloadError, object, {"k": [value]})
    assert "at value['k'][0]" in refused(PayloadError, dict[str, Any], {"k": [value]})
    assert "at value.inside" in refused(PayloadError, Box, Box(value))
    assert "at value.left" in refused(PayloadError, Pair, Pair(value))


@pytest.mark.parametrize("annotation", [Any, dict[str, Any]])
def test_keys_that_are_no_text_are_refused(annotation: Any) -> None:
    """JSON has text keys only, and a TypedDict only its own; others need an annotation that names them."""
    refused(PayloadError, annotation, {"a": {1: 2}})
    assert "holds a int at the key 1 of value" in refused(PayloadError, dict, {1: 2})
    assert "the key 'y' of value" in refused(PayloadError, Named, {"x": 1, "y": 2})
    assert dump(dict[int, int], {1: 2}) == '[[{"1":2}],{}]'


@pytest.mark.parametrize("annotation", [str | Path, datetime | str, Callable[[], int], Sized, Mixed, list[Sized]])
def test_an_annotation_that_cannot_be_rebuilt_says_so(annotation: Any) -> None:
    """Where the annotation is no help, a rich value is refused with the annotation's name."""
    assert "its annotation " in refused(PayloadError, annotation, [NOW])


@pytest.mark.parametrize("annotation", [float, Any, list[float], float | None, Box, dict[str, float | None]])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_is_refused(annotation: Any, number: float) -> None:
    """NaN and infinities are refused wherever they hide: JSON would turn them into null."""
    wrapped = {list[float]: [1.0, number], Box: Box([None, number]), dict[str, float | None]: {"a": number}}
    assert "NaN or infinite at value" in refused(PayloadError, annotation, wrapped.get(annotation, number))


def test_null_and_the_word_null_are_fine() -> None:
    """Only what was a number is looked for: None and text pass."""
    assert dump(Any, [None, "null", 1.5]) == '[[[null,"null",1.5]],{}]'


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize("annotation", [Any, list[Any]])
def test_nesting_that_nobody_can_follow_is_refused(annotation: Any) -> None:
    """A value nested hundreds of levels deep is refused with an error of ours, whichever step would give up first."""
    assert "nested too deeply" in refused(PayloadError, annotation, nested(700))
    with pytest.raises(PayloadError, match="nested too deeply"):
        dump_plain("shop.go", (nested(700),), {})


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    "make, said",
    [
        (circle, "contains itself"),
        (lambda: "\ud800", "lone surrogate"),
        (lambda: ["\ud800"], "lone surrogate"),
        (lambda: 10**5000, "cannot be stored"),
        (lambda: (n for n in "ab"), "pass list"),
        (lambda: range(3), "pass list"),
        ({}.keys, "pass list"),
        (lambda: dump, "is code"),
        (lambda: Point, "is code"),
        (threading.Lock, "make it inside the task"),
        (Odd, "app.codec"),
        (lambda: [Odd()], "holds a value that is a Odd"),
        (lambda: {(1, 2): 3}, "holds a value that is a tuple"),
    ],
    ids=[
        "circle",
        "surrogate",
        "surrogate inside",
        "huge",
        "generator",
        "range",
        "keys",
        "function",
        "class",
        "lock",
        "odd",
        "odd inside",
        "tuple key",
    ],
)
@pytest.mark.parametrize("annotation", [Any, Odd, dict[str, Any], str, int])
def test_what_has_no_json_form_is_refused_with_advice(make: Callable[[], Any], said: str, annotation: Any) -> None:
    """A value that cannot be stored at all says what it is and what to pass instead, whatever the annotation."""
    value = make()
    assert said in refused(PayloadError, annotation, value)


def test_open_files_and_sockets_are_refused(tmp_path: Path) -> None:
    """What belongs to this process asks for its path or address."""
    with (tmp_path / "x").open("w") as file:
        assert "pass its path" in refused(PayloadError, Any, file)
    with socket.socket() as sock:
        assert "pass its address" in refused(PayloadError, Any, sock)


def test_coroutines_are_refused() -> None:
    """A coroutine asks to be awaited first."""

    async def later() -> None: ...

    pending = later()
    assert "await it first" in refused(PayloadError, Any, pending)
    pending.close()


@pytest.mark.parametrize("annotation", [Any, float, list[float]])
def test_numpy_values_are_refused(annotation: Any) -> None:
    """Arrays and scalars of numpy ask for `.tolist()` and `.item()`, even those that are Python floats by birth."""
    numpy = pytest.importorskip("numpy")
    assert ".tolist()" in refused(PayloadError, annotation, numpy.ones(3))
    for scalar in (numpy.float64(1.5), numpy.int32(1), numpy.bool_(1), numpy.str_("x"), [numpy.float64(1)]):
        assert ".item()" in refused(PayloadError, annotation, scalar)


@pytest.mark.parametrize("library", ["pandas.core.frame", "polars.dataframe.frame", "pyarrow.lib"])
def test_data_frames_are_refused(library: str) -> None:
    """A data frame is known by its module, without the library, and asks for a file's path."""
    frame = type("DataFrame", (), {"__module__": library})()
    assert re.search("is a DataFrame; save it to a file", refused(PayloadError, Any, frame))
