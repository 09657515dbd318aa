"""A store in memory that is closed under a thread which still uses it."""

from __future__ import annotations

import threading

from lineshaft.engines.sqlite import SqliteEngine

CLOSINGS = 50
LONG = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select count(*) from n"


def test_closing_waits_for_a_statement_under_way() -> None:
    """A thread that outlives its worker never finds its connection closed in the midst of a transaction."""
    engine = SqliteEngine(None)
    begun, is_over, errors = threading.Event(), threading.Event(), list[BaseException]()

    def use() -> None:
        try:
            while not is_over.is_set():
                with engine.transaction() as tx:
                    begun.set()
                    tx.connection.execute(LONG).fetchall()
                    tx.connection.execute("select 1").fetchall()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            errors.append(error)
            begun.set()

    user = threading.Thread(target=use)
    user.start()
    for _ in range(CLOSINGS):
        assert begun.wait(10)
        begun.clear()
        engine.close()
    is_over.set()
    user.join()
    engine.close()
    assert errors == []
