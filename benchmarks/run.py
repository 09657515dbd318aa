"""Run `lineshaft bench` on a new SQLite file and on a new PostgreSQL server, one after the other.

Arguments are handed on to `lineshaft bench`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tools.temporary_postgres import PostgresMissingError, TemporaryPostgres


def main(arguments: list[str]) -> int:
    """Measure both engines; 0 when both runs succeeded."""
    with tempfile.TemporaryDirectory(prefix="lineshaft-bench-") as folder:
        sqlite = _bench(f"sqlite:///{Path(folder, 'bench.db')}", arguments)
    return sqlite or _bench_postgres(arguments)


def _bench_postgres(arguments: list[str]) -> int:
    try:
        server = TemporaryPostgres()
    except PostgresMissingError as missing:
        print(f"bench: PostgreSQL was not measured: {missing}", file=sys.stderr)
        return 1
    with server:
        return _bench(server.url, arguments)


def _bench(store: str, arguments: list[str]) -> int:
    command = [sys.executable, "-m", "lineshaft", "--store", store, "bench", *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
