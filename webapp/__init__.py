"""The web application: the reply desk, the article search and the JSON API, on one ``LiveEngine``."""

from __future__ import annotations

import threading

import click
from flask import Flask
from flask_wtf.csrf import CSRFProtect

from kb import git_store
from search.live import LiveEngine
from webapp import (
    accounts,
    bodies,
    cli,
    database,
    digest,
    errors,
    i18n,
    kept_pages,
    permissions,
    proposals,
    public,
    rate_limits,
    security,
    sync,
    views,
    widget_script,
)
from webapp.routes import (
    admin,
    api,
    articles,
    auth,
    desk,
    editor,
    faq,
    health,
    hooks,
    requests,
    reviews,
    twins,
    versions,
    widget,
    widget_api,
)
from webapp.routes import proposals as proposal_pages
from webapp.settings import SAMPLE_KB, Settings, load_settings
from webapp.state import Bible, bible

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
        DatabaseUnavailable: the database cannot be opened.
    """
    settings = settings or load_settings()
    app = Flask(__name__)
    app.request_class = bodies.Request
    app.config.update(
        SECRET_KEY=settings.signing_key(),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_REQUEST_BYTES,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        BABEL_DEFAULT_LOCALE=settings.language,
        BABEL_DEFAULT_TIMEZONE=settings.timezone,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False

    if settings.kb_dir is None:
        git_store.ensure_repository(settings.content_dir, SAMPLE_KB)
    database.migrate(settings)

    def open_live() -> LiveEngine:
        live = LiveEngine(settings.content_dir, settings.index_dir, settings.load_embedder)
        if settings.watch:
            live.start()
        return live

    state = app.extensions["bible"] = Bible(settings, open_live, git_store.GitStore(settings.content_dir))
    is_served = click.get_current_context(silent=True) is None
    if is_served:  # not for a command (`flask --app webapp user …`), which needs no model
        _ = state.live

    csrf = CSRFProtect(app)
    i18n.init_app(app)
    kept_pages.init_app(app, settings)  # before `security`, which puts what knows of proxies before it
    security.init_app(app, settings)
    errors.init_app(app)
    database.init_app(app, settings)
    accounts.init_app(app, settings)
    permissions.init_app(app)
    views.init_app(app)
    cli.init_app(app)
    digest.init_app(app, proposals.count_open)
    proposals.init_app(app)
    for blueprint in (
        desk.blueprint,
        articles.blueprint,
        editor.blueprint,
        proposal_pages.blueprint,
        versions.blueprint,
        requests.blueprint,
        api.blueprint,
        auth.blueprint,
        admin.blueprint,
        twins.blueprint,
        reviews.blueprint,
        health.blueprint,
        hooks.blueprint,
        faq.blueprint,
        widget.blueprint,
    ):
        app.register_blueprint(blueprint)
    csrf.exempt(hooks.blueprint)  # signed by the forge
    csrf.exempt(faq.blueprint)  # nobody is logged in there, and nothing is written
    csrf.exempt(api.blueprint)  # the guard of `permissions` asks for it where a call comes with a cookie
    widget_script.init_app(app, settings)
    rate_limits.init_app(app, settings)
    csrf.exempt(widget_api.blueprint)  # no cookie says who asks
    if settings.watch and is_served:
        threading.Thread(target=_settle_in, args=(app,), name="bible-settle-in", daemon=True).start()
        sync.start(app, settings)
    return app


def _settle_in(app: Flask) -> None:
    """Do what the first visitor would wait for, and what nobody waits for: the log of publications is read, git packs its objects."""
    with app.app_context():
        _ = public.public_faq().recent
        bible().store.tidy()
