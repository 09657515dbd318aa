"""Users' code as the app takes it in: collections, imports, names, providers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lineshaft import ConfigError, Inject, Lineshaft, LineshaftError, State, TaskError, Tasks
from tests.plugins.apps import StartWorker


def test_a_prefix_stands_before_every_name(app: Lineshaft, start_worker: StartWorker) -> None:
    """`Tasks(prefix=…)` names its tasks apart, given names too, and `include` lets them be enqueued and run."""
    tasks = Tasks(prefix="shop.")
    named = tasks.task(name="render")(lambda: "named")
    own = tasks.task(_own)
    with pytest.raises(TaskError, match=r"belongs to no app yet; call app.include\(tasks\) first"):
        named.enqueue()
    app.include(tasks)
    start_worker(app)
    assert (named.name, own.name) == ("shop.render", f"shop.{__name__}._own")
    assert [job.result(20) for job in (named.enqueue(), app.enqueue("shop.render"), own.enqueue())] == [
        "named", "named", "own",
    ]  # fmt: skip


def _own() -> str:
    return "own"


def test_names_that_meet_are_refused(app: Lineshaft) -> None:
    """A collection whose task has the name of another function is refused, naming both."""
    app.task(name="render")(lambda: 1)
    tasks = Tasks()
    tasks.task(name="render")(_own)
    with pytest.raises(TaskError, match="two functions are named 'render'"):
        app.include(tasks)


@pytest.mark.parametrize(
    "name, source, why",
    [
        ("no_such_module", None, "imports: 'no_such_module' cannot be imported: ModuleNotFoundError"),
        ("no_such_package.*", None, "imports: 'no_such_package.*' cannot be imported: ModuleNotFoundError in no_s"),
        ("raising_jobs", "1 / 0", "imports: 'raising_jobs' cannot be imported: ZeroDivisionError: division by zero"),
        ("plain_module.*", "x = 1", "imports: 'plain_module.*' cannot be imported: plain_module is no package"),
    ],
)
def test_imports_that_fail_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str | None, why: str
) -> None:
    """A module of `imports=` that cannot be imported is named in one line, with what it raised as the cause."""
    monkeypatch.syspath_prepend(str(tmp_path))
    if source is not None:
        (tmp_path / f"{name.removesuffix('.*')}.py").write_text(source)
    app = Lineshaft("memory://", imports=[name])
    with pytest.raises(ConfigError) as refused:
        app.make_worker()
    assert str(refused.value).startswith(why)
    assert "\n" not in str(refused.value)


def test_imports_bring_their_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`imports=["package.*"]` imports the modules of a package, whose tasks are known then."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "brought_jobs"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("one", "two"):
        (package / f"{name}.py").write_text(f"import seen_imports\nseen_imports.names.append({name!r})")
    (tmp_path / "seen_imports.py").write_text("names = []")
    Lineshaft("memory://", imports=["brought_jobs.*"]).load_imports()
    import seen_imports  # type: ignore[import-not-found]

    assert sorted(seen_imports.names) == ["one", "two"]


def test_every_kind_of_provider(app: Lineshaft, start_worker: StartWorker) -> None:
    """Functions and generators fill parameters of every task, async ones those of `async def` tasks; all clean up."""
    closed: list[str] = []

    def plain() -> str:
        return "plain"

    def generator() -> Iterator[str]:
        yield "generator"
        closed.append("generator")

    async def coroutine() -> str:
        return "coroutine"

    async def agenerator() -> AsyncIterator[str]:
        yield "agenerator"
        closed.append("agenerator")

    @app.task(name="sync")
    def sync(a: str = Inject(plain), b: str = Inject(generator)) -> list[str]:
        return [a, b]

    @app.task(name="async")
    async def asynchronous(
        a: str = Inject(plain), b: str = Inject(generator), c: str = Inject(coroutine), d: str = Inject(agenerator)
    ) -> list[str]:
        return [a, b, c, d]

    @app.task(name="mixed", retry=None)
    def mixed(a: str = Inject(coroutine)) -> str:
        return a

    start_worker(app)
    assert sync.enqueue().result(20) == ["plain", "generator"]
    assert asynchronous.enqueue().result(20) == ["plain", "generator", "coroutine", "agenerator"]
    assert sorted(closed) == ["agenerator", "generator", "generator"]
    job = mixed.enqueue().wait(20)
    assert job.state is State.DEAD
    assert "is async; a plain 'def' task needs a plain provider" in job.errors[0]["message"]


def test_codecs_reach_arguments_results_and_follow_ups(app: Lineshaft, start_worker: StartWorker) -> None:
    """`app.codec` teaches a type to arguments, to results, and to the arguments of what follows."""
    app.codec(Money, dump=lambda money: money.cents, load=Money)

    @app.task(name="double")
    def double(money: Money) -> Money:
        return Money(money.cents * 2)

    parent = app.task(name="parent", on_success=double.new(Money(21)))(lambda: None)
    start_worker(app)
    assert double.enqueue(Money(4)).result(20).cents == 8
    parent.enqueue().wait(20)
    jobs: list[Any] = [job for job in app.jobs.iter(name="double") if job.meta]
    assert [job.result(20).cents for job in jobs] == [42]


class Money:
    """A type that only a codec can store."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


def test_unknown_names_are_stored_as_they_are(app: Lineshaft) -> None:
    """A job by name needs no code here; arguments that are no plain JSON are refused, naming the task."""
    job = app.enqueue("elsewhere.render", 7, draft=True)
    assert (job.name, job.args) == ("elsewhere.render", ([7], {"draft": True}))
    with pytest.raises(LineshaftError, match=r"elsewhere\.render"):
        app.enqueue("elsewhere.render", object())
