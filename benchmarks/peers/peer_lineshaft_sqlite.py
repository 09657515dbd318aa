"""Lineshaft on SQLite, measured as any other peer."""

from __future__ import annotations

import os

import lineshaft_apps
from lineshaft_apps import enqueue, enqueue_many, finished, prepare

__all__ = ["enqueue", "enqueue_many", "finished", "prepare", "worker_commands"]

TITLE = "Lineshaft"
PACKAGES = ()  # none to install: the repository's own environment has it
STORE = "SQLite"
KEEPS_RESULT = True
SETTINGS = "WAL, synchronous=NORMAL; 10 slots, the default"
VARIANTS = ("threads", "async")
DRAIN_SLOTS = {"threads": 10, "async": 10}

STORE_URL = f"sqlite:///{os.environ['BENCH_FOLDER']}/lineshaft.db"
lineshaft_apps.use(STORE_URL)


def worker_commands(processes: int, slots: int, variant: str) -> list[list[str]]:
    """Return the one command that runs all worker processes."""
    return lineshaft_apps.worker_commands(STORE_URL, processes, slots, variant)
