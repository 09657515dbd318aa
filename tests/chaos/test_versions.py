"""Old and new code side by side on one store, while its schema is upgraded under load."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from lineshaft.store.migrate import newest
from tests.chaos.conftest import Chaos
from tests.plugins.apps import Process, StartProcess

ROOT: Final = Path(__file__).parents[2]
ADDITION: Final = {
    "sqlite": "alter table lineshaft_job add column colour text;\ncreate table lineshaft_shade (name text);\n",
    "postgres": "alter table lineshaft.job add column colour text;\n"
    "alter table lineshaft.history add column colour text;\ncreate table lineshaft.shade (name text);\n",
}
MIGRATE: Final = "import sys\nfrom lineshaft.cli import main\nsys.exit(main(['migrate', '--store', sys.argv[1]]))\n"
MakeNewer = Callable[..., dict[str, str]]


@pytest.fixture
def make_newer(tmp_path: Path) -> MakeNewer:
    """Makes a copy of this package that knows one more migration; gives the environment in which it is imported."""

    def make(first_line: str = "-- additive: a colour\n") -> dict[str, str]:
        package = shutil.copytree(ROOT / "src" / "lineshaft", tmp_path / "newer" / "lineshaft")
        for dialect, text in ADDITION.items():
            step = package / "store" / "migrations" / f"{newest('sqlite') + 1:04}_colour.{dialect}.sql"
            step.write_text(first_line + text)
        return {"PYTHONPATH": str(package.parent)}

    return make


@pytest.fixture
def migrators(chaos: Chaos, start_process: StartProcess, tmp_path: Path) -> Callable[..., list[Process]]:
    """Starts processes that migrate the store at the same time: `migrators(2, environment)`."""
    script = tmp_path / "migrate.py"
    script.write_text(MIGRATE)
    return lambda count, environment: [start_process(script, chaos.url, **environment) for _ in range(count)]


def enqueue_some(chaos: Chaos, when: str, count: int = 30) -> None:
    for number in range(count):
        chaos.enqueue(("plain", "separate", "transactional", "failing", "parent")[number % 5], f"{when}{number}")


def test_rolling_deploy(chaos: Chaos, make_newer: MakeNewer, migrators: Callable[..., list[Process]]) -> None:
    """Old workers go on, and old ones start, while two migrators add to the schema and new workers join them."""
    chaos.make_effects()
    old, newer = chaos.worker(), make_newer()
    enqueue_some(chaos, "before")
    both = migrators(2, newer)
    enqueue_some(chaos, "during")
    assert [one.end() for one in both] == [0, 0], [one.errors() for one in both]
    applied = [line for one in both for line in one.all_lines() if line.startswith("applied")]
    assert len(applied) == 1
    late = chaos.worker()
    chaos.environment = newer
    new = chaos.worker()
    enqueue_some(chaos, "beside")
    chaos.settle()
    for one in (old, late):
        one.send(signal.SIGTERM)
        assert one.end() == 0, one.errors()
    enqueue_some(chaos, "after")
    chaos.settle()
    chaos.assert_in_order()
    assert set(chaos.states().values()) == {"completed"}
    assert {new.pid, late.pid, old.pid} <= {one.worker for one in chaos.events()}


def test_new_code_before_its_migration(
    chaos: Chaos, make_newer: MakeNewer, migrators: Callable[..., list[Process]]
) -> None:
    """New code upgrades a SQLite file at first use; on PostgreSQL it names the command in one line and ends."""
    chaos.make_effects()
    old = chaos.worker()
    enqueue_some(chaos, "before", 10)
    chaos.environment = make_newer()
    new = chaos.start_worker()
    if chaos.url.startswith("sqlite"):
        new.expect("ready")
    else:
        assert new.end() != 0
        [told] = [line for line in new.errors().splitlines() if "run 'lineshaft migrate'" in line]
        assert f"has schema {newest('postgres')}, this code needs {newest('postgres') + 1}" in told
        [migrator] = migrators(1, chaos.environment)
        assert migrator.end() == 0, migrator.errors()
        chaos.worker()
    enqueue_some(chaos, "after", 10)
    chaos.settle()
    chaos.assert_in_order()
    assert old._popen.poll() is None


def test_a_migration_that_old_code_cannot_bear(
    chaos: Chaos, make_newer: MakeNewer, migrators: Callable[..., list[Process]]
) -> None:
    """After a step that is not marked as additive, old code that starts refuses the store in one line."""
    chaos.make_effects()
    [migrator] = migrators(1, make_newer(first_line=""))
    assert migrator.end() == 0, migrator.errors()
    late = chaos.start_worker()
    assert late.end() != 0
    [told] = [line for line in late.errors().splitlines() if "this version of Lineshaft knows up to" in line]
    assert "upgrade Lineshaft here" in told
