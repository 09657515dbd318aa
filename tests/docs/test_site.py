"""The documentation as a site: it builds without a warning, holds every page, and asks no other host for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lineshaft

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
FROM_ELSEWHERE = re.compile(r"(?:https?:)?//")


class Page(HTMLParser):
    """What a page of the site has: anchors, links, and what a browser loads to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.navigation: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag stands for."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if "md-nav__link" in given.get("class", ""):
                self.navigation.append(given["href"])
        elif "src" in given or (tag == "link" and "href" in given):
            self.loaded.append(given.get("src") or given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from the pages as they are."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    for name in ("src", "tools"):
        (folder / name).symlink_to(ROOT / name)
    run = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "No issues found" in run.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def shown(site: Path) -> dict[Path, Page]:
    """Every page of the site."""
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_every_page_is_in_the_navigation(site: Path, shown: dict[Path, Page]) -> None:
    """Whoever opens the first page finds all others at its side; a new page is given its place in docs/.nav.yml."""
    listed = {link.removeprefix("./") for link in shown[site / "index.html"].navigation if link[0] != "#"}
    pages = {str(page.relative_to(ROOT / "docs").with_suffix(".html")) for page in PAGES}
    assert listed | {"index.html"} == pages


def test_first_page_lists_every_page() -> None:
    """The index says of each page, and of each decision, what is in it."""
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"^\| \[[^\]]+\]\(([^)]+)\)", text, re.MULTILINE))
    assert {str(page.relative_to(ROOT / "docs")) for page in PAGES} - {"index.md"} == linked


def test_links_lead_somewhere(site: Path, shown: dict[Path, Page]) -> None:
    """Each link of the site leads to a page and a heading that it has; those out of docs/ are no links there."""
    for path, page in shown.items():
        for link in page.links:
            if re.match(r"https?:|mailto:", link):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            target = target / "index.html" if target.is_dir() else target
            assert target in shown, f"{path.relative_to(site)}: {link}"
            assert not anchor or anchor in shown[target].anchors | {"__skip", "__comments"}, f"{path.name}: {link}"


def test_nothing_is_loaded_from_elsewhere(shown: dict[Path, Page]) -> None:
    """A reader without a network sees all of it, and nobody else learns what is read."""
    for path, page in shown.items():
        for address in page.loaded:
            assert not FROM_ELSEWHERE.match(address), f"{path.name} loads {address}"
            assert (path.parent / address).resolve().is_file(), f"{path.name} loads {address}, which is not there"


def test_marks_of_our_tests_are_not_shown(site: Path) -> None:
    """What a fence says to our tests makes it no other code for the reader."""
    text = (site / "jobs.html").read_text(encoding="utf-8") + (site / "coming-from.html").read_text(encoding="utf-8")
    assert "no-run" not in text
    assert "```" not in text


@pytest.mark.parametrize("name", lineshaft.__all__)
def test_public_names_have_their_place(name: str, site: Path, shown: dict[Path, Page]) -> None:
    """Each public name stands in docs/api.md, where its docstring is shown."""
    assert f"::: lineshaft.{name}\n" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert f"lineshaft.{name}" in shown[site / "api.html"].anchors
