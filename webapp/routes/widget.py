"""The widget's script, at an address that follows it and at one for each version, and a page that shows it inside a town's website."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from webapp import public, widget_script
from webapp.public import FAQ, public_faq
from webapp.state import bible
from webapp.widget_script import Script

blueprint = Blueprint("widget", __name__)

_FOLLOWING = "public, max-age=300, must-revalidate"
_FOR_EVER = "public, max-age=31536000, immutable"


@blueprint.get("/widget.js")
def script() -> ResponseReturnValue:
    """Send the widget as it is today."""
    return _sent(widget_script.current(), _FOLLOWING)


@blueprint.get("/widget-<version>.js")
def versioned(version: str) -> ResponseReturnValue:
    """Send one version of the widget, today's or an older one; a page that asks for one that is not there keeps its link."""
    found = widget_script.find(version)
    if found is None:
        raise NotFound
    return _sent(found, _FOR_EVER)


@blueprint.get("/widget.json")
def manifest() -> ResponseReturnValue:
    """Say which version is served, where, and its integrity hash."""
    current = widget_script.current()
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
        "widget/demo.html",
        here=url_for("widget.demo"),
        script=widget_script.current(),
        site=site,
        faq_url=f"{site}{FAQ}",
        service_names=names,
    )


def _site() -> str:
    """Where this server is reached, no slash at the end."""
    return bible().settings.site_url or request.url_root.rstrip("/")


def _sent(found: Script, caching: str) -> Response:
    response = Response(found.body, mimetype="text/javascript")
    response.set_etag(found.version)
    return _open(response, caching)


def _open(response: Response, caching: str) -> Response:
    """Let any page load it: it is the same for everybody."""
    response.headers["Cache-Control"] = caching
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.make_conditional(request)
    return response
