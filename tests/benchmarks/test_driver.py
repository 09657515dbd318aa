from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import driver

PEER = """
stored = []

def prepare():
    print("a peer may print what it likes")

def enqueue(task, number):
    stored.append((task, number))

def worker_commands(processes, slots, variant):
    return [["worker", variant, str(slots)]] * processes

def finished():
    if not stored:
        raise LookupError("nothing was stored\\nin two lines")
    return len(stored)
"""
BULK = """
def enqueue_many(task, numbers):
    calls.append(len(numbers))
    stored.extend((task, number) for number in numbers)

calls = []
"""
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    (tmp_path / "peer_some.py").write_text(PEER)
    with subprocess.Popen(
        [sys.executable, driver.__file__, "peer_some"],
        env={"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert json.loads(process.stdout.readline()) == {"ready": True}

        def ask(what: str, **fields: Any) -> dict[str, Any]:
            process.stdin.write(json.dumps({"do": what} | fields) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield ask
        process.stdin.close()


def test_what_a_peer_prints_is_no_answer(ask: Ask) -> None:
    """A peer that prints to standard output does not disturb the answers."""
    assert ask("prepare") == {}
    assert ask("commands", processes=2, slots=8, variant="v") == {"commands": [["worker", "v", "8"]] * 2}


def test_each_single_enqueue_is_timed(ask: Ask) -> None:
    """A count of jobs is stored one by one, with a time for each call."""
    took = ask("single", task="noop", first=0, count=50, seconds=10)["took_ns"]
    assert len(took) == 50
    assert min(took) > 0
    assert ask("finished") == {"finished": 50}


def test_single_enqueue_ends_in_time(ask: Ask) -> None:
    """When the time is up no more jobs are stored, however many were asked for."""
    took = ask("single", task="noop", first=0, count=100_000_000, seconds=0.01)["took_ns"]
    assert ask("finished") == {"finished": len(took)}


def test_without_a_bulk_call_jobs_are_stored_one_by_one(ask: Ask) -> None:
    """A fill works for every peer and tells how many it stored."""
    assert ask("bulk", task="noop", first=0, count=2_500, seconds=10)["count"] == 2_500
    assert ask("finished") == {"finished": 2_500}


def test_a_failure_is_answered_and_the_client_goes_on(ask: Ask) -> None:
    """What a peer raises comes back as text, and the next request is answered."""
    assert ask("finished") == {"error": "LookupError: nothing was stored\nin two lines"}
    sent = ask("send", task="noop", number=1)
    assert sent["at_ns"] > 0
    assert ask("finished") == {"finished": 1}


def test_bulk_goes_in_thousands_until_the_time_is_up() -> None:
    """The peer's own bulk call gets 1,000 jobs at a time, the last one the rest, none after the time is up."""
    peer: dict[str, Any] = {}
    exec(PEER + BULK, peer)  # noqa: S102 - the text above
    client = driver.Client(type("Peer", (), {"enqueue_many": staticmethod(peer["enqueue_many"])}))
    assert client.bulk("noop", 0, 2_500, 10)["count"] == 2_500
    assert peer["calls"] == [1_000, 1_000, 500]
    assert client.bulk("noop", 0, 2_500, 0)["count"] == 1_000
