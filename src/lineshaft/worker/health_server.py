"""A small HTTP server that tells a container's probes how the worker is: `/livez` (`/healthz`) and `/readyz`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from lineshaft.errors import LineshaftError
from lineshaft.worker.health import Health

_CHECKS: Final[Mapping[str, Callable[[Health], bool]]] = {
    "/livez": lambda health: health.live,
    "/healthz": lambda health: health.live,
    "/readyz": lambda health: health.is_ready,
}


class HealthServer:
    """Answers 200 or 503, with the health as JSON, from threads of its own.

    Raises `LineshaftError` when the port cannot be had; port 0 takes any free one.
    """

    def __init__(self, host: str, port: int, health: Callable[[], Health]) -> None:
        try:
            self._server = _Server((host, port), _handler(health))
        except OSError as error:
            reason = error.strerror or error
            msg = f"cannot answer health checks on {host} port {port}: {reason}; choose another --health-port"
            raise LineshaftError(msg) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="lineshaft-health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A probe that connects and says nothing must not hold up the end of the process.
    block_on_close = False


def _handler(health: Callable[[], Health]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            self._answer()

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def _answer(self) -> None:
            check = _CHECKS.get(urlsplit(self.path).path)
            if check is None:
                self._send(HTTPStatus.NOT_FOUND, {"error": f"ask for one of {', '.join(_CHECKS)}"})
                return
            found = health()
            status = HTTPStatus.OK if check(found) else HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, {"live": found.live, "ready": found.is_ready, **_shown(found)})

        def _send(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
            body = msgspec.json.encode(content)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Log nothing: probes come every few seconds."""

    return Handler


def _shown(health: Health) -> dict[str, Any]:
    shown: dict[str, Any] = {"state": health.state}
    return shown if health.processes is None else shown | {"processes": health.processes}
