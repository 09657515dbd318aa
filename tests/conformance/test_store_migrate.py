"""Creating and upgrading the schema, on every engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lineshaft.errors import SchemaError
from lineshaft.store import inspect
from lineshaft.store.migrate import SQL, migrate, migrations, newest, refuse_newer, version
from tests.plugins.engines import NOW, new_row, open_engine, store_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lineshaft.engines.base import Engine
    from tests.plugins.engines import Child

FIRST_USE = """
from lineshaft.store.migrate import migrate
from tests.plugins.engines import new_row, open_engine, store_rows
engine = open_engine(sys.argv[1])
print('ready', flush=True)
sys.stdin.readline()
print('applied', [one.number for one in migrate(engine)], flush=True)
store_rows(engine, new_row())
engine.close()
"""


@pytest.fixture(params=["sqlite", "postgres"])
def empty_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that nobody has used yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def empty_engine(empty_address: str) -> Iterator[Engine]:
    """An engine on a store that nobody has used yet."""
    engine = open_engine(empty_address)
    yield engine
    engine.close()


def test_both_dialects_have_the_same_steps() -> None:
    """A migration of one dialect has its twin in the other, numbered without gaps."""
    steps = [[(one.number, one.name) for one in migrations(dialect)] for dialect in ("sqlite", "postgres")]
    assert steps[0] == steps[1]
    assert [number for number, _ in steps[0]] == list(range(1, len(steps[0]) + 1))


def test_unused_store_has_no_schema(empty_engine: Engine) -> None:
    """A store that was never migrated has version 0, and looking does not create it."""
    assert version(empty_engine) == 0
    assert not empty_engine.has_schema()


def test_first_migration_applies_everything(empty_engine: Engine) -> None:
    """An empty store gets every step and is at the newest version."""
    applied = migrate(empty_engine)
    assert applied == migrations(empty_engine.dialect)
    assert version(empty_engine) == newest(empty_engine.dialect)


def test_second_migration_applies_nothing(engine: Engine) -> None:
    """Migrating a store that is up to date changes nothing."""
    store_rows(engine, new_row())
    assert migrate(engine) == []
    assert engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 1


def test_older_store_gets_what_it_misses(empty_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that an older version made is brought up by the later steps alone."""
    known = migrations(empty_engine.dialect)
    monkeypatch.setattr("lineshaft.store.migrate.migrations", lambda _: known[:1])
    assert migrate(empty_engine) == known[:1]
    monkeypatch.undo()
    assert migrate(empty_engine) == known[1:]


def test_newer_store_is_refused(engine: Engine) -> None:
    """A store that a newer version made is refused in one line that names both versions and what to do."""
    known = newest(engine.dialect)
    later = {"number": 9_999, "name": "later", "is_additive": False, "now": NOW}
    engine.write(lambda tx: tx.run(SQL.record_migration, later))
    with pytest.raises(SchemaError, match=rf"^the store .* has schema 9999, .* up to {known}; upgrade Lineshaft .*$"):
        migrate(engine)


def test_store_with_additions_is_used(engine: Engine) -> None:
    """A store that a newer version only added to is no reason to stop; what it has is left as it is."""
    later = {"number": 9_999, "name": "later", "is_additive": True, "now": NOW}
    engine.write(lambda tx: tx.run(SQL.record_migration, later))
    refuse_newer(engine, version(engine))
    assert migrate(engine) == []
    assert version(engine) == 9_999


def test_failed_step_leaves_the_store_as_it_was(empty_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that fails half-way is rolled back whole and can be run again."""
    known = migrations(empty_engine.dialect)
    broken = known[-1]._replace(number=known[-1].number + 1, text="create table half (n integer);\nnonsense;\n")
    monkeypatch.setattr("lineshaft.store.migrate.migrations", lambda _: [*known, broken])
    with pytest.raises(Exception, match="syntax error"):
        migrate(empty_engine)
    monkeypatch.undo()
    assert version(empty_engine) == 0
    assert migrate(empty_engine) == known


def test_missing_schema_is_named(empty_engine: Engine) -> None:
    """Using a store before its migration fails in one line that says what to run."""
    with pytest.raises(SchemaError, match=r"^the store's schema is missing .* run 'lineshaft migrate'$"):
        store_rows(empty_engine, new_row())


def test_several_processes_use_a_new_store_at_once(
    empty_engine: Engine, empty_address: str, child: Callable[..., Child]
) -> None:
    """Of processes that use a new store at the same moment one migrates, and all can store jobs."""
    processes = [child(FIRST_USE, empty_address) for _ in range(3)]
    for one in processes:
        assert one.line() == "ready"
    for one in processes:
        one.say("go")
    applied = [re.findall(r"\d+", one.line()) for one in processes]
    assert sorted(map(len, applied)) == [0, 0, newest(empty_engine.dialect)]
    assert [one.end() for one in processes] == ["", "", ""]
    assert empty_engine.read(lambda tx: inspect.count_jobs(tx, inspect.Filter())) == 3
