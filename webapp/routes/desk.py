"""The reply desk: paste a message, read what answers it, copy the reply. A message is always a POST, and never kept."""

from __future__ import annotations

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from kb.render import FILLED_BY_AGENT
from search.engine import MAX_MESSAGE_CHARS
from webapp.state import bible
from webapp.views import build_results

blueprint = Blueprint("desk", __name__)

FRAGMENT_HEADER = "X-Bible-Fragment"


@blueprint.get("/")
def show() -> ResponseReturnValue:
    """Show an empty desk, with what helps before typing."""
    return _page(message="", channel=_channel(request.args.get("channel")))


@blueprint.post("/")
def answer() -> ResponseReturnValue:
    """Match the pasted message; the whole page, or only the results for the desk's script."""
    message = _readable(request.form.get("message", ""))
    channel = _channel(request.form.get("channel"))
    filled = {name: request.form.get(name, "") for name in FILLED_BY_AGENT}
    service = request.form.get("service") or None
    if len(message) > MAX_MESSAGE_CHARS:
        error = _(
            "Ce message compte %(length)s caractères, pour %(limit)s au plus. "
            "Gardez le passage qui contient la demande, puis cherchez de nouveau.",
            length=f"{len(message):_}".replace("_", "\u202f"),
            limit=f"{MAX_MESSAGE_CHARS:_}".replace("_", "\u202f"),
        )
        return _page(message, channel, filled, service, error=error), 413
    if not message.strip():
        return _page(message, channel, filled, service, error=_("Collez d'abord le message de l'usager dans la zone de texte."))
    return _page(message, channel, filled, service, results=build_results(message, channel, filled, service))


def _page(message: str, channel: str, filled: dict[str, str] | None = None, service: str | None = None, **context: object) -> str:
    state = bible()
    template = "desk/_results.html" if request.headers.get(FRAGMENT_HEADER) else "desk/desk.html"
    recent = sorted(
        (article for article in state.library.articles.values() if article.meta.reviewed_on and article.is_public),
        key=lambda article: str(article.meta.reviewed_on),
        reverse=True,
    )
    return render_template(
        template,
        message=message,
        channel_key=channel,
        channels=state.context.channels,
        services={key: state.context.service(key) for key in state.library.service_keys},
        service_key=service,
        filled=filled or {},
        recent=recent[:6],
        max_chars=MAX_MESSAGE_CHARS,
        **context,
    )


def _channel(key: str | None) -> str:
    channels = bible().context.channels
    return key if key in channels else next(iter(channels))


def _readable(text: str) -> str:
    """Drop what no person types: control characters of a binary paste. Line breaks and tabs stay; one break is one character."""
    text = text.replace("\r\n", "\n")  # as forms send them
    return "".join(character for character in text if character in "\n\r\t" or (ord(character) >= 32 and character != "\x7f"))


@blueprint.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """Answer browsers that ask for it without reading the page's own link."""
    return make_response("", 204)
