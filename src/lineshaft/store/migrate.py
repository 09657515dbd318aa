"""Creating and upgrading the schema by numbered SQL files."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, Final, NamedTuple

from lineshaft.engines.base import Dialect, Engine, MigrationTx, Tx
from lineshaft.errors import SchemaError
from lineshaft.store.queries import Statements

SQL: Final = Statements("migrate")

_FILE: Final = re.compile(r"(\d{4})_(\w+)\.(sqlite|postgres)\.sql")


class Migration(NamedTuple):
    """One numbered step of the schema."""

    number: int
    name: str
    text: str

    @property
    def is_additive(self) -> bool:
        """Whether code that does not know it goes on beside it: its file says so in its first line."""
        return self.text.startswith("-- additive:")


def migrations(dialect: Dialect) -> list[Migration]:
    """Return the migrations of a dialect, in order."""
    found = []
    for file in resources.files("lineshaft.store.migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and match[3] == dialect:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return sorted(found)


def newest(dialect: Dialect) -> int:
    """Return the number of the newest migration that this code knows."""
    return migrations(dialect)[-1].number


def version(engine: Engine) -> int:
    """Return the number of the last migration that the store has had; 0 when it has no schema."""
    return engine.read(_version) if engine.has_schema() else 0


def born_at(tx: Tx) -> int:
    """Return when the store was made, in microseconds since the epoch; a copy of its database says the same."""
    return int(tx.run(SQL.born_at, {})[0][0])


def migrate(engine: Engine) -> list[Migration]:
    """Bring the store's schema up to this code's and return what was applied.

    Safe when several processes do it at once. Raises `SchemaError` when the store is newer than the code.
    """
    with engine.migrating() as tx:
        _create_ledger(tx)
        _refuse_newer(engine, tx)
        return upgrade(tx, engine.clock.now())


def upgrade(tx: MigrationTx, now: int) -> list[Migration]:
    """Bring a schema that is not newer than this code up to date and return what was applied; nobody else may."""
    _create_ledger(tx)
    done = _version(tx)
    pending = [one for one in migrations(tx.dialect) if one.number > done]
    for one in pending:
        tx.run_script(one.text)
        tx.run(SQL.record_migration, {**_ledger_row(one), "now": now})
    return pending


def refuse_newer(engine: Engine, done: int) -> None:
    """Raise `SchemaError` when the store's schema, at `done`, is newer than this code by more than additions."""
    if done > newest(engine.dialect):
        engine.read(lambda tx: _refuse_newer(engine, tx))


def refuse_other(engine: Engine) -> None:
    """Raise `SchemaError` when the store has no schema, or another one than this code's, by whatever it differs."""
    done, known = version(engine), newest(engine.dialect)
    if done == 0:
        msg = f"{engine.address} holds no Lineshaft store; check the address"
        raise SchemaError(msg)
    if done < known:
        msg = f"{engine.address} has schema {done}, this code needs {known}; run 'lineshaft migrate'"
        raise SchemaError(msg)
    if done > known:
        msg = f"{engine.address} has schema {done}, this code knows up to {known}; upgrade Lineshaft here"
        raise SchemaError(msg)


def _refuse_newer(engine: Engine, tx: Tx) -> None:
    known = newest(engine.dialect)
    if int(tx.run(SQL.last_not_additive, {})[0][0]) > known:
        msg = (
            f"the store {engine.address} has schema {_version(tx)}, this version of Lineshaft knows up to {known}; "
            "upgrade Lineshaft here, or restore a backup that this version wrote"
        )
        raise SchemaError(msg)


def _ledger_row(one: Migration) -> dict[str, Any]:
    return {"number": one.number, "name": one.name, "is_additive": one.is_additive}


def _create_ledger(tx: MigrationTx) -> None:
    for part in (SQL.create_ledger.sqlite if tx.dialect == "sqlite" else SQL.create_ledger.postgres).parts:
        tx.run_script(part + ";")


def _version(tx: Tx) -> int:
    return int(tx.run(SQL.schema_version, {})[0][0])
