"""The demo's reduction, page, tables and figures."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from lineshaft.demo.chart import bar_chart
from lineshaft.demo.measure import FileMeasure, measure_text
from lineshaft.demo.page import chart_bars, render_page
from lineshaft.demo.progress import Tally, live_progress
from lineshaft.demo.report import DeadLetter, Report, Scan, Totals, package_of, reduce_measures
from lineshaft.demo.summary import Summary, percentile, summarise
from lineshaft.demo.terminal import commands, print_hints, print_report, print_summary

SCAN = Scan("3.12.1", "/usr/lib/python3.12", 4, 0)
LETTER = DeadLetter("0197", "test/bad_coding.py", "error", 3, "SyntaxError", "unknown encoding: uft-8")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def sample(path: str, code_lines: int = 1, complexity: int = 1, functions: int = 1) -> FileMeasure:
    one = measure_text("def f(): ...\n", path, 10)
    return replace(one, code_lines=code_lines, complexity=complexity, functions=functions)


@pytest.fixture
def report() -> Report:
    files = [sample("json/a.py", 5, 9), sample("json/b.py", 7), sample("abc.py", 3), sample("data/big.py", 99, 50, 0)]
    return reduce_measures("demo-1", SCAN, files, [LETTER])


def test_packages_are_summed(report: Report) -> None:
    """Each package's figures are the sums of its files, the most code first, and the total is that of all."""
    sums = [(one.package, one.files, one.code_lines) for one in report.packages]
    assert sums == [("data", 1, 99), ("json", 2, 12), ("(single modules)", 1, 3)]
    assert (report.total.files, report.total.code_lines, report.total.size_bytes) == (4, 114, 40)


def test_complexity_is_that_of_functions(report: Report) -> None:
    """A file without functions has no most branched function."""
    assert [one.path for one in report.most_complex] == ["json/a.py", "json/b.py", "abc.py"]
    assert report.total.complexity == 9


def test_longest_files_come_first(report: Report) -> None:
    """Files are ranked by lines of code."""
    assert [one.path for one in report.longest_files] == ["data/big.py", "json/b.py", "json/a.py", "abc.py"]


def test_nothing_reduces_to_nothing() -> None:
    """A run without a single result still has a report, and its page renders."""
    empty = reduce_measures("demo-1", SCAN, [], [])
    assert (empty.total.files, empty.packages, empty.dead) == (0, [], [])
    assert "0" in _Page(render_page(empty)).text


@pytest.mark.parametrize(
    "path, package", [("abc.py", "(single modules)"), ("json/a.py", "json"), ("test/data/a.py", "test")]
)
def test_package_is_the_first_folder(path: str, package: str) -> None:
    """A file belongs to the folder at the top; a module beside the folders to the single modules."""
    assert package_of(path) == package


def test_page_is_well_formed_and_complete(report: Report) -> None:
    """Every element of the page is closed, and the page tells packages, files and dead letters."""
    page = _Page(render_page(report))
    assert page.open == []
    for text in ("json", "data/big.py", "114", "test/bad_coding.py", "unknown encoding: uft-8", "demo-1"):
        assert text in page.text


def test_page_needs_no_network(report: Report) -> None:
    """Nothing in the page points outside it, and no script runs."""
    page = _Page(render_page(report))
    assert not page.attributes & {"src", "href", "srcset", "action"}
    assert "script" not in page.tags
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_page_escapes_what_files_and_errors_say(report: Report) -> None:
    """A file name or message that looks like markup is shown, not obeyed."""
    letter = replace(LETTER, subject="<script>alert(1)</script>", message="a < b & '\"</td>")
    package = sample("<b>&\"'/x.py", 1_000)
    hostile = reduce_measures("demo-<i>", replace(SCAN, root='/"><img>'), [package], [letter])
    page = _Page(render_page(hostile))
    assert page.open == []
    assert not page.tags & {"script", "img", "b", "i"}
    assert "<script>alert(1)</script>" in page.text
    assert "a < b & '\"</td>" in page.text


def test_damaged_copies_are_told(report: Report) -> None:
    """Where copies stand in for a missing test suite, page and terminal say so; elsewhere they do not."""
    with_copies = replace(report, scan=replace(SCAN, copies=3))
    assert "ships without its test suite" in _Page(render_page(with_copies)).text
    assert "ships without its test suite" not in _Page(render_page(report)).text
    assert "ships without its test suite" in _printed(print_report, with_copies)


def test_chart_sums_the_small_packages() -> None:
    """The chart shows the largest packages and the sum of the others, so that no line of code is missing."""
    packages = [Totals(f"p{number}", 1, 1, 1, 100 - number, 1, 0, 1) for number in range(20)]
    bars = chart_bars(packages)
    assert bars[-1][0] == "6 others"
    assert sum(value for _, value in bars) == sum(one.code_lines for one in packages)


def test_bars_are_to_scale() -> None:
    """A bar of half the value is half as long."""
    widths = _Page(bar_chart([("a", 200), ("b", 100)], "title")).values("rect", "width")
    assert float(widths[1]) == pytest.approx(float(widths[0]) / 2)


def test_bars_of_nothing_are_drawn() -> None:
    """A chart whose values are all 0 is a chart still."""
    assert len(_Page(bar_chart([("a", 0)], "title")).values("rect", "width")) == 1


def test_terminal_shows_packages_and_dead_letters(report: Report) -> None:
    """The tables name packages, totals and each dead letter with its true error."""
    printed = _printed(print_report, report)
    for text in ("json", "114", "bad_coding.py", "SyntaxError: unknown encoding: uft-8"):
        assert text in printed


def test_errors_are_not_markup(report: Report) -> None:
    """Square brackets in an error are printed as they are."""
    printed = _printed(print_report, replace(report, dead=[replace(LETTER, message="expected [/b] or [red]")]))
    assert "expected [/b] or [red]" in printed


def test_summary_is_printed() -> None:
    """The figures that a reader asks for stand in the summary."""
    printed = _printed(print_summary, Summary(1_740, 8.7, 9, 4.25, 8.5), Tally(1_743, 1_732, 0, 10, 1))
    for text in ("1,740 files", "200 jobs per second", "p50 4.25 s", "p99 8.50 s", "9 retried, 10 dead, 1 cancelled"):
        assert text in printed


def test_hints_can_be_copied(report: Report) -> None:
    """The commands name the store, quoted for a shell, and are not wrapped by the terminal."""
    store = f"sqlite:////home/me/{'long folder/' * 20}jobs.db"
    printed = _printed(print_hints, store, report, Path("report.html"))
    assert f"--store '{store}' jobs list --tag demo-1 --state dead\n" in printed
    assert f"--store '{store}' jobs show 0197\n" in printed


@pytest.mark.parametrize(
    "store", ["postgresql://me:hush@db.example/jobs", "postgresql:///jobs?host=db.example&password=hush"]
)
def test_hints_hide_the_password(report: Report, store: str) -> None:
    """A store's password is never printed: the commands ask for the address in the environment."""
    lines = commands(store, report)
    assert all("hush" not in line and line.startswith("LINESHAFT_STORE=") for line in lines)


def test_progress_without_a_terminal_is_plain_lines() -> None:
    """Off a terminal there is a line now and then, the last one complete, with no control characters."""
    out = io.StringIO()
    with live_progress(Console(file=out, width=80)) as show:
        show(Tally(0, 0, 0, 0, 0))
        for completed in range(30):
            show(Tally(33, completed, 0, 0, 0))
        show(Tally(33, 30, 0, 2, 1))
    lines = out.getvalue().splitlines()
    assert 3 <= len(lines) < 10
    assert lines[0] == "scanning"
    assert lines[-1] == "33 of 33 jobs: 30 completed, 0 retrying, 2 dead, 1 cancelled"
    assert "\x1b" not in out.getvalue()


def test_progress_on_a_terminal_is_a_bar() -> None:
    """On a terminal the bar ends full and tells what became of the jobs."""
    out = io.StringIO()
    with live_progress(Console(file=out, width=160, force_terminal=True, color_system=None)) as show:
        show(Tally(0, 0, 0, 0, 0))
        show(Tally(4, 2, 0, 1, 1))
    assert "4/4" in out.getvalue()
    assert "2 completed, 0 retrying, 1 dead, 1 cancelled" in out.getvalue()


@pytest.mark.parametrize(
    "tally, is_done",
    [(Tally(0, 3, 0, 0, 0), False), (Tally(4, 3, 1, 0, 0), False), (Tally(4, 2, 0, 1, 1), True)],
)
def test_a_run_is_done_when_no_job_is_left(tally: Tally, is_done: bool) -> None:  # noqa: FBT001 - a case's answer
    """A run is not over before the scan told how many jobs there are and each of them is final."""
    assert tally.is_done is is_done


class _Finished(NamedTuple):
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def _finished(wait: float, ran: float = 1, attempt: int = 1) -> _Finished:
    started = EPOCH + timedelta(seconds=wait)
    return _Finished(attempt, EPOCH, started, started + timedelta(seconds=ran))


def test_rate_is_jobs_by_the_time_they_took() -> None:
    """The clock runs from the first start to the last end."""
    summary = summarise([_finished(1), _finished(2), _finished(3, ran=2)])
    assert (summary.jobs, summary.seconds, summary.jobs_per_second) == (3, 4.0, 0.75)


def test_waits_of_retried_jobs_do_not_count() -> None:
    """A retried job waited on purpose: it is counted as retried and its wait is left out."""
    summary = summarise([_finished(1), _finished(3), _finished(90, attempt=3)])
    assert (summary.retried, summary.median_wait_seconds, summary.p99_wait_seconds) == (1, 1.0, 3.0)


def test_no_jobs_have_no_figures() -> None:
    """A summary of nothing is zeros, also for jobs that never ran."""
    assert summarise([_Finished(0, EPOCH, None, EPOCH)]) == Summary(0, 0.0, 0, 0.0, 0.0)
    assert summarise([]).jobs_per_second == 0.0


@pytest.mark.parametrize("rank, value", [(1, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)])
def test_percentiles_are_values_that_occurred(rank: int, value: float) -> None:
    """A percentile is the nearest rank, not an interpolation."""
    assert percentile([float(number) for number in range(1, 101)], rank) == value


def _printed(show: object, *arguments: object) -> str:
    out = io.StringIO()
    assert callable(show)
    show(Console(file=out, width=100), *arguments)
    return out.getvalue()


class _Page(HTMLParser):
    """Reads markup: tags, attributes, text, and what was left open."""

    VOID = frozenset({"meta", "br", "line", "rect"})

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self._found: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self._found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def text(self) -> str:
        return "".join(self._text)

    def values(self, tag: str, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for name, attributes in self._found if name == tag]
