"""French first, English second: the language of the interface, kept in the session when an agent picks one."""

from __future__ import annotations

from flask import Flask, Response, current_app, redirect, request, session, url_for
from flask_babel import Babel, get_locale

LANGUAGES = {"fr": "Français", "en": "English"}


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
        is_local = target.startswith("/") and not target.startswith(("//", "/\\"))
        return redirect(target if is_local else url_for("desk.show"), code=303)  # type: ignore[return-value]


def _locale() -> str:
    return str(session.get("language") or current_app.config["BABEL_DEFAULT_LOCALE"])
