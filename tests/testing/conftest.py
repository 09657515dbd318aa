"""An app of `tests/testing/shop.py` in a process of its own folder, imported anew for each test and each store."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def shop(durable_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module on each durable store in turn; the current folder is empty."""
    monkeypatch.setenv("LINESHAFT_STORE", durable_url)
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("shop", Path(__file__).with_name("shop.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shop", module)
    spec.loader.exec_module(module)
    yield module
    module.app.close()
