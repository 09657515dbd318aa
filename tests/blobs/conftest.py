"""Apps whose large values lie where the test can look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lineshaft import Lineshaft
from lineshaft.clock import DAY
from lineshaft.features.unique import UniqueFeature
from lineshaft.leader.pruner import Pruner
from tests.plugins.pruning import pruning


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the blobs of stores that last are kept."""
    return tmp_path / "shared" / "blobs"


@pytest.fixture
def app(durable_url: str, folder: Path, make_app: Callable[..., Lineshaft]) -> Lineshaft:
    """An app on each engine that several processes can share, its blobs in `folder`."""
    return make_app(durable_url, blobs=str(folder))


@pytest.fixture
def files(folder: Path) -> Callable[[], list[Path]]:
    """Lists the contents and the unfinished parts of contents that are there."""
    return lambda: sorted(path for path in folder.rglob("*") if path.is_file())


def prune_later(app: Lineshaft, later: int) -> None:
    """Have a pruner do what is due within a minute, so much later (microseconds)."""
    for _ in _pruning(app, later):
        pass


def _pruning(app: Lineshaft, later: int) -> Iterator[Any]:
    runtime = app.runtime()
    pruner = Pruner(runtime.engine, app.settings.retention, [UniqueFeature()], runtime.depot)
    return pruning(pruner, runtime.engine.clock.now() + later)


SWEPT = 2 * DAY
"""After this, a blob whose job is not stored has been there for long enough."""
