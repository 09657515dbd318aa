"""A virtual environment for each peer, kept between runs, brought up to the newest releases once a day."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.harness.peers import Peer
from benchmarks.harness.processes import last_line

CACHE: Final = Path(__file__).parents[2] / ".cache" / "benchmarks"
INSTALL_SECONDS: Final = 300
_FRESH_SECONDS: Final = 24 * 3600
_NEWEST_MINOR: Final = 15


class SetUpError(Exception):
    """A peer cannot be measured here; the message says why, in one line."""


def python_of(peer: Peer, cache: Path = CACHE) -> Path:
    """Return the interpreter that has the peer's packages; raises `SetUpError`."""
    if peer.is_ours:
        return Path(sys.executable)
    folder = cache / "environments" / peer.name
    python, stamp = folder / "bin" / "python", folder / "installed.json"
    if not _is_fresh(stamp, peer):
        if not python.exists() or _version(str(python)) < peer.python:
            subprocess.run([_interpreter(peer), "-m", "venv", "--clear", folder], check=True, capture_output=True)
        _install(python, peer)
        stamp.write_text(json.dumps(peer.packages))
    return python


def _interpreter(peer: Peer) -> str:
    """Return this Python, or another of the machine where this one is too old; raises `SetUpError`."""
    for candidate in _interpreters():
        if _version(candidate) >= peer.python:
            return candidate
    wanted = ".".join(map(str, peer.python))
    msg = f"{peer.title} needs Python {wanted} or newer, and this machine has none on its PATH or under pyenv"
    raise SetUpError(msg)


def _interpreters() -> Iterator[str]:
    yield sys.executable
    on_path = (shutil.which(f"python3.{minor}") for minor in range(_NEWEST_MINOR, sys.version_info.minor, -1))
    yield from filter(None, on_path)
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    yield from map(str, sorted(versions.glob("3.*/bin/python3"), reverse=True))


def _version(python: str) -> tuple[int, int]:
    """Return the version of an interpreter; (0, 0) of one that does not run, as pyenv's shims may not."""
    command = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    major, minor = map(int, told.stdout.split()) if told.returncode == 0 else (0, 0)
    return major, minor


def _is_fresh(stamp: Path, peer: Peer) -> bool:
    if not stamp.exists() or time.time() - stamp.stat().st_mtime > _FRESH_SECONDS:
        return False
    installed: list[str] = json.loads(stamp.read_text())
    return installed == list(peer.packages)


def _install(python: Path, peer: Peer) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--upgrade", "--disable-pip-version-check"]
    try:
        subprocess.run(
            [*command, *peer.packages],
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            env={**os.environ, "PIP_NO_INPUT": "1"},
        )
    except subprocess.CalledProcessError as error:
        msg = f"pip could not install {' '.join(peer.packages)}: {last_line(error.stderr)}"
        raise SetUpError(msg) from error
    except subprocess.TimeoutExpired as error:
        msg = f"pip did not install {' '.join(peer.packages)} within {INSTALL_SECONDS} s"
        raise SetUpError(msg) from error
