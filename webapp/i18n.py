"""French first, English second: the language of the interface, kept in the session when an agent picks one."""

from __future__ import annotations

from flask import Flask, Response, current_app, has_request_context, redirect, request, session, url_for
from flask_babel import Babel, get_locale

from webapp import public
from webapp.public import LANGUAGES


def init_app(app: Flask) -> None:
    """Set up Flask-Babel and the route that changes the language."""
    Babel(app, locale_selector=_locale)
    app.jinja_env.globals["get_locale"] = get_locale
    app.jinja_env.globals["LANGUAGES"] = LANGUAGES

    @app.post("/langue")
    def set_language() -> Response:
        chosen = request.form.get("language", "")
        if chosen in LANGUAGES:
            session["language"] = chosen
        target = request.form.get("next", "")
        return redirect(target if is_local(target) else url_for("desk.show"), code=303)  # type: ignore[return-value]


def is_local(target: str) -> bool:
    """Tell whether an address stays on this site: browsers drop tabs and line ends from it, and read a backslash as a slash."""
    is_plain = not any(character < " " or character == "\\" for character in target)
    return is_plain and target.startswith("/") and not target.startswith("//")


def _locale() -> str:
    if has_request_context() and public.is_public_path(request.path):
        return public.language()
    chosen = session.get("language") if has_request_context() else None  # a command has no session
    return str(chosen or current_app.config["BABEL_DEFAULT_LOCALE"])
