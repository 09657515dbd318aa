"""What jobs note while they are measured: which job began or ended, and when, on a clock all processes share.

A mark is written into a memory-mapped file of the thread that runs the job, in the folder `$BENCH_MARKS`. That costs
about half a microsecond, asks no system call, and outlives a SIGKILL: the page is the system's, not ours. Threads share
nothing: behind a lock they would queue up, and systems that run jobs in threads would be measured too slow. A full file
is followed by another one, and a forked child begins its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap
from pathlib import Path
from typing import Final

CAPACITY: Final = 65_536
"""Marks in one file; the file is sparse until they are written."""
WORD_BYTES: Final = 8
RECORD_WORDS: Final = 3
"""Number of the job, nanoseconds of CLOCK_MONOTONIC, kind."""
GATE_POLL_SECONDS: Final = 0.01


class Kind(IntEnum):
    """What a mark says of its job; also the place of its counter at the head of the file."""

    START = 0
    END = 1


HEAD_WORDS: Final = len(Kind)
"""The counters: how many marks of each kind follow."""
FILE_WORDS: Final = HEAD_WORDS + CAPACITY * RECORD_WORDS


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """One note of one job: sorts by time."""

    at_ns: int
    number: int
    kind: Kind
    pid: int


class Journal:
    """The marks that one thread writes.

    Args:
        folder: Where its files go; it exists.
    """

    _words: memoryview[int]
    _next: int

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begin_file()

    def note(self, number: int, kind: int) -> None:
        """Write a mark; the counter follows it, so that a reader never counts what it cannot read."""
        words, place = self._words, self._next
        words[place] = number
        words[place + 1] = time.monotonic_ns()
        words[place + 2] = kind
        words[kind] += 1
        self._next = place + RECORD_WORDS
        if self._next == FILE_WORDS:
            self._begin_file()

    def _begin_file(self) -> None:
        with (self._folder / f"{os.getpid()}-{uuid.uuid4().hex}").open("x+b") as file:
            file.truncate(FILE_WORDS * WORD_BYTES)
            self._words = memoryview(mmap(file.fileno(), FILE_WORDS * WORD_BYTES)).cast("q")
        self._next = HEAD_WORDS


class _Mine(threading.local):
    """What belongs to each thread alone."""

    journal: Journal | None = None


_mine = _Mine()


def note(number: int) -> None:
    """Note that the job of this number began, in the folder that `$BENCH_MARKS` names."""
    (_mine.journal or _open_journal()).note(number, 0)


def hold(number: int) -> None:
    """Note a start, wait until somebody opened the gate (the file `open` in the folder), note the end."""
    note(number)
    while not _gate_is_open():
        time.sleep(GATE_POLL_SECONDS)
    _open_journal().note(number, Kind.END)


async def ahold(number: int) -> None:
    """Do what `hold` does without blocking the event loop."""
    note(number)
    while not _gate_is_open():  # noqa: ASYNC110 - the gate is opened by another process: there is no event to wait for
        await asyncio.sleep(GATE_POLL_SECONDS)
    _open_journal().note(number, Kind.END)


def open_gate(folder: Path) -> None:
    """Let every held job of this folder go on, those to come too."""
    (folder / "open").touch()


def read(folder: Path) -> list[Mark]:
    """Return all marks of all processes, by time."""
    return sorted(mark for file in _files(folder) for mark in _read_file(file))


def count(folder: Path, kind: Kind = Kind.START) -> int:
    """Return how many marks of a kind there are; reads one number a file, cheap enough to poll."""
    return sum(_read_counters(file)[kind] for file in _files(folder))


def _open_journal() -> Journal:
    journal = _mine.journal = _mine.journal or Journal(Path(os.environ["BENCH_MARKS"]))
    return journal


def _forget_journal() -> None:
    """Begin anew in a forked child, which has the one thread that forked: the parent's file is not the child's."""
    _mine.journal = None


os.register_at_fork(after_in_child=_forget_journal)


def _gate_is_open() -> bool:
    return Path(os.environ["BENCH_MARKS"], "open").exists()


def _files(folder: Path) -> Iterator[Path]:
    return folder.glob("[0-9]*-*")


def _read_file(file: Path) -> Iterator[Mark]:
    pid = int(file.name.partition("-")[0])
    words = array("q", file.read_bytes())
    end = HEAD_WORDS + sum(words[:HEAD_WORDS]) * RECORD_WORDS
    for place in range(HEAD_WORDS, end, RECORD_WORDS):
        yield Mark(words[place + 1], words[place], Kind(words[place + 2]), pid)


def _read_counters(file: Path) -> Sequence[int]:
    with file.open("rb", buffering=0) as stream:
        # A file that was made this moment has no length yet, and so no marks.
        return array("q", stream.read(HEAD_WORDS * WORD_BYTES)) or (0,) * HEAD_WORDS
