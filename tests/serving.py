"""A WSGI application on a free port of the loopback, for the time of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.types import WSGIApplication

from werkzeug.serving import make_server

# werkzeug looks twice a second by default whether it should stop: half a second lost for each server.
_POLL_SECONDS = 0.02


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """Serve an application; gives its address, no slash at the end."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
