"""Public pages sent again as they were, before Flask looks at the request: what it does for each costs four times a constant answer.

Guarantees: only what a view marked with ``keep`` is sent again, byte for byte, and only while its snapshot is the current one; to the same
host and, in the demonstration, to the same machine: whom the guards would refuse, they see. What is kept is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, request

from webapp.public import STATIC_EXPORT, PublicFaq
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_KEPT = "bible.kept"
# All that an answer depends on, beside the snapshot: what the guards look at, the address, the copy that the caller holds.
_READ = ("HTTP_HOST", "PATH_INFO", "QUERY_STRING", "HTTP_IF_NONE_MATCH")
_STATUSES = ("200 OK", "304 NOT MODIFIED")
# Addresses may end with anything, and hosts with any port.
MAX_KEPT = 10_000
_MAX_KEY_CHARS = 300


def keep(faq: PublicFaq) -> None:
    """Mark the answer to this request: it depends on nothing but the snapshot and what was read of the request."""
    request.environ[_KEPT] = faq


def init_app(app: Flask, settings: Settings) -> None:
    """Stand before the application; what knows of proxies must stand before this."""
    inner = app.wsgi_app
    read = (*_READ, "REMOTE_ADDR") if settings.is_demo else _READ

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        key = tuple(environ.get(name, "") for name in read)
        if environ["REQUEST_METHOD"] != "GET" or STATIC_EXPORT in environ or sum(map(len, key)) > _MAX_KEY_CHARS:
            return inner(environ, start_response)
        current: PublicFaq | None = app.extensions.get("bible_public")
        sent = current.sent.get(key) if current and current.library is app.extensions["bible"].library else None
        if sent is not None:
            status, headers, body = sent
            start_response(status, list(headers))
            return [body]
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Any:
            started[:] = status, tuple(headers)
            return start_response(status, headers, error)

        answer = inner(environ, start)
        faq: PublicFaq | None = environ.get(_KEPT)
        if faq is None or started[0] not in _STATUSES:
            return answer
        body = b"".join(answer)
        answer.close()  # type: ignore[attr-defined]  # werkzeug's
        if len(faq.sent) >= MAX_KEPT:
            faq.sent.clear()
        faq.sent[key] = (*started, body)
        return [body]

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]
