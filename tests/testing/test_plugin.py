"""The pytest plugin, in projects of their own: how it finds the app, and what its fixtures do."""

from __future__ import annotations

import importlib
import shutil
import tomllib
from pathlib import Path

import pytest

from lineshaft.testing import plugin

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "postroom"
# The installed plugin, where there is one, is the same under another name.
PLUGIN = ("-p", "no:lineshaft", "-p", "lineshaft.testing.plugin", "-p", "no:randomly", "-W", "error")
APP = """
    from lineshaft import Lineshaft
    app = Lineshaft("postgresql://nobody@192.0.2.1:1/production?connect_timeout=1")
    @app.task(name="{name}", retry=None)
    def task(number: int) -> int:
        return 10 // number
"""
TEST = """
    from lineshaft.testing import assert_enqueued
    def test_app(lineshaft_inline):
        app = lineshaft_inline.app
        assert [task.name for task in app] == ["{name}"]
        assert app.enqueue("{name}", 2).result() == 5
"""


@pytest.fixture(autouse=True)
def no_app_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINESHAFT_APP", raising=False)


def test_plugin_is_registered() -> None:
    """Installing the package is enough: its entry point names the plugin."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [module] = project["entry-points"]["pytest11"].values()
    assert importlib.import_module(module) is plugin


@pytest.mark.parametrize("workers", ["0", "2"])
def test_example_application(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    """The example application's tests pass with its production store out of reach, in one process and in several."""
    monkeypatch.setenv("LINESHAFT_STORE", "postgresql://nobody@192.0.2.1:1/production?connect_timeout=1")
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True)
    pytester.makeini("[pytest]\nlineshaft_app = postroom:app")
    result = pytester.runpytest_subprocess(*PLUGIN, "-n", workers)
    result.assert_outcomes(passed=26)


@pytest.mark.parametrize("where", ["ini", "environment", "pyproject", "fixture"])
def test_app_is_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The app comes from the ini option, the environment, pyproject.toml, or a fixture of the project's own."""
    pytester.makepyfile(shop=APP.format(name="shop.task"))
    pytester.makepyfile(test_shop=TEST.format(name="shop.task"))
    match where:
        case "ini":
            pytester.makeini("[pytest]\nlineshaft_app = shop:app")
        case "environment":
            monkeypatch.setenv("LINESHAFT_APP", "shop:app")
        case "pyproject":
            pytester.makepyprojecttoml('[tool.lineshaft]\napp = "shop:app"\n[tool.pytest.ini_options]\n')
        case _:
            pytester.makeconftest(
                """
                import pytest
                import shop
                @pytest.fixture
                def lineshaft_app():
                    return shop.app
                """
            )
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "named, said",
    [
        (None, "*no Lineshaft app is named: set lineshaft_app*"),
        ("shop", "*'shop' does not name an app; write module:name*"),
        ("nowhere:app", "*there is no module 'nowhere' in *"),
        ("shop:nothing", "*shop:nothing does not exist; module 'shop' holds no Lineshaft app*"),
        ("shop:TEXT", "*shop:TEXT is a str, not a Lineshaft app*"),
    ],
)
def test_app_is_not_found(pytester: pytest.Pytester, named: str | None, said: str) -> None:
    """A test that needs an app which is not there says how to name one."""
    pytester.makepyfile(shop="TEXT = 'a text'", test_shop="def test_it(lineshaft_manual): pass")
    pytester.makeini(f"[pytest]\nlineshaft_app = {named or ''}")
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])


def test_failure_shows_the_jobs(pytester: pytest.Pytester) -> None:
    """A test that fails shows its jobs, and the tracebacks of those that failed; one that passes does not."""
    pytester.makepyfile(shop=APP.format(name="shop.task"))
    pytester.makepyfile(
        test_shop="""
        def test_fails(lineshaft_manual):
            lineshaft_manual.app.enqueue_many([lineshaft_manual.app.find("shop.task").new(n) for n in (0, 5)])
            lineshaft_manual.drain()
            assert not "all is well"
        def test_passes(lineshaft_manual):
            lineshaft_manual.app.enqueue("shop.task", 7)
        """
    )
    pytester.makeini("[pytest]\nlineshaft_app = shop:app")
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- Lineshaft jobs -*",
            "shop.task dead, attempt 1 of 1, queue default, *",
            "*ZeroDivisionError: *",
            "shop.task completed, attempt 1 of 1*",
        ]
    )
