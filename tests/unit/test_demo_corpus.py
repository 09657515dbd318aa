"""The demo's input: which files are measured, and the damaged ones among them."""

from __future__ import annotations

import tokenize
from typing import TYPE_CHECKING

import pytest

from lineshaft.demo.corpus import COPIES, choose, damage_copies, library_root, python_files, ships_damaged
from lineshaft.demo.measure import measure_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small library with a package, an installed package and files that are not Python's."""
    names = ["abc.py", "json/__init__.py", "json/decoder.py", "test/bad_coding.py", "test/test_abc.py", "zipapp.py"]
    left_out = ["site-packages/pip/main.py", "dist-packages/apt.py", "json/__pycache__/decoder.py", "json/README.txt"]
    for name in names + left_out:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("answer = 42\n")
    return tmp_path


def test_the_library_without_installed_packages(tree: Path) -> None:
    """Every Python file of the library is found, sorted; installed packages and caches are not."""
    assert python_files(tree) == [
        "abc.py",
        "json/__init__.py",
        "json/decoder.py",
        "test/bad_coding.py",
        "test/test_abc.py",
        "zipapp.py",
    ]


def test_a_real_library_is_found() -> None:
    """The running interpreter's own library holds hundreds of files, `json/decoder.py` among them."""
    names = python_files(library_root())
    assert "json/decoder.py" in names
    assert len(names) > 500


def test_damaged_files_are_recognised(tree: Path) -> None:
    """A library with CPython's damaged test files needs no copies; one without them does."""
    names = python_files(tree)
    assert ships_damaged(names)
    assert not ships_damaged([name for name in names if not name.startswith("test/")])


def test_a_limit_keeps_the_damaged_files() -> None:
    """However few files are asked for, the damaged ones come first and the others are spread over the tree."""
    names = [f"package/{number:03}.py" for number in range(100)] + ["test/bad_coding.py"]
    chosen = choose(names, 5)
    assert chosen == ["test/bad_coding.py", "package/000.py", "package/025.py", "package/050.py", "package/075.py"]


@pytest.mark.parametrize("limit, count", [(None, 6), (100, 6), (6, 6), (3, 3), (1, 1), (0, 0)])
def test_a_limit_is_kept(tree: Path, limit: int | None, count: int) -> None:
    """No more files than the limit are chosen, none twice, and all without a limit."""
    chosen = choose(python_files(tree), limit)
    assert len(chosen) == len(set(chosen)) == count


def test_copies_are_damaged_and_labelled(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each damaged copy fails with its own true error and says by its folder that it is a copy."""
    directory = tmp_path_factory.mktemp("demo")
    (tree / "bisect.py").write_text("right = 1\n")
    copies = damage_copies(tree, python_files(tree), directory)
    errors = {name: _error(directory, name) for name in copies}
    assert all(name.startswith(f"{COPIES}/") for name in copies)
    assert [error.partition(" ")[0] for error in errors.values()] == ["unknown", "'utf-8'", "'('"]


def test_copies_leave_the_library_alone(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The files that the copies are made of keep their contents."""
    damage_copies(tree, python_files(tree), tmp_path_factory.mktemp("demo"))
    assert {(tree / name).read_text() for name in python_files(tree)} == {"answer = 42\n"}


@pytest.mark.skipif(not ships_damaged(python_files(library_root())), reason="this Python ships without its test suite")
def test_the_librarys_own_damaged_files_do_not_parse() -> None:
    """What the demo takes for damaged really is."""
    root = library_root()
    damaged = [name for name in python_files(root) if ships_damaged([name])]
    assert all(_error(root, name) for name in damaged)


def test_a_file_opens_by_its_own_encoding(tmp_path: Path) -> None:
    """A file that declares its encoding is read in it."""
    (tmp_path / "latin.py").write_bytes(b"# coding: latin-1\nname = 'caf\xe9'\n")
    with tokenize.open(tmp_path / "latin.py") as file:
        assert "café" in file.read()
    assert measure_file(tmp_path, "latin.py").code_lines == 1


def _error(root: Path, name: str) -> str:
    with pytest.raises((SyntaxError, UnicodeDecodeError)) as caught:
        measure_file(root, name)
    return str(caught.value)
