"""New, empty stores to be loaded: files of a temporary folder, or schemas of a temporary PostgreSQL server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from lineshaft.app.store import open_engine
from lineshaft.config import parse_store
from lineshaft.engines.base import Engine
from lineshaft.store.migrate import migrate
from tools.temporary_postgres import TemporaryPostgres

Kind = Literal["sqlite", "postgres"]
KINDS: Final[tuple[Kind, ...]] = ("sqlite", "postgres")
TITLES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


class LoadedStore:
    """A store with its schema; `address` is for other processes."""

    def __init__(self, address: str, *, is_empty: bool = False) -> None:
        self.address = address
        self.engine: Engine = open_engine(parse_store(address))
        if not is_empty:
            migrate(self.engine)

    def close(self) -> None:
        """Close the connections."""
        self.engine.close()


@contextmanager
def new_stores(kind: Kind, *, is_empty: bool = False) -> Iterator[Callable[[str], LoadedStore]]:
    """Give a factory of stores by name, with a schema unless `is_empty`; they are gone after the block."""
    opened: list[LoadedStore] = []

    def new(name: str) -> LoadedStore:
        opened.append(LoadedStore(address_of(name), is_empty=is_empty))
        return opened[-1]

    with tempfile.TemporaryDirectory(prefix="lineshaft-load-") as folder:
        if kind == "sqlite":
            address_of = f"sqlite:///{Path(folder).resolve()}/{{}}.db".format
            yield from _lend(new, opened)
        else:
            with TemporaryPostgres() as server:
                address_of = f"{server.url}?schema={{}}".format
                yield from _lend(new, opened)


def _lend(new: Callable[[str], LoadedStore], opened: list[LoadedStore]) -> Iterator[Callable[[str], LoadedStore]]:
    try:
        yield new
    finally:
        for store in opened:
            store.close()
