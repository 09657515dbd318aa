"""What the documentation's site does differently from a page that is read as it is; `zensical.toml` names it.

A mark for our tests, as in ` ```python no-run: why `, is taken off. A link to a file of this repository that is not a
page becomes its path: there is nothing behind it on the site.
"""

from __future__ import annotations

import re
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor

MARKS: Final = re.compile(r"^( *```\w+) no-run\b.*$")
OUTSIDE: Final = re.compile(r"(?:\.\./)+((?:src|tests|tools|benchmarks|examples|README|CONTRIBUTING|CHANGELOG)\b.*)")
BEFORE_FENCES: Final = 28  # pymdownx.superfences registers at 25, the whitespace is in order from 30 on
AFTER_INLINE: Final = 15  # links are elements from 20 on


class Marks(Preprocessor):
    """Fences without our marks, which the generator would not take for fences."""

    def run(self, lines: list[str]) -> list[str]:
        """Return the page's lines."""
        return [MARKS.sub(r"\1", line) for line in lines]


class Paths(Treeprocessor):
    """Links out of the documentation, as text."""

    def run(self, root: Element) -> None:
        """Turn each into its own words, and into code with the path where the words do not name it."""
        for link in list(root.iter("a")):
            if outside := OUTSIDE.fullmatch(link.get("href", "")):
                show_path(link, outside[1])


def show_path(link: Element, path: str) -> None:
    """Make a span of a link, with its path behind its words or, for a reader who points at it, in its title."""
    link.tag = "span"
    del link.attrib["href"]
    link.set("title", path)
    link.set("class", "repository-path")
    if not len(link) and not (link.text or "").strip():
        SubElement(link, "code").text = path


class SiteMarkdown(Extension):
    """Both."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown calls it
        """Register both."""
        md.preprocessors.register(Marks(md), "lineshaft_marks", BEFORE_FENCES)
        md.treeprocessors.register(Paths(md), "lineshaft_paths", AFTER_INLINE)


def makeExtension(**options: Any) -> SiteMarkdown:  # noqa: N802 - Python-Markdown looks for it
    """Return the extension."""
    return SiteMarkdown(**options)
