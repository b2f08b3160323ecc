"""The widget's script, at an address that follows it and at one for each version, and a page that shows it inside a town's website."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from webapp import public
from webapp.public import FAQ, public_faq
from webapp.state import bible

blueprint = Blueprint("widget", __name__)

_FOLLOWING = "public, max-age=300, must-revalidate"
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Script:
    """The widget as it is served. ``version`` is a digest of it; ``integrity`` is what a page may hold it to."""

    body: bytes
    version: str
    integrity: str

    @property
    def address(self) -> str:
        """Address of this very version on this server."""
        return f"/widget-{self.version}.js"


@lru_cache(maxsize=1)
def script_of(folder: str) -> Script:
    """Read the widget once for a process."""
    body = (Path(folder) / "widget" / "widget.js").read_bytes()
    digest = hashlib.sha384(body)
    return Script(body, digest.hexdigest()[:12], f"sha384-{base64.b64encode(digest.digest()).decode()}")


@blueprint.get("/widget.js")
def script() -> ResponseReturnValue:
    """Send the widget as it is today."""
    return _sent(current_script(), _FOLLOWING)


@blueprint.get("/widget-<version>.js")
def versioned(version: str) -> ResponseReturnValue:
    """Send one version of the widget, or nothing: a page that asks for a version that is gone keeps its link."""
    current = current_script()
    if version != current.version:
        raise NotFound
    return _sent(current, _FOR_EVER)


@blueprint.get("/widget.json")
def manifest() -> ResponseReturnValue:
    """Say which version is served, where, and its integrity hash."""
    current = current_script()
    response = jsonify(version=current.version, url=f"{_site()}{current.address}", integrity=current.integrity)
    response.set_etag(current.version)
    return _open(response, _FOLLOWING)


@blueprint.get("/demo-widget")
def demo() -> ResponseReturnValue:
    """Show the widget inside a town's website, and make the lines to copy."""
    faq = public_faq()
    names = {key: faq.context.service(key).name for key in faq.services if key}
    site = _site()
    return public.render_page(
        "widget/demo.html", here=url_for("widget.demo"), script=current_script(), site=site, faq_url=f"{site}{FAQ}", service_names=names
    )


def current_script() -> Script:
    """The widget as this application serves it."""
    return script_of(current_app.static_folder or "")


def _site() -> str:
    """Where this server is reached, no slash at the end."""
    return bible().settings.site_url or request.url_root.rstrip("/")


def _sent(current: Script, caching: str) -> Response:
    response = Response(current.body, mimetype="text/javascript")
    response.set_etag(current.version)
    return _open(response, caching)


def _open(response: Response, caching: str) -> Response:
    """Let any page load it: it is the same for everybody."""
    response.headers["Cache-Control"] = caching
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.make_conditional(request)
    return response
