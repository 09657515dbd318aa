"""Writes measured tables into a page, between markers: `<!-- NAME:begin -->` and `<!-- NAME:end -->`."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tools.temporary_postgres import server_version

PAGE: Final = Path(__file__).parents[2] / "docs" / "growth.md"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def made_on() -> str:
    """Return what was measured on, in one line."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        f"{day}; {_processor()}, {platform.system()} {platform.release()}, CPython {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, PostgreSQL {server_version()}"
    )


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Put a text in place of what stands between the markers; raises `ValueError` when the page has none."""
    before = page.read_text("utf-8")
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    after, count = pattern.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", before)
    if count != 1:
        raise ValueError(f"{page.name} has no section between <!-- {name}:begin --> and <!-- {name}:end -->")
    page.write_text(after, "utf-8")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return f"{os.cpu_count()} cores of {found[1] if found else platform.machine()}"
