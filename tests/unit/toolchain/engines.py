"""A fake Docker engine: HTTP on a unix socket, with prepared answers, which records the
requests."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: What an answer is: status and JSON, or a function of the query that returns them.
Answer = tuple[int, Any] | Callable[[dict[str, str]], tuple[int, Any]]


class FakeEngine:
    """Answers ``METHOD /path`` as prepared, after ``delay`` seconds, and everything else with
    404."""

    def __init__(self, path: Path) -> None:
        self.where = f"unix://{path}"
        self.answers: dict[str, Answer] = {"GET /_ping": (200, "OK")}
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.delay = 0.0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def address_string(self) -> str:
                return "unix"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                what = f"{self.command} {parts.path}"
                length = int(self.headers.get("Content-Length") or 0)
                fake.asked.append(what)
                fake.bodies.append(json.loads(self.rfile.read(length)) if length else None)
                time.sleep(fake.delay)
                found = fake.answers.get(what, (404, {"message": f"nothing at {what}"}))
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                status, value = found(query) if callable(found) else found
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True, args=(0.05,)).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
