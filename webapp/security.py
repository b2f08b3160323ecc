"""What protects every response: from where one may connect, a strict content policy, and nothing cached that may hold a message."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Request, Response, abort, request, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_babel import gettext as _
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp.network import is_loopback
from webapp.public import is_public_path
from webapp.settings import Settings

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# For a service that people reach by HTTPS: their browsers keep to it for a year.
STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=31536000"}


class _Sessions(SecureCookieSessionInterface):
    """Flask's sessions, but for the public pages: caches share these, so they neither read a cookie nor set one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return SecureCookieSession() if is_public_path(request.path) else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not is_public_path(request.path):
            super().save_session(app, session, response)


def let_be_framed(response: Response, origins: Sequence[str]) -> None:
    """Let some sites, and no other, show a page inside theirs."""
    ancestors = " ".join(origins) or "'none'"
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", f"frame-ancestors {ancestors}")
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"


def init_app(app: Flask, settings: Settings) -> None:
    """Add the checks before, and the headers after, every request."""
    app.session_interface = _Sessions()
    version = _static_version(Path(app.static_folder or ""))
    own_name = urlsplit(settings.site_url).hostname
    public_name = urlsplit(settings.public_url).hostname
    is_https = settings.site_url.startswith("https://")
    headers = HEADERS | STRICT_TRANSPORT if is_https else HEADERS
    app.config["SESSION_COOKIE_SECURE"] = is_https
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]

    @app.before_request
    def refuse_other_machines() -> None:
        # In the demonstration everybody who connects is somebody: only this machine may, whatever address gunicorn was given.
        if settings.is_demo and request.remote_addr and not is_loopback(request.remote_addr):
            abort(403, _("La démonstration n'accepte que les connexions de cette machine."))
        # A site that points its own name to this machine would be read as ours by the agent's browser. Werkzeug's TRUSTED_HOSTS
        # does this before an address can be built for the error page, and knows no IPv6.
        host = re.sub(r":\d+$", "", request.host)
        is_public = is_public_path(request.path) or request.path.startswith("/static/")
        if host.lower() not in {own_name, public_name if is_public else None} and not is_loopback(host):
            address = settings.site_url or "http://localhost, http://127.0.0.1"
            abort(403, _("Ce service ne répond qu'à son adresse : %(address)s.", address=address))

    @app.after_request
    def add_headers(response: Response) -> Response:
        is_framed = "Content-Security-Policy" in response.headers  # see `let_be_framed`; X-Frame-Options knows no list
        for name, value in headers.items():
            if not (is_framed and name == "X-Frame-Options"):
                response.headers.setdefault(name, value)
        if request.endpoint == "static":
            # The address changes with the content, so the copy that a browser holds never goes stale.
            response.cache_control.no_cache = None
            response.cache_control.public = True
            response.cache_control.max_age = 31_536_000 if request.args.get("v") == version else 0
        else:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.template_global()
    def static_url(filename: str) -> str:
        return url_for("static", filename=filename, v=version)


def _static_version(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
