"""The pytest plugin: `lineshaft_inline` and `lineshaft_manual`, and what jobs did when a test fails.

The app is found as on the command line; a fixture `lineshaft_app` of the project's own says it in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final

import pytest

from lineshaft.app import Lineshaft
from lineshaft.app.finding import find_app_path, import_app
from lineshaft.app.testing import Mode, Testing
from lineshaft.errors import ConfigError

_NO_APP: Final = (
    "no Lineshaft app is named: set lineshaft_app in pytest's configuration, $LINESHAFT_APP, or app in "
    "[tool.lineshaft] of pyproject.toml to 'module:name', or write a fixture lineshaft_app that returns it"
)
_BLOCK: Final = pytest.StashKey[Testing]()
Overrides = Mapping[Callable[..., Any], Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the configuration file name the app."""
    parser.addini("lineshaft_app", "the Lineshaft app under test, as module:name", default="")


@pytest.fixture(scope="session")
def lineshaft_app(pytestconfig: pytest.Config) -> Lineshaft:
    """Give the app under test: of the option `lineshaft_app`, $LINESHAFT_APP, or `[tool.lineshaft] app`; override it.

    The folder of pytest's configuration file, and that of the pyproject.toml, are importable for this.
    """
    root = pytestconfig.rootpath
    try:
        path = find_app_path(pytestconfig.getini("lineshaft_app") or None, root)
        if path is None:
            raise pytest.UsageError(_NO_APP)
        return import_app(path, root)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error.__cause__


@pytest.fixture
def lineshaft_overrides() -> Overrides:
    """Give the providers of `Inject` that are replaced, as `app.testing(overrides=…)` takes them; override it."""
    return {}


@pytest.fixture
def lineshaft_inline(
    request: pytest.FixtureRequest, lineshaft_app: Lineshaft, lineshaft_overrides: Overrides
) -> Iterator[Testing]:
    """Run every job as it is enqueued, and raise its error there."""
    yield from _block(request, lineshaft_app, "inline", lineshaft_overrides)


@pytest.fixture
def lineshaft_manual(
    request: pytest.FixtureRequest, lineshaft_app: Lineshaft, lineshaft_overrides: Overrides
) -> Iterator[Testing]:
    """Keep jobs until the test calls `drain()` of what this fixture gives."""
    yield from _block(request, lineshaft_app, "manual", lineshaft_overrides)


def _block(request: pytest.FixtureRequest, app: Lineshaft, mode: Mode, overrides: Overrides) -> Iterator[Testing]:
    with app.testing(mode, overrides=overrides) as block:
        request.node.stash[_BLOCK] = block
        yield block
        del request.node.stash[_BLOCK]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a test that failed what jobs there were, and why some of them failed."""
    report = yield
    block = item.stash.get(_BLOCK, None)
    if block is not None and report.failed and report.when == "call":
        report.sections.append(("Lineshaft jobs", block.report()))
    return report
