"""A little server that can take only so much at once, and says 429 to what is more."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Overloadable:
    """A server on loopback with a capacity that nobody is told; it answers after a moment, or refuses at once."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self.capacity = capacity
        self.answers: Counter[int] = Counter()
        self._inside, self._lock = 0, threading.Lock()
        overloadable = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = overloadable.answer(seconds)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def answer(self, seconds: float) -> int:
        """Take a request, if there is room, for so many seconds, and return the status of its answer."""
        with self._lock:
            self._inside += 1
            status = 200 if self._inside <= self.capacity else 429
            self.answers[status] += 1
        if status == 200:
            threading.Event().wait(seconds)
        with self._lock:
            self._inside -= 1
        return status

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
