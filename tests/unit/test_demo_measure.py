"""What one file's measures are."""

from __future__ import annotations

import warnings
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from lineshaft.demo.measure import FileMeasure, measure_file, measure_text

if TYPE_CHECKING:
    from pathlib import Path


def measure(source: str) -> FileMeasure:
    text = dedent(source)
    return measure_text(text, "sample.py", len(text.encode()))


def test_lines_of_code_are_counted() -> None:
    """Blank lines, comments and docstrings are lines, but not lines of code."""
    one = measure('''\
        """A module.

        With two paragraphs.
        """

        # a comment
        answer = 42  # a comment behind code


        class Box:
            """A class."""

            def open(self):
                """A method."""
                return """text
                that is code"""
        ''')
    assert (one.lines, one.code_lines) == (16, 5)


@pytest.mark.parametrize(
    "text, lines", [("", 0), ("x = 1", 1), ("x = 1\n", 1), ("x = 1\n\n", 2), ("x = 1\n\x0c\ny = 2\n", 3)]
)
def test_lines_are_counted_as_python_counts_them(text: str, lines: int) -> None:
    """A last line without its end counts, an empty file has none, and a form feed ends no line."""
    assert measure_text(text, "sample.py", len(text)).lines == lines


def test_functions_and_classes_are_counted() -> None:
    """Methods, nested and async functions count as functions; lambdas do not."""
    one = measure("""\
        class A:
            class B:
                def method(self): ...
        async def outer():
            def inner(): ...
            return lambda: inner
        """)
    assert (one.functions, one.classes) == (3, 2)


def test_the_longest_function_is_named() -> None:
    """The longest function's lines run from its `def` to its last line."""
    one = measure("""\
        def short(): ...
        def long():
            a = 1
            return a
        """)
    assert (one.longest, one.longest_lines) == ("long", 3)


@pytest.mark.parametrize(
    "body, complexity",
    [
        ("pass", 1),
        ("if a: pass", 2),
        ("if a: pass\n    elif b: pass\n    else: pass", 3),
        ("while a and b or c: pass", 4),
        ("return [x for x in a if x if not x]", 4),
        ("try: pass\n    except ValueError: pass\n    except OSError: pass", 3),
        ("match a:\n        case 1: pass\n        case 2: pass", 3),
        ("return a if b else c", 2),
        ("assert a", 2),
        ("def inner():\n        if a: pass\n        if b: pass\n    if c: pass", 3),
    ],
)
def test_complexity_counts_the_branches(body: str, complexity: int) -> None:
    """Each branch adds one, and a nested function's branches are its own."""
    one = measure(f"def outer():\n    {body}\n")
    assert one.complexity == complexity


def test_code_without_functions_is_measured_as_a_module() -> None:
    """Where no function is, the module's own branches are told and named so."""
    one = measure("if True: pass\n")
    assert (one.most_complex, one.complexity, one.functions) == ("(module)", 2, 0)


@pytest.mark.parametrize(
    "source, nesting",
    [
        ("x = 1", 0),
        ("if a:\n    for b in c:\n        with d: pass", 3),
        ("if a: pass\nelif b: pass\nelif c: pass", 1),
        ("if a:\n    def f():\n        if b: pass", 1),
    ],
)
def test_nesting_is_what_a_reader_sees(source: str, nesting: int) -> None:
    """Blocks inside one another add up; an `elif` is no deeper than its `if`, a function starts anew."""
    assert measure(source).nesting == nesting


def test_deep_code_does_not_overflow() -> None:
    """Code that nests deeper than Python recurses is measured all the same."""
    one = measure_text("x = " + " + ".join(["1"] * 1_200), "deep.py", 1)
    assert one.code_lines == 1


def test_old_idioms_are_silent() -> None:
    """Warnings of the parser about the file reach nobody, and the process's filters stay as they were."""
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        measure_text("x = '\\d' is 1\n", "old.py", 1)
    assert caught == []
    assert list(warnings.filters) == before


def test_errors_name_the_file_and_the_place() -> None:
    """A file that does not parse fails with the parser's own error."""
    with pytest.raises(SyntaxError) as caught:
        measure_text("x = 1\ny = (\n", "json/broken.py", 1)
    assert (caught.value.filename, caught.value.lineno) == ("json/broken.py", 2)


def test_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    """The size is in bytes on disk, not in characters, and the path stays relative."""
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "text.py").write_text("name = 'café'\n", encoding="utf-8")
    one = measure_file(tmp_path, "json/text.py")
    assert (one.path, one.size_bytes) == ("json/text.py", 15)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A file that is gone since the scan fails its job."""
    with pytest.raises(FileNotFoundError):
        measure_file(tmp_path, "gone.py")
