"""The web application: the reply desk, the article search and the JSON API, on one ``LiveEngine``."""

from __future__ import annotations

from flask import Flask
from flask_wtf.csrf import CSRFProtect

from kb import git_store
from search.live import LiveEngine
from webapp import errors, i18n, security, views
from webapp.routes import api, articles, desk, health
from webapp.settings import SAMPLE_KB, Settings, load_settings
from webapp.state import Bible

# A paste of a megabyte must reach the desk to be answered kindly; more is refused before it is read.
MAX_REQUEST_BYTES = 2_000_000


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application.

    Args:
        settings: the settings; read from the environment by default.

    Raises:
        SettingsError: a setting cannot work.
        StoreError: the content repository cannot be made.
        KbError: the content folder does not exist.
        SearchError: the index cannot be written.
    """
    settings = settings or load_settings()
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=settings.signing_key(),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_REQUEST_BYTES,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        BABEL_DEFAULT_LOCALE=settings.language,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False

    if settings.kb_dir is None:
        git_store.ensure_repository(settings.content_dir, SAMPLE_KB)
    live = LiveEngine(settings.content_dir, settings.index_dir, settings.load_embedder)
    if settings.watch:
        live.start()
    app.extensions["bible"] = Bible(settings, live, git_store.GitStore(settings.content_dir))

    csrf = CSRFProtect(app)
    i18n.init_app(app)
    security.init_app(app)
    errors.init_app(app)
    views.init_app(app)
    for blueprint in (desk.blueprint, articles.blueprint, api.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    csrf.exempt(api.blueprint)  # the API reads no cookie, so no other site can use a visitor's
    return app
