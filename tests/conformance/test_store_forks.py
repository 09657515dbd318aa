"""A process that has used a store may fork: parent and child go on with connections of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.store import inspect
from tests.plugins.engines import claim_held, open_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineshaft.engines.base import Engine
    from tests.plugins.engines import Child

PRELUDE = """
import os, threading
from tests.plugins.engines import claim_held, new_row, open_engine, store_rows
engine = open_engine(sys.argv[1])
store_rows(engine, new_row(name='before'))
"""
INTERLEAVED = (
    PRELUDE
    + """
to_child, to_parent = os.pipe(), os.pipe()
if not os.fork():
    for _ in range(3):
        os.read(to_child[0], 1)
        store_rows(engine, new_row(name='child'))
        os.write(to_parent[1], b'x')
    os._exit(0)
for _ in range(3):
    store_rows(engine, new_row(name='parent'))
    os.write(to_child[1], b'x')
    os.read(to_parent[0], 1)
assert os.wait()[1] == 0
store_rows(engine, new_row(name='after'))
engine.close()
print('done', flush=True)
"""
)
# The parent's close finds nobody else on a SQLite file unless the child holds locks of its own.
ORPHANED = (
    PRELUDE
    + """
if os.fork():
    engine.close()
    print('parent closed', flush=True)
    os._exit(0)
store_rows(engine, new_row(name='child'))
print('child stored', flush=True)
sys.stdin.readline()
store_rows(engine, new_row(name='late'))
print('child stored again', flush=True)
os._exit(0)
"""
)
BUSY = (
    PRELUDE
    + """
stop, wrote = threading.Event(), threading.Semaphore(0)
def write():
    while not stop.is_set():
        store_rows(engine, new_row(name='thread'))
        wrote.release()
threads = [threading.Thread(target=write) for _ in range(3)]
for one in threads: one.start()
for _ in range(5):
    wrote.acquire()
    pid = os.fork()
    if not pid:
        store_rows(engine, new_row(name='child'))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for one in threads: one.join()
engine.close()
print('done', flush=True)
"""
)


def names(engine: Engine) -> list[str]:
    found = engine.read(lambda tx: inspect.list_jobs(tx, inspect.Filter(), limit=100_000, cursor=None))
    return sorted(row.name for row in found)


def test_parent_and_child_write_in_turn(durable_engine: Engine, address: str, child: Callable[..., Child]) -> None:
    """After a fork both processes write, neither disturbs the other, and everything is kept."""
    process = child(INTERLEAVED, address)
    assert process.line() == "done"
    assert process.end() == ""
    assert names(durable_engine) == ["after", "before", *["child"] * 3, *["parent"] * 3]


def test_child_loses_nothing_when_its_parent_closes(sqlite_engine: Engine, child: Callable[..., Child]) -> None:
    """What a forked child stored after its parent closed the store is seen by other processes."""
    sqlite_engine.close()
    process = child(ORPHANED, sqlite_engine.address)
    assert {process.line(), process.line()} == {"parent closed", "child stored"}
    other = open_engine(sqlite_engine.address)
    assert "child" in names(other)
    other.close()
    process.say("go on")
    assert process.line() == "child stored again"
    assert names(sqlite_engine) == ["before", "child", "late"]


def test_fork_beside_writing_threads(durable_engine: Engine, address: str, child: Callable[..., Child]) -> None:
    """A fork while other threads write harms neither them nor the child."""
    process = child(BUSY, address)
    assert process.line() == "done"
    assert process.end() == ""
    assert names(durable_engine).count("child") == 5


def test_store_in_memory_starts_empty_in_a_child(child: Callable[..., Child]) -> None:
    """A store in memory is its process's own: a child has a new one without a schema."""
    process = child(
        PRELUDE.replace("store_rows(engine, new_row(name='before'))", "")
        + """
from lineshaft.store.migrate import migrate, version
migrate(engine)
if not os.fork():
    print('child', version(engine), flush=True)
    os._exit(0)
os.wait()
print('parent', version(engine) > 0, flush=True)
""",
        "memory://",
    )
    assert [process.line(), process.line()] == ["child 0", "parent True"]


def test_jobs_of_both_are_claimed_once(durable_engine: Engine, address: str, child: Callable[..., Child]) -> None:
    """Jobs that parent and child stored can be claimed, each once."""
    child(INTERLEAVED, address).end()
    assert len({one.id for one in claim_held(durable_engine, limit=100)}) == 8
