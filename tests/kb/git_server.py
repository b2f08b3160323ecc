"""A git server over HTTP for the tests: git's own ``http-backend``, behind a name and a token."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class GitServer:
    """Where it answers, whom it lets in, and the ``Authorization`` headers that it was shown.

    ``moved_to`` sends every request elsewhere; ``status`` answers every request with an error, and ``fault`` says with which one, from the
    request's method and path (0: none).
    """

    url: str
    user: str = "oauth2"
    token: str = "jeton"
    moved_to: str = ""
    status: int = 0
    fault: Callable[[str, str], int] = lambda _method, _path: 0
    seen: list[str | None] = field(default_factory=list)


@contextmanager
def serve(root: Path) -> Iterator[GitServer]:
    """Serve the bare repositories of a folder."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization")
            state.seen.append(given)
            if state.moved_to:
                self.send_response(301)
                self.send_header("Location", state.moved_to + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status = state.status or state.fault(self.command, self.path)
            if status or given != "Basic " + base64.b64encode(f"{state.user}:{state.token}".encode()).decode():
                self.send_response(status or 401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._backend()

        def do_POST(self) -> None:
            self.do_GET()

        def _backend(self) -> None:
            parts = urlsplit(self.path)
            environment = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "REMOTE_USER": state.user,
            }
            done = subprocess.run(["git", "http-backend"], input=self._body(), env=environment, capture_output=True, check=True)
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = GitServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
