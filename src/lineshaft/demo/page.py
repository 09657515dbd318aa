"""The report as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Final

from lineshaft.demo.chart import Bar, bar_chart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lineshaft.demo.measure import FileMeasure
    from lineshaft.demo.report import DeadLetter, Report, Totals

_BARS: Final = 14
_Cell = str | int

_STYLE: Final = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def render_page(report: Report) -> str:
    """Return the report as a complete HTML document; every text that comes from files or errors is escaped."""
    title = f"The standard library of Python {report.scan.python}, measured"
    body = "\n".join((_heading(report, title), _chart(report), _packages(report), _files(report), _dead(report)))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _heading(report: Report, title: str) -> str:
    total = report.total
    tiles = {
        "files": report.scan.files,
        "lines": total.lines,
        "lines of code": total.code_lines,
        "functions": total.functions,
        "classes": total.classes,
        "dead letters": len(report.dead),
    }
    shown = "".join(f"<div><dt>{name}</dt><dd>{value:,}</dd></div>" for name, value in tiles.items())
    note = f'<p class="note">{escape(report.scan.note)}</p>' if report.scan.note else ""
    return (
        f"<h1>{escape(title)}</h1>\n<p>One Lineshaft job a file of <code>{escape(report.scan.root)}</code>, "
        f'run <code>{escape(report.run)}</code>.</p>\n{note}<dl class="tiles">{shown}</dl>'
    )


def _chart(report: Report) -> str:
    bars = chart_bars(report.packages)
    title = "Lines of code by package"
    return f'<h2>{title}</h2>\n<div class="scroll chart">{bar_chart(bars, title)}</div>'


def chart_bars(packages: Sequence[Totals]) -> list[Bar]:
    """Return the largest packages as bars, and the sum of all others as the last one."""
    bars = [(one.package, one.code_lines) for one in packages[:_BARS]]
    rest = packages[_BARS:]
    return [*bars, (f"{len(rest)} others", sum(one.code_lines for one in rest))] if rest else bars


def _packages(report: Report) -> str:
    names = ("package", "files", "bytes", "lines", "code", "functions", "classes", "highest complexity")
    rows = (
        (p.package, p.files, p.size_bytes, p.lines, p.code_lines, p.functions, p.classes, p.complexity)
        for p in (*report.packages, report.total)
    )
    return f"<h2>Packages</h2>\n{_table(names, rows)}"


def _files(report: Report) -> str:
    longest = _table(("file", "code", "longest function", "its lines"), map(_long_row, report.longest_files))
    branched = _table(("file", "function", "complexity", "nesting"), map(_branched_row, report.most_complex))
    return f"<h2>Longest files</h2>\n{longest}\n<h2>Most branched functions</h2>\n{branched}"


def _long_row(one: FileMeasure) -> tuple[_Cell, ...]:
    return one.path, one.code_lines, one.longest, one.longest_lines


def _branched_row(one: FileMeasure) -> tuple[_Cell, ...]:
    return one.path, one.most_complex, one.complexity, one.nesting


def _dead(report: Report) -> str:
    names = ("job", "reason", "attempts", "error", "message")
    return (
        f"<h2>Dead letters</h2>\n<p>Jobs that will not be tried again without a person, "
        f"each with the error of its last attempt.</p>\n"
        f"{_table(names, map(_dead_row, report.dead))}"
    )


def _dead_row(one: DeadLetter) -> tuple[_Cell, ...]:
    return one.subject, one.reason, one.attempts, one.error, one.message


def _table(names: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> str:
    body = [list(row) for row in rows]
    numeric = [all(isinstance(row[column], int) for row in body) for column in range(len(names))]
    head = "".join(map(_head_cell, names, numeric))
    lines = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in body)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>'


def _head_cell(name: str, is_number: bool) -> str:  # noqa: FBT001 - `map` hands it over by position
    kind = "number" if is_number else "text"
    return f'<th scope="col" class="{kind}">{name}</th>'


def _cell(value: _Cell) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f'<td class="text">{escape(value)}</td>'
