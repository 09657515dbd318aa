"""What the demo's job does to one file: parse it and measure what stands in it."""

from __future__ import annotations

import ast
import threading
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# `catch_warnings` changes the filters of the whole process. Parsing holds the interpreter lock anyway, so that one
# file at a time costs no speed.
_ONE_PARSER: Final = threading.Lock()

_FUNCTIONS: Final = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
_DOCUMENTED: Final = _FUNCTIONS | {ast.Module, ast.ClassDef}
_BLOCKS: Final = frozenset(
    {ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Match}
)
_BRANCHES: Final = frozenset(
    {ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler, ast.Assert, ast.match_case}
)


@dataclass(frozen=True, slots=True)
class FileMeasure:
    """The measures of one file; `path` is relative to the tree, with forward slashes.

    `code_lines` leaves out blank lines, lines of comment and docstrings. `complexity` is the cyclomatic complexity
    (McCabe, "A Complexity Measure", 1976; Boolean operators and comprehensions count) of `most_complex`, the
    function that has the highest. `nesting` is how many blocks stand inside one another at the deepest place.
    """

    path: str
    size_bytes: int
    lines: int
    code_lines: int
    functions: int
    classes: int
    longest: str
    longest_lines: int
    most_complex: str
    complexity: int
    nesting: int


def measure_file(root: Path, path: str) -> FileMeasure:
    """Parse and measure the file `path` below the folder `root`.

    Raises `SyntaxError` or `UnicodeDecodeError` when it is not valid Python, `OSError` when it cannot be read.
    """
    with tokenize.open(root / path) as file:
        text = file.read()
    return measure_text(text, path, (root / path).stat().st_size)


def measure_text(text: str, path: str, size_bytes: int) -> FileMeasure:
    """Parse and measure source text; raises `SyntaxError` when it does not parse."""
    tree = _Tree(_parse(text, path))
    longest = max(tree.functions, key=lambda one: one.lines, default=tree.module)
    most_complex = max(tree.functions, key=lambda one: one.complexity, default=tree.module)
    lines = text.removesuffix("\n").split("\n") if text else []  # `splitlines` also splits at form feeds
    return FileMeasure(
        path=path,
        size_bytes=size_bytes,
        lines=len(lines),
        code_lines=_code_lines(lines, tree.docstring_lines),
        functions=len(tree.functions),
        classes=tree.classes,
        longest=longest.name,
        longest_lines=longest.lines,
        most_complex=most_complex.name,
        complexity=most_complex.complexity,
        nesting=tree.nesting,
    )


def _parse(text: str, path: str) -> ast.Module:
    with _ONE_PARSER, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old idioms in the library's tests are not the demo's news
        return ast.parse(text, filename=path)


def _code_lines(lines: list[str], docstring_lines: set[int]) -> int:
    stripped = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    return sum(1 for number, line in stripped if line and line[0] != "#" and number not in docstring_lines)


@dataclass(slots=True)
class _Scope:
    name: str
    lines: int = 0
    complexity: int = 1


class _Tree:
    """One pass over a syntax tree, with a stack of its own: generated code nests deeper than Python recurses."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = _Scope("(module)")
        self.functions: list[_Scope] = []
        self.classes = 0
        self.nesting = 0
        self.docstring_lines: set[int] = set()
        self._stack: list[tuple[ast.AST, _Scope, int]] = [(tree, self.module, 0)]
        while self._stack:
            self._visit(*self._stack.pop())

    def _visit(self, node: ast.AST, scope: _Scope, depth: int) -> None:
        kind = type(node)
        if kind in _FUNCTIONS:
            scope, depth = self._open_function(node), 0
        elif kind in _BLOCKS:
            depth += 1
            self.nesting = max(self.nesting, depth)
        elif kind is ast.ClassDef:
            self.classes += 1
        if kind in _DOCUMENTED:
            self.docstring_lines |= _docstring_lines(node)
        scope.complexity += _branches(node)
        elif_branch = _elif_branch(node)
        for child in ast.iter_child_nodes(node):
            self._stack.append((child, scope, depth - (child is elif_branch)))

    def _open_function(self, node: ast.AST) -> _Scope:
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        scope = _Scope(node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        self.functions.append(scope)
        return scope


def _branches(node: ast.AST) -> int:
    match node:
        case ast.BoolOp(values=values):
            return len(values) - 1
        case ast.comprehension(ifs=ifs):
            return 1 + len(ifs)
        case _:
            return int(type(node) in _BRANCHES)


def _elif_branch(node: ast.AST) -> ast.AST | None:
    """Return the `elif` of an `if`: the syntax tree nests it, the source does not."""
    match node:
        case ast.If(orelse=[ast.If() as branch]):
            return branch
        case _:
            return None


def _docstring_lines(node: ast.AST) -> set[int]:
    match node:
        case (
            ast.Module(body=[ast.Expr(value=ast.Constant(value=str()) as text), *_])
            | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str()) as text), *_])
            | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str()) as text), *_])
            | ast.AsyncFunctionDef(body=[ast.Expr(value=ast.Constant(value=str()) as text), *_])
        ):
            return set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
        case _:
            return set()
