"""The raw limits of the databases, measured in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.harness.bench import StepError
from benchmarks.harness.processes import last_line
from benchmarks.harness.results import Figures, SubjectResult
from benchmarks.harness.servers import Servers

STORES: Final = ("SQLite", "PostgreSQL")
_ROOT: Final = Path(__file__).parents[2]
_PATIENCE_SECONDS: Final = 60


class Limit(NamedTuple):
    """A program that measures what could be reached on a store."""

    program: str
    """The module in `benchmarks`."""
    title: str
    settings: str
    store: str

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{self.program}-{self.store.lower()}"

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return f"{self.title} ({self.store})"

    def new_result(self) -> SubjectResult:
        """Return its result, still empty."""
        return SubjectResult(self.name, self.label, "limit", self.store, settings=self.settings)


def raw(store: str) -> Limit:
    """Return the limit that no design can pass: the least SQL for a durable job."""
    return Limit("raw", "bare SQL", "the least schema; claim and finish fused, batches of 100, one connection", store)


def statements(store: str) -> Limit:
    """Return the limit of Lineshaft's design: its own schema and statements without a worker around them."""
    settings = "Lineshaft's schema; claim and finish fused, batches of 100, one connection"
    return Limit("statements", "Lineshaft's statements alone", settings, store)


LIMITS: Final = [limit(store) for limit in (raw, statements) for store in STORES]


def measure_limit(limit: Limit, servers: Servers, root: Path, seconds: float) -> Figures:
    """Measure what a database can do, each figure for about `seconds`; raises `StepError` or `SetUpError`."""
    with _address(limit.store, servers, root) as address:
        try:
            ended = subprocess.run(
                [sys.executable, "-m", f"benchmarks.{limit.program}", address, str(seconds)],
                check=True,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_SECONDS,
                cwd=_ROOT,
                env={**os.environ, "TMPDIR": str(root)},  # what is left there goes with the run
            )
        except subprocess.CalledProcessError as error:
            raise StepError(last_line(error.stderr)) from error
        except subprocess.TimeoutExpired as error:
            raise StepError(f"{limit.label} took too long") from error
    found: Figures = json.loads(ended.stdout)
    return found


@contextmanager
def _address(store: str, servers: Servers, root: Path) -> Iterator[str]:
    if store == "PostgreSQL":
        with servers.postgres() as url:
            yield url
    else:
        with tempfile.TemporaryDirectory(prefix="raw-", dir=root) as folder:
            yield f"sqlite:///{Path(folder, 'limit.db')}"
