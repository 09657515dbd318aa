"""`lineshaft chaos`: kills workers on purpose, reports, and refuses where that would hurt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lineshaft.testing.fleet import hosts_of

_HERE = Path(__file__).parent


def chaos(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command on the shop's app."""
    environment = {**os.environ, "PYTHONPATH": str(_HERE)}
    environment.pop("COVERAGE_PROCESS_CONFIG", None)
    command = [sys.executable, "-m", "lineshaft", "--app", "shop:app", "chaos", *options]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(150)
def test_it_reports_what_happened(shop: ModuleType) -> None:
    """Workers were killed and replaced, every job came to its end all the same, and the seed is told."""
    jobs = shop.note.enqueue_many(list(range(200)))
    ran = chaos("--seed", "7", "--rate", "0.05", "--for", "4s", "--json")
    assert ran.returncode == 0, ran.stderr
    assert "to repeat them: --seed 7" in ran.stderr
    report = json.loads(ran.stdout)
    assert report["seed"] == 7
    assert report["jobs"] == {"completed": 200}
    assert report["unfinished"] == 0
    assert report["faults"]["start"] > 2
    assert report["faults"].keys() & {"kill", "pause", "stop"}
    assert all(job.refresh().state == "completed" for job in jobs)


def test_workers_that_cannot_start_are_told(shop: ModuleType) -> None:
    """When no worker stays up, nobody waits for jobs that nobody runs: the command ends with what the last one said."""
    shop.note.enqueue(1)
    ran = chaos("--seed", "7", "--for", "1s", "--queues", "default:none")
    assert ran.returncode != 0
    assert "the workers without faults ended with exit codes" in ran.stderr


def test_a_store_elsewhere_is_refused(shop: ModuleType) -> None:
    """Without `--yes`, and without a terminal to ask on, another machine's store is left alone."""
    ran = chaos("--store", "postgresql://db.example/shop")
    assert ran.returncode == 2
    assert "is not on this machine" in ran.stderr
    assert "--yes" in ran.stderr


def test_a_store_in_memory_is_refused(shop: ModuleType) -> None:
    """A store in memory would end with the first worker that is killed."""
    ran = chaos("--store", "memory://")
    assert ran.returncode == 2
    assert "name a SQLite file" in ran.stderr


@pytest.mark.parametrize(
    "store, hosts",
    [
        ("postgresql:///shop", [""]),
        ("postgresql://app:secret@localhost:5432/shop", ["localhost"]),
        ("postgresql://[::1]:5432/shop", ["::1"]),
        ("postgresql://a,db.example:5433/shop", ["a", "db.example"]),
        ("postgresql:///shop?host=/run/postgresql", ["/run/postgresql"]),
        ("postgresql://localhost/shop?host=db.example,localhost", ["db.example", "localhost"]),
    ],
)
def test_hosts_are_found(store: str, hosts: list[str]) -> None:
    """Every host that libpq may connect to is seen, wherever the address names it."""
    assert hosts_of(store) == hosts
