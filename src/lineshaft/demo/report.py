"""The demo's last step: thousands of measures and a few dead letters, reduced to one report."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lineshaft.demo.measure import FileMeasure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SINGLE_MODULES: Final = "(single modules)"
_TOP: Final = 10


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that ended dead, with the last attempt's error; `subject` is the file, or the task's name."""

    job_id: str
    subject: str
    reason: str
    attempts: int
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the measured files of one package; `complexity` is that of its most branched function."""

    package: str
    files: int
    size_bytes: int
    lines: int
    code_lines: int
    functions: int
    classes: int
    complexity: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What the scan found: the Python version, the library's folder, the number of files and of damaged copies."""

    python: str
    root: str
    files: int
    copies: int

    @property
    def note(self) -> str | None:
        """What a reader must know about the damaged files, if anything."""
        if not self.copies:
            return None
        return (
            f"This Python ships without its test suite, whose damaged files do not parse on purpose; "
            f"{self.copies} damaged copies of other files, labelled damaged-copies, stand in for them."
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the terminal's tables and the page show; packages have the most code first."""

    run: str
    scan: Scan
    total: Totals
    packages: list[Totals]
    longest_files: list[FileMeasure]
    most_complex: list[FileMeasure]
    dead: list[DeadLetter]


def reduce_measures(run: str, scan: Scan, measures: Iterable[FileMeasure], dead: Iterable[DeadLetter]) -> Report:
    """Return the report of one run from the results of its completed jobs and its dead letters."""
    files = list(measures)
    with_functions = [one for one in files if one.functions]
    return Report(
        run=run,
        scan=scan,
        total=_sum("all", files),
        packages=_packages(files),
        longest_files=heapq.nlargest(_TOP, files, key=lambda one: (one.code_lines, one.path)),
        most_complex=heapq.nlargest(_TOP, with_functions, key=lambda one: (one.complexity, one.path)),
        dead=sorted(dead, key=lambda one: (one.reason, one.subject)),
    )


def package_of(path: str) -> str:
    """Return the top-level folder that the file stands in; modules beside the folders are counted as one."""
    folder, slash, _ = path.partition("/")
    return folder if slash else SINGLE_MODULES


def _packages(files: Sequence[FileMeasure]) -> list[Totals]:
    by_package: defaultdict[str, list[FileMeasure]] = defaultdict(list)
    for one in files:
        by_package[package_of(one.path)].append(one)
    totals = [_sum(package, members) for package, members in by_package.items()]
    return sorted(totals, key=lambda one: (-one.code_lines, one.package))


def _sum(package: str, files: Sequence[FileMeasure]) -> Totals:
    return Totals(
        package=package,
        files=len(files),
        size_bytes=sum(one.size_bytes for one in files),
        lines=sum(one.lines for one in files),
        code_lines=sum(one.code_lines for one in files),
        functions=sum(one.functions for one in files),
        classes=sum(one.classes for one in files),
        complexity=max((one.complexity for one in files if one.functions), default=0),
    )
