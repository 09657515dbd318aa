"""Where a run took place: what a reader needs to know to compare."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

import psutil
import psycopg

from benchmarks.harness.servers import redis_version
from tools.temporary_postgres import PostgresMissingError, server_version


def describe() -> dict[str, str]:
    """Return processor, memory, system and versions."""
    return {
        "CPU": processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _postgres_version(),
        "psycopg": psycopg.__version__,
        "Redis": redis_version(),
    }


def processor() -> str:
    """Return how many cores of which kind there are."""
    return f"{os.cpu_count()} cores, {_cpu_model()}"


def _postgres_version() -> str:
    try:
        return server_version()
    except PostgresMissingError:
        return "not installed"


def _cpu_model() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
