"""`top` on a terminal: what it shows, how it fits, and that it leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyte
import pytest

from lineshaft.cli.top.observer import Observer
from lineshaft.cli.top.screen import View, draw, spark
from lineshaft.cli.top.snapshot import QueueView, Rates, Snapshot, WorkerView
from lineshaft.clock import SECOND
from tests.cli.conftest import LIMIT_SECONDS
from tests.plugins.apps import eventually, unmeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lineshaft import Lineshaft
    from lineshaft.engines.base import Engine
    from tests.cli.conftest import Ran
    from tests.plugins.engines import MakeJob
    from tools.temporary_postgres import TemporaryPostgres

QUIET = Rates(0.0, 0.0, 0.0)


class Top:
    """A running `lineshaft top` on a terminal, and the screen that it has drawn."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 24) -> None:
        self._ours, its = pty.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._news = threading.Condition()
        self.raw = b""
        self._size(its, columns, lines)
        self.before = termios.tcgetattr(its)
        self._its = its
        sizes = ("COLUMNS", "LINES")  # these would beat the terminal's own
        environment = {name: value for name, value in unmeasured().items() if name not in sizes}
        environment["TERM"] = "xterm-256color"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lineshaft", "top", *arguments],
            stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _size(self, terminal: int, columns: int, lines: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65_536)
            except OSError:
                return
            with self._news:
                self.raw += piece
                self._stream.feed(piece)
                self._news.notify_all()

    @property
    def lines(self) -> list[str]:
        """The screen, without the spaces at the ends of its lines."""
        return [line.rstrip() for line in self._screen.display]

    def shows(self, pattern: str) -> str:
        """Wait until a line matches and return it; fails the test when none does."""
        deadline = time.monotonic() + LIMIT_SECONDS
        with self._news:
            while True:
                for line in self.lines:
                    if re.search(pattern, line):
                        return line
                assert self._news.wait(deadline - time.monotonic()), f"no line with {pattern!r} in {self.lines}"

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as its window does."""
        with self._news:
            self._screen.resize(lines, columns)
            self._screen.reset()
        self._size(self._ours, columns, lines)
        os.kill(self.process.pid, signal.SIGWINCH)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """Wait for the end, check that the terminal is as it was, and return the exit code."""
        code = self.process.wait(LIMIT_SECONDS)
        assert termios.tcgetattr(self._its) == self.before
        with self._news:
            came = self._news.wait_for(lambda: b"\x1b[?1049l" in self.raw, LIMIT_SECONDS)
        assert came, "the other screen was left up"
        assert self.raw.rstrip().endswith((b"\x1b[?25h", b"\x1b[?1049l"))
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._its)
        self._reader.join(LIMIT_SECONDS)
        os.close(self._ours)


@pytest.fixture
def top() -> Iterator[Callable[..., Top]]:
    """Starts `lineshaft top` on terminals, which end with the test."""
    started: list[Top] = []

    def start(*arguments: str, **size: int) -> Top:
        started.append(Top(*arguments, **size))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_it_shows_queues_workers_and_rates(
    top: Callable[..., Top], store: Lineshaft, address: str, make_job: MakeJob
) -> None:
    """Jobs that run through a worker are seen as they come and go, in a terminal of 80 by 24."""

    @store.task(name="shop.render", queue="pdf")
    def render(number: int) -> int:
        return 1 // (number % 2)

    make_job(queue="mail")
    store.queues.pause("mail")
    running = top("--store", address, "--interval", "0.2s")
    running.shows(r"^mail +paused +1 ")
    running.shows("^no workers")
    with store.worker({"pdf": 3}):
        running.shows(r"^\d+ +\S+ +\d+ +running +\d/3 ")
        store.enqueue_many([render.new(number) for number in range(40)])
        running.shows(r"^finished +[1-9]")
        running.shows(r"^failed +[1-9]")
    running.shows("^no workers")
    assert running.shows("q quit").startswith("q quit  space freeze  s sort: name")
    running.type("q")
    assert running.end() == 0


@pytest.mark.parametrize("end, code", [("q", 0), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_terminal_is_left_as_it_was(
    top: Callable[..., Top], store: Lineshaft, address: str, end: str | signal.Signals, code: int
) -> None:
    """However it ends, keys echo again, the cursor shows and the other screen is gone."""
    store.queues.pause("pdf")
    running = top("--store", address)
    running.shows("^pdf")
    assert termios.tcgetattr(running._its) != running.before
    if isinstance(end, str):
        running.type(end)
    else:
        running.process.send_signal(end)
    assert running.end() == code
    assert b"Traceback" not in running.raw


def test_it_follows_the_size_of_the_terminal(top: Callable[..., Top], store: Lineshaft, address: str) -> None:
    """A smaller window shows fewer queues and says how many more there are; a larger one shows them all."""
    for number in range(30):
        store.queues.pause(f"queue-{number:02}")
    running = top("--store", address, "--interval", "1h")
    running.shows(r"^\+\d+ more queues")
    assert running.shows("^queue-00")
    running.resize(200, 60)
    running.shows("^queue-29")
    assert not any("more queues" in line for line in running.lines)
    running.resize(60, 12)
    running.shows(r"^\+\d+ more queues")
    running.type("q")
    assert running.end() == 0


def test_keys(top: Callable[..., Top], store: Lineshaft, address: str, make_job: MakeJob) -> None:
    """`s` sorts, space freezes until it is pressed again, arrows do nothing."""
    make_job(queue="zebra")
    store.queues.pause("ant")
    running = top("--store", address, "--interval", "0.2s")
    running.shows("^ant")
    running.type("s")
    running.shows("sort: waiting")
    names = [line.split()[0] for line in running.lines if re.match("ant|zebra", line)]
    assert names == ["zebra", "ant"]
    running.type("\x1b[A")
    running.type(" ")
    running.shows("frozen at")
    store.queues.pause("bear")
    running.type(" ")
    running.shows("^bear")
    assert not any("frozen" in line for line in running.lines)
    running.type("Q")
    assert running.end() == 0


def test_it_outlives_an_outage(
    top: Callable[..., Top], own_postgres_server: Callable[..., TemporaryPostgres], call: Callable[..., Ran]
) -> None:
    """While the server is away the last figures stay, with since when; when it is back, it goes on."""
    server = own_postgres_server()
    assert call("queues", "pause", "pdf", "--store", server.url).code == 0
    running = top("--store", server.url, "--interval", "0.2s")
    running.shows("^pdf +paused")
    server.stop("immediate")
    running.shows(r"the store does not answer since \d\d:\d\d:\d\d UTC$")
    assert running.shows("^pdf +paused")
    server.start()
    assert call("queues", "pause", "mail", "--store", server.url).code == 0
    running.shows("^mail +paused")
    assert not any("does not answer" in line for line in running.lines)
    running.type("q")
    assert running.end() == 0


def test_it_ends_while_the_store_hangs(top: Callable[..., Top], own_postgres_server: Callable[..., Any]) -> None:
    """A server that says nothing holds up neither the keys nor the end."""
    server = own_postgres_server()
    subprocess.run([sys.executable, "-m", "lineshaft", "migrate", "--store", server.url], check=True)
    running = top("--store", server.url, "--interval", "0.2s")
    running.shows("^no queues")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        backends = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == server.pid]  # noqa: PTH208
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        running.type("q")
        assert running.end() == 0
    finally:
        for pid in (server.pid, *backends):
            os.kill(pid, signal.SIGCONT)


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_without_a_terminal_it_prints_once(call: Callable[..., Ran], store: Lineshaft, address: str) -> None:
    """In a pipe, and with `--once`, one snapshot is printed in plain text."""
    store.queues.pause("pdf")
    for given in ((), ("--once",)):
        ran = call("top", *given, "--store", address)
        assert ran.code == 0
        lines = ran.out.splitlines()
        assert lines[1] == "enqueued 0/s  finished 0/s  failed 0/s"
        assert lines[2].split() == ["queue", "state", "waiting", "sched", "retry", "run", "in/s", "out/s", "oldest",
                                    "failed/s"]  # fmt: skip
        assert lines[3].split()[:3] == ["pdf", "paused", "0"]


def test_wrong_use(call: Callable[..., Ran], address: str) -> None:
    """It refuses to ask faster than five times a second, and a store that is none."""
    assert "--interval must be 0.2s or more" in call("top", "--interval", "10ms", "--store", address).complaint
    assert "holds no Lineshaft store" in call("top", "--store", "sqlite:///empty.db").complaint


# --- how it counts ---------------------------------------------------------------------------------------------------


def test_the_cost_does_not_grow(engine: Engine, make_job: MakeJob) -> None:
    """A look runs six statements, however many queues there are."""
    for number in range(5):
        make_job(queue=f"queue-{number}")
    statements: list[str] = []

    class Counting:
        """A transaction that notes what runs in it."""

        def __init__(self, tx: Any) -> None:
            self.tx, self.dialect = tx, tx.dialect

        def run(self, statement: Any, params: Any, rows: Any = None) -> Any:
            statements.append(statement.name)
            return self.tx.run(statement, params, rows)

    observer = Observer(engine, 3 * SECOND)
    engine.read(lambda tx: observer._ask(Counting(tx)))
    assert statements == [
        "list_heads", "count_ready", "count_due", "list_queues", "list_workers", "enqueued_total",
    ]  # fmt: skip


def test_rates_are_those_between_two_looks(store: Lineshaft, durable_engine: Engine) -> None:
    """What a worker ended between two heartbeats, by queue, and what came meanwhile."""

    @store.task(name="shop.render", queue="pdf", retry=None)
    def render(number: int) -> None:
        if number < 3:
            raise ValueError(number)

    observer = Observer(durable_engine, 3 * SECOND)
    with store.worker({"pdf": 2}):
        observer.look()
        store.enqueue_many([render.new(number) for number in range(10)])
        seen = []
        eventually(lambda: seen.append(observer.look()) or seen[-1].rates.finished)
        [pdf] = seen[-1].queues
        assert pdf.rate_out == pytest.approx(seen[-1].rates.finished)
        assert seen[-1].rates.failed is not None
        assert 0 < seen[-1].rates.failed < seen[-1].rates.finished
        assert (pdf.waiting, pdf.running, pdf.oldest_seconds, pdf.is_partial) == (0, 0, None, False)
        [worker] = seen[-1].workers
        assert (worker.slots, worker.busy, worker.queues, worker.state) == (2, 0, ["pdf"], "running")


def test_a_deep_queue_is_counted_in_part(engine: Engine, monkeypatch: pytest.MonkeyPatch, make_job: MakeJob) -> None:
    """Where counting stops at its limit, the counts are marked as the least that there is, and no rate is made up."""
    monkeypatch.setattr("lineshaft.cli.top.observer._MOST_OF_ONE", 2)
    monkeypatch.setattr("lineshaft.cli.top.observer._LEAST_OF_ONE", 2)
    for _ in range(3):
        make_job()
    observer = Observer(engine, 3 * SECOND)
    observer.look()
    [queue] = observer.look().queues
    assert (queue.waiting, queue.is_partial, queue.rate_in) == (2, True, None)


# --- how it fits -----------------------------------------------------------------------------------------------------


def snapshot(queues: int, workers: int) -> Snapshot:
    """A store with so many queues and workers, with long names."""
    return Snapshot(
        datetime(2026, 11, 23, tzinfo=UTC), "postgresql://app@database.example.org/shop", Rates(1_234.5, 12.0, 0.4),
        [
            QueueView(f"a-long-name-of-a-queue-number-{one:03}", False, 10_000, 12_345, 6_789, 1_000, True, 99_999.0,
                      None, 123.4, 0.0)
            for one in range(queues)
        ],
        [
            WorkerView(one, f"host-{one}.of.a.large.fleet.example.org", 123_456, "10.11.12", "draining", 100, 99, 55.5,
                       0.4, ["a-long-name", "another-long-name"],
                       "next schedule due 2026-11-23 08:00:00+00:00" if one == 1 else None)
            for one in range(workers)
        ],
        1.0,
    )  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (60, 12), (40, 10), (300, 100)])
@pytest.mark.parametrize("counts", [(0, 0), (1, 1), (40, 0), (0, 40), (12, 60), (300, 300)])
def test_it_fits(size: tuple[int, int], counts: tuple[int, int]) -> None:
    """No line is wider than the terminal, there are as many as it has, and every row is shown or counted."""
    width, height = size
    lines = [line.plain for line in draw(snapshot(*counts), [QUIET] * 500, View(), width, height)]
    assert len(lines) == height
    assert max(len(line) for line in lines) <= width
    for count, start, what in ((counts[0], "a-long", "queue"), (counts[1], "", "worker")):
        shown = sum(bool(re.match(start or r"\d+ +host|\d+ +h", line)) for line in lines)
        hidden = sum(int(found[1]) for line in lines if (found := re.match(rf"\+(\d+) more {what}", line)))
        assert shown + hidden == count


def test_the_leader_is_shown_where_there_is_room() -> None:
    """On a wide terminal the worker that leads is told with what it waits for; on 80 columns it gives way."""
    wide, narrow = ([line.plain for line in draw(snapshot(1, 2), [QUIET], View(), width, 24)] for width in (200, 80))
    assert [line for line in wide if line.endswith("next schedule due 2026-11-23 08:00:00+00:00")]
    assert not [line for line in narrow if "next sch" in line]


@pytest.mark.parametrize("width", [80, 200])
def test_what_matters_is_shown_at_80_columns(width: int) -> None:
    """At 80 columns each queue has its counts, rates and age, and each worker its state and slots."""
    lines = [line.plain for line in draw(snapshot(3, 3), [QUIET], View(), width, 24)]
    for head in ("waiting", "sched", "retry", "run", "in/s", "out/s", "oldest", "busy", "heard", "state"):
        assert any(head in line.split() for line in lines)
    assert any(">10,000" in line for line in lines)


def test_sparks_rise_with_the_values() -> None:
    """The highest value fills the line's height, none is none, and only the last that fit are shown."""
    assert spark([0, 1, 2, None, 8], 5) == "▁▂▃▁█"
    assert spark([0.0, 0.0], 5) == "▁▁"
    assert spark(list(range(100)), 3) == "███"
    assert spark([1], 0) == ""
