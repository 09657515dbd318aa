"""Two stores: one with something in every table, and an empty one to move it to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from lineshaft.store.finish import LogLines, save_logs
from lineshaft.transitions import Complete
from tests.plugins.contents import fill
from tests.plugins.engines import NOW, claim_held, finish, new_row, open_engine, store_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lineshaft.engines.base import Engine
    from lineshaft.transitions import State
    from tests.plugins.engines import MakeJob

BULK = 1_600


@dataclass(frozen=True)
class Full:
    """A store with a job in each state, a queue of each kind, logs and a unique key."""

    engine: Engine
    address: str
    jobs: dict[State, str]

    def add_bulk(self) -> None:
        """Add some thousands of jobs, half of them finished, a sixth with logs."""
        rows = [new_row(meta=f'{{"n": {number}}}') for number in range(BULK)]
        store_rows(self.engine, *rows)
        held = claim_held(self.engine, limit=BULK // 2)
        logs = [LogLines(one, '{"it": "ran"}') for one in held[: BULK // 6]]
        self.engine.write(lambda tx: save_logs(tx, logs, now=NOW))
        finish(self.engine, *(Complete(one, '"ü"') for one in held))


@pytest.fixture
def full(durable_engine: Engine, address: str, make_job: MakeJob) -> Full:
    """A store with something in every table, on each engine in turn; a worker that is gone held two of its jobs."""
    return Full(durable_engine, address, fill(durable_engine, make_job))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that is not there yet, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    found: str = request.getfixturevalue("other_postgres_url")
    return found


@pytest.fixture
def empty(empty_address: str) -> Iterator[Engine]:
    """The store of `empty_address`."""
    engine = open_engine(empty_address)
    yield engine
    engine.close()
